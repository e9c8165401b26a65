import assert from 'node:assert/strict';

import { AS_SENT, check, CONSUMED, NONE, START } from '../../lib/check.js';
import { rowsOf } from '../../lib/rows.js';
import { everywhere, MODES } from '../../lib/web.js';

const MINUTE = 60_000;
/** The page's clock can be put forward, which makes queued events older. */
const visitor = { prepare: (page) => page.clock.install() };

/** Makes an event while the browser is offline, waits until sending has failed, and puts the clock forward ten minutes. */
async function queue(tab, ...call) {
  const failed = tab.page.waitForEvent('requestfailed', (request) => request.url().startsWith(tab.world.url));
  await tab.callAll(call);
  await failed;
  await tab.page.clock.fastForward(10 * MINUTE);
}

/** Goes offline, and waits until the site cannot be reached: the browser does not report it. */
async function goOffline(tab) {
  await tab.visitor.offline(true);
  await tab.page.evaluate(async () => {
    try {
      for (;;) await fetch(location.href, { cache: 'no-store' });
    } catch {
      // There it is.
    }
  });
  await assert.rejects(tab.control('startSession'), /Failed to fetch/);
  await queue(tab, 'track', 'Before');
  await queue(tab, 'track', 'startSession', { sessionId: 1234567890 });
  await queue(tab, 'track', 'A');
  await queue(tab, 'track', 'endSession');
  await queue(tab, 'track', 'B');
}

// Events that happened in the session are in it, although they arrive after its end.
everywhere('offline, and sent again', async ({ world, tab, automatic, policy }) => {
  const since = Date.now();
  await goOffline(tab);
  const order = ['Before', 'startSession', 'endSession', 'B', 'A'];
  const releases = order.map((label) => world.recorder.hold(label));
  await tab.visitor.offline(false);
  for (const [i, label] of order.entries()) {
    releases[i]();
    await (label.endsWith('Session') ? world.recorder.answered(label) : world.plane.got(label));
  }
  await tab.send('track', 'Online');

  const [{ got: { id: made } }] = rowsOf(world);
  if (automatic === 'proxy') {
    const happened = made + 50 * MINUTE;
    assert.ok(since <= happened && happened <= Date.now(), `${made} is not the time of the first event`);
  }
  await check(world, [
    ['Before', policy.pick(AS_SENT, made, NONE), ...policy.opening],
    ['startSession', CONSUMED],
    ['endSession', CONSUMED],
    ['B', NONE],
    ['A', 1234567890, START],
    ['Online', NONE],
  ]);
}, { modes: MODES.filter(([, mode]) => mode !== 'beacon'), visitor });

everywhere('offline, and lost', async ({ world, tab, policy }) => {
  await goOffline(tab);
  await tab.visitor.offline(false);
  await tab.send('track', 'Online');
  // The start mark of the SDK's own session is lost with its first event.
  await check(world, [['Online', await policy.current(tab), ...(policy.givesMarks ? [START] : [])]]);
}, { modes: MODES.filter(([, mode]) => mode === 'beacon'), visitor });
