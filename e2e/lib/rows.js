import assert from 'node:assert/strict';

import { bearsEvents, isControl, labelOf, messagesOf, pathOf, sessionOf, textOf, withoutSession } from './messages.js';

/** What distinguishes the attempts to send a message. */
const attemptOf = ({ messageId, sentAt }) => `${messageId} ${sentAt}`;

/** The requests at the data plane for one request of an SDK: several if Caddy tried again. */
function forwarded(plane, sent) {
  const attempts = new Set(messagesOf(sent).map(attemptOf));
  return plane.requests.filter(
    (got) => got.at >= sent.at && got.at <= sent.answeredAt && messagesOf(got).some((message) => attempts.has(attemptOf(message))),
  );
}

/**
 * A row for each time that an SDK sent a message, and for each call of an endpoint. If the SDK
 * repeated a message that had been accepted, the row has the first one as `repeats`.
 */
export function rowsOf(world) {
  const taken = new Map();
  return everyRow(world).map((row) => {
    if (row.call) return row;
    const { messageId } = row.message;
    const first = taken.get(messageId);
    if (first) return { ...row, repeats: first };
    if ((row.got ? row.upstream : row.control && row.status) === 200) taken.set(messageId, row);
    return row;
  });
}

/**
 * The rows without unplanned retries: if a reload, a restart or a slow machine keeps the answer
 * from an SDK, the SDK sends an accepted message again at some time. That is no row of its own.
 */
export const messageRows = (world) => rowsOf(world).filter(({ call, repeats }) => !call && !repeats);

function everyRow({ requests, plane }) {
  return requests.flatMap((request) => {
    if (pathOf(request).endsWith('ession') && request.method !== 'OPTIONS') {
      return [{ call: `${request.method} ${pathOf(request)}`, asked: request.body.toString(), answer: String(request.answer).trim() }];
    }
    if (!bearsEvents(request)) return [];
    const arrivals = forwarded(plane, request);
    return messagesOf(request).flatMap((message) => {
      const row = { label: labelOf(message), message, sent: sessionOf(message), status: request.status, control: isControl(message) };
      const got = arrivals.flatMap((arrival) =>
        messagesOf(arrival)
          .filter(({ messageId }) => messageId === message.messageId)
          .map((it) => ({ ...row, got: sessionOf(it), upstream: arrival.status })),
      );
      return got.length > 0 ? got : [row];
    });
  });
}

/** Checks what must hold in every scenario. */
export function checkInvariants({ requests, plane }, refused = []) {
  for (const request of plane.requests) {
    if (request.refused && !refused.includes(request.answer)) {
      assert.fail(`the data plane refused ${request.method} ${request.url}: ${request.status} ${request.answer}`);
    }
  }
  for (const request of plane.requests.filter(bearsEvents)) {
    checkKeys(textOf(request));
    for (const message of messagesOf(request)) {
      assert.ok(!isControl(message), `a control call reached the data plane: ${labelOf(message)}`);
    }
  }
  for (const sent of requests.filter(bearsEvents)) {
    for (const got of forwarded(plane, sent)) checkSame(sent, got);
  }
}

/** No key is repeated: JSON.parse takes the last one, which would hide that the data plane takes the first. */
function checkKeys(text) {
  const keys = (json) => [...json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(([, colon]) => colon).length;
  assert.equal(keys(text), keys(JSON.stringify(JSON.parse(text))), `a key stands twice in ${text}`);
}

/** Headers that are hop-by-hop, or that may change with the body. */
const TRANSFER = new Set(['connection', 'keep-alive', 'content-length', 'content-encoding', 'transfer-encoding']);

/** Everything but the two session fields is as the SDK sent it. */
function checkSame(sent, got) {
  assert.equal(`${got.method} ${got.url}`, `${sent.method} ${sent.url}`);
  for (const [name, value] of Object.entries(sent.headers)) {
    if (!TRANSFER.has(name)) assert.equal(got.headers[name], value, `header ${name}`);
  }
  assert.equal(stripped(got), stripped(sent), 'something else than the session changed');

  const fields = (request) => JSON.stringify(messagesOf(request).map(sessionOf));
  if (fields(sent) === fields(got)) {
    assert.ok(sent.body.equals(got.body), 'nothing was to be changed, and bytes changed');
    assert.equal(got.headers['content-encoding'], sent.headers['content-encoding']);
  }
}

/** A body without control calls and session fields, as text, because the order of keys counts. */
function stripped(request) {
  const body = JSON.parse(textOf(request));
  if (!Array.isArray(body.batch)) return JSON.stringify(withoutSession(body));
  return JSON.stringify({ ...body, batch: body.batch.filter((message) => !isControl(message)).map(withoutSession) });
}
