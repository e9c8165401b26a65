import assert from 'node:assert/strict';

import { AS_SENT, check, CONSUMED, NONE, START } from '../../lib/check.js';
import { everywhere } from '../../lib/web.js';

everywhere("ids of one's own, by endpoint and by track", async ({ world, tab, policy }) => {
  const { anonymousId } = tab;
  await tab.send('track', 'Before');
  const before = await policy.current(tab);

  // With headers, so that the browser sends a preflight, and with credentials.
  const started = await tab.control('startSession', { sessionId: 1234567890 }, 'credentials');
  assert.deepEqual(started, { status: 200, body: { sessionId: 1234567890 } });
  assert.ok(world.recorder.requests.some(({ method, url }) => method === 'OPTIONS' && url === '/v1/startSession'), 'no preflight');
  await tab.send('track', 'A');

  const refused = await tab.control('startSession', { sessionId: 123 });
  assert.deepEqual(refused, { status: 400, body: { error: 'sessionId must have at least 10 digits' } });
  await tab.send('track', 'B');

  await tab.sendControl('startSession', { sessionId: 9876543210 });
  await tab.send('track', 'C');
  await tab.send('track', 'D');

  // A track cannot be refused: the intent to begin a session is clear.
  await tab.sendControl('startSession', { sessionId: 12.5 });
  const generated = await world.session({ anonymousId });
  assert.notEqual(generated, 9876543210);
  await tab.send('track', 'E');

  // The same id again starts the session anew.
  await tab.sendControl('startSession', { sessionId: 1234567890 });
  await tab.send('track', 'F');
  await tab.sendControl('endSession');
  await tab.send('track', 'G');
  // A refused call starts no session.
  assert.equal((await tab.control('startSession', { sessionId: '12a' })).status, 400);
  await tab.send('track', 'H');

  await check(world, [
    ['Before', before, ...policy.opening],
    ['A', 1234567890, START],
    ['B', 1234567890],
    ['startSession', CONSUMED],
    ['C', 9876543210, START],
    ['D', 9876543210],
    ['startSession', CONSUMED],
    ['E', generated, START],
    ['startSession', CONSUMED],
    ['F', 1234567890, START],
    ['endSession', CONSUMED],
    ['G', NONE],
    ['H', NONE],
  ]);
});

everywhere('another user', async ({ world, tab, policy }) => {
  const { anonymousId } = tab;
  await tab.send('identify', 'ann');
  const ann = await policy.current(tab);
  // For another user the SDK begins another session, and so does the proxy.
  await tab.send('identify', 'bob');
  const bob = await policy.current(tab);

  await tab.control('startSession', { sessionId: 1234567890 });
  await tab.send('track', 'As bob');
  await tab.send('identify', 'bob', { again: true });
  await tab.send('alias', 'robert');
  await tab.send('identify', 'cid');
  const cid = await world.session({ anonymousId });
  assert.notEqual(cid, 1234567890);
  await tab.send('track', 'As cid');

  // After an end the proxy begins none for another user. The SDK does.
  await tab.control('endSession');
  await tab.send('track', 'Ended');
  await tab.send('identify', 'dan');

  await check(world, [
    ['identify ann', ann, ...policy.opening],
    ['identify bob', bob, ...policy.opening],
    ['As bob', 1234567890, START],
    ['identify bob', 1234567890],
    ['alias', 1234567890],
    ['identify cid', cid, START],
    ['As cid', cid],
    ['Ended', NONE],
    ['identify dan', ...policy.pick([AS_SENT, START], [NONE], [NONE])],
  ]);
});
