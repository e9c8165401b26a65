import assert from 'node:assert/strict';

import { AS_SENT, check, NONE, START } from '../../lib/check.js';
import { everywhere } from '../../lib/web.js';

const MINUTE = 60_000;

everywhere("the SDK's own sessions alongside", async ({ world, tab, policy }) => {
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  await tab.call('startSession', 1111111111);
  assert.equal(await tab.call('getSessionId'), 1111111111);
  await tab.send('track', "The SDK's");
  await tab.call('endSession');
  await tab.send('track', "Ended by the SDK");

  // A session at the proxy needs none in the SDK, and overrides one there.
  await tab.control('startSession', { sessionId: 1234567890 });
  await tab.send('track', 'A');
  await tab.call('startSession', 2222222222);
  await tab.send('track', 'B');
  await tab.call('endSession');
  await tab.send('track', 'C');
  await tab.reload();
  await tab.send('page', 'Reloaded');

  await tab.control('endSession');
  await tab.send('track', 'Ended');
  // For the proxy, the SDK began a new session of its own.
  await tab.call('startSession', 3333333333);
  await tab.send('track', "The SDK's again");

  await check(world, [
    ['page Home', before, ...policy.opening],
    ["The SDK's", ...policy.pick([AS_SENT, START], [before], [NONE])],
    ['Ended by the SDK', policy.pick(NONE, before, NONE)],
    ['A', 1234567890, START],
    ['B', 1234567890],
    ['C', 1234567890],
    ['page Reloaded', 1234567890],
    ['Ended', NONE],
    ["The SDK's again", ...policy.pick([AS_SENT, START], [NONE], [NONE])],
  ]);
});

// The page's clock is put forward: the SDK's timeout passes, but no time passes for the proxy.
everywhere("the SDK's own timeout after endSession", async ({ world, tab, policy }) => {
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  await tab.control('startSession', { sessionId: 1234567890 });
  await tab.send('track', 'A');
  await tab.page.clock.fastForward(31 * MINUTE);
  await tab.send('track', 'B');
  await tab.control('endSession');
  await tab.send('track', 'Ended');
  await tab.page.clock.fastForward(31 * MINUTE);
  await tab.send('track', 'Resumed');
  await tab.send('track', 'Later');
  await check(world, [
    ['page Home', before, ...policy.opening],
    ['A', 1234567890, START],
    ['B', 1234567890],
    ['Ended', NONE],
    ['Resumed', ...policy.pick([AS_SENT, START], [NONE], [NONE])],
    ['Later', policy.pick(AS_SENT, NONE, NONE)],
  ]);
}, { visitor: { prepare: (page) => page.clock.install() } });

// A call may say when it was made, so that the proxy's timeout passes without a wait in the test.
everywhere("the proxy's timeout after endSession", async ({ world, tab, policy }) => {
  const ago = (minutes) => {
    const now = Date.now();
    return { originalTimestamp: new Date(now - minutes * MINUTE).toISOString(), sentAt: new Date(now).toISOString() };
  };
  await tab.control('startSession', { sessionId: 1234567890, ...ago(40) });
  await tab.control('endSession', ago(31));
  await tab.send('page', 'Home');
  const resumed = await policy.current(tab);
  await tab.send('track', 'Later');
  await check(world, [
    ['page Home', resumed, ...policy.opening],
    ['Later', resumed],
  ]);
});
