import assert from 'node:assert/strict';

import { checkInvariants, messageRows, rowsOf } from './rows.js';

/** What an expectation has instead of an id. */
export const NONE = 'no session';
export const AS_SENT = "the SDK's own";
/** The SDK's own id, with the handler's start mark. */
export const ADOPTED = "the SDK's own, adopted";
export const CONSUMED = 'not forwarded';
/** The start mark, in an expectation. */
export const START = 'start';

/**
 * Checks every message that was sent, in the order of sending, against a list of
 * [label, session id or one of the above, START if it has the mark, status of the data plane
 * (for a consumed message, of the answer) if not 200]. Adds the results to the scenario's table.
 */
export async function check(world, expected, { refused } = {}) {
  await world.settled();
  const rows = messageRows(world);
  world.expected = expected;
  assert.deepEqual(rows.map(summary), expected.map(expectation), 'what was sent, and what the data plane got');
  rows.forEach((row, i) => verify(row, expected[i]));
  rowsOf(world).filter(({ repeats }) => repeats).forEach(verifyRepeat);
  checkInvariants(world, refused);
}

const summary = ({ label, got, upstream, control, status }) => titled(label, got ? upstream : control ? status : 200);
const expectation = ([label, , ...rest]) => titled(label, statusOf(rest));
const titled = (label, status) => `${label}${status === 200 ? '' : ` (${status})`}`;
const statusOf = (rest) => rest.find((it) => it !== START) ?? 200;

/** What is wrong with a row, or undefined. */
export function fault(row, [, id, ...rest]) {
  const { sent, got } = row;
  if (id === CONSUMED) return got || !row.control || row.status !== statusOf(rest) ? 'is to be consumed' : undefined;
  if (!got) return 'did not arrive';
  const start = rest.includes(START) ? true : undefined;
  let wanted = { id, start };
  if (id === NONE) wanted = { id: undefined, start: undefined };
  if (id === AS_SENT) {
    if (sent.id === undefined) return 'has no session of the SDK';
    // The SDK must have sent the start mark if and only if the scenario says so.
    if (sent.start !== start) return `the SDK sent the start mark ${sent.start}`;
    wanted = sent;
  } else if (id === ADOPTED) {
    if (!sent.id) return 'has no session of the SDK';
    wanted = { id: Number(sent.id), start };
  } else if (id !== NONE && !Number.isSafeInteger(id)) return `the expectation ${id} is none`;
  if (got.id !== wanted.id) return `is to have ${wanted.id ?? 'no session'}`;
  if (got.start !== wanted.start) return wanted.start ? 'is to have the start mark' : 'is to have no start mark';
}

/**
 * Checks that each session of each visitor has exactly one start mark among the messages
 * that the data plane accepted, counting a repeated message once.
 */
export function checkMarks({ plane }) {
  const marks = new Map();
  for (const { anonymousId, context } of plane.accepted) {
    if (context?.sessionId === undefined) continue;
    const session = `${anonymousId} ${context.sessionId}`;
    marks.set(session, (marks.get(session) ?? 0) + (context.sessionStart === true ? 1 : 0));
  }
  for (const [session, count] of marks) assert.equal(count, 1, `start marks of the session ${session}`);
}

/** What is wrong with a message that an SDK sent again after it had been accepted, or undefined. */
export function faultOfRepeat({ got, control, repeats }) {
  if (control) return got ? 'is to be consumed' : undefined;
  // The proxy may be down at that moment, and the request sent again.
  if (!got) return undefined;
  if (got.id !== repeats.got.id) return `is to have ${repeats.got.id ?? 'no session'} as before`;
  if (got.start !== repeats.got.start) return 'is to have the start mark, or none, as before';
}

function verifyRepeat(row) {
  const what = faultOfRepeat(row);
  if (what) assert.fail(`${row.label}, sent again: ${what}; got ${JSON.stringify(row.got)}`);
}

function verify(row, expectation) {
  const what = fault(row, expectation);
  if (what) assert.fail(`${row.label}: ${what}; got ${JSON.stringify(row.got)}, sent ${JSON.stringify(row.sent)}`);
}
