import { Visitor } from './browser.js';
import { ADOPTED, AS_SENT, NONE, START } from './check.js';
import { messageRows } from './rows.js';
import { scenario } from './world.js';

/** The web SDKs, with each of their ways to send. */
export const MODES = [['v3', 'xhr'], ['v3', 'batch'], ['v3', 'beacon'], ['v1', 'xhr'], ['v1', 'beacon']];
export const POLICIES = ['sdk', 'adopt', 'proxy', 'off'];

/** A scenario on a page of the site, in each mode and under each policy. */
export function everywhere(title, body, { modes = MODES, policies = POLICIES, visitor = {}, ...options } = {}) {
  for (const automatic of policies) {
    for (const [sdk, mode] of modes) {
      scenario(`JS ${sdk}, ${mode}, automatic ${automatic}: ${title}`, { automatic, ...options }, async (world) => {
        const tab = await (await Visitor.arrive(world, { sdk, mode, ...visitor })).open();
        await body({ world, tab, visitor: tab.visitor, sdk, mode, automatic, policy: new Policy(world, automatic) });
      });
    }
  }
}

/** What events have without a manual session, in the form of an expectation. */
export class Policy {
  constructor(world, automatic) {
    Object.assign(this, { world, automatic });
  }

  /** The mark of a session's first event, if there are sessions. */
  get opening() {
    return this.automatic === 'off' ? [] : [START];
  }

  /** Whether the handler marks each session, whatever happened to the SDK's mark. */
  get givesMarks() {
    return ['adopt', 'proxy'].includes(this.automatic);
  }

  /** The session of a visitor now; with `automatic proxy`, the proxy is asked for it. */
  async current({ anonymousId }) {
    return this.pick(AS_SENT, this.automatic === 'proxy' ? await this.world.session({ anonymousId }) : undefined, NONE);
  }

  /** With `automatic adopt`, the sessions that are the SDK's own with `automatic sdk` are adopted. */
  pick(sdk, proxy, off) {
    const adopted = (it) => (it === AS_SENT ? ADOPTED : it);
    const adopt = Array.isArray(sdk) ? sdk.map(adopted) : adopted(sdk);
    return { sdk, adopt, proxy, off }[this.automatic];
  }
}

/** Messages that may arrive in any order. */
export const inAnyOrder = (...expected) => ({ expected });
/** The same, of a session: any one of them has the start mark. */
export const oneStarts = (id, ...labels) => ({ id, labels });

/** A list for check(), with such groups in the order in which their messages were sent. */
export async function arranged(world, list) {
  await world.recorder.settled();
  const rows = messageRows(world);
  return list.reduce((done, it) => {
    if (Array.isArray(it)) return [...done, it];
    const size = (it.labels ?? it.expected).length;
    const group = rows.slice(done.length, done.length + size);
    if (it.expected) return [...done, ...sorted(it.expected, group)];
    const first = group.findIndex(({ got }) => got?.start);
    // If none has a mark, the first one lacks it.
    const mark = (row) => row === group[Math.max(first, 0)];
    const expected = it.labels.map((label) => {
      const row = group.find((candidate) => candidate.label === label);
      return mark(row) ? [label, it.id, START] : [label, it.id];
    });
    return [...done, ...sorted(expected, group)];
  }, []);
}

function sorted(expected, group) {
  const at = ([label]) => group.findIndex((row) => row.label === label);
  return [...expected].sort((a, b) => at(a) - at(b));
}
