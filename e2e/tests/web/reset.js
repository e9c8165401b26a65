import assert from 'node:assert/strict';

import { check, CONSUMED, NONE, START } from '../../lib/check.js';
import { everywhere } from '../../lib/web.js';

everywhere('resetSession, by endpoint and by track', async ({ world, tab, policy }) => {
  const { anonymousId } = tab;
  await tab.send('page', 'Home');
  const before = await policy.current(tab);

  // A session that the proxy made is replaced too; others are not its own.
  const { body: { sessionId: replaced } } = await tab.control('resetSession');
  assert.equal(replaced !== null && replaced !== before, policy.automatic === 'proxy');
  await tab.send('track', 'Automatic');

  await tab.control('startSession', { sessionId: 1234567890 });
  await tab.send('track', 'A');
  const { status, body: { sessionId: second } } = await tab.control('resetSession');
  assert.equal(status, 200);
  assert.notEqual(second, 1234567890);
  await tab.send('track', 'B');
  await tab.send('track', 'C');
  await tab.sendControl('resetSession');
  const third = await world.session({ anonymousId });
  assert.notEqual(third, second);
  await tab.send('track', 'D');

  await tab.control('endSession');
  assert.deepEqual(await tab.control('resetSession'), { status: 200, body: { sessionId: null } });
  await tab.send('track', 'Ended');

  await check(world, [
    ['page Home', before, ...policy.opening],
    policy.pick(['Automatic', before], ['Automatic', replaced, START], ['Automatic', NONE]),
    ['A', 1234567890, START],
    ['B', second, START],
    ['C', second],
    ['resetSession', CONSUMED],
    ['D', third, START],
    ['Ended', NONE],
  ]);
});

everywhere("the SDK's reset(), and a new anonymousId", async ({ world, tab, automatic, policy }) => {
  const { anonymousId } = tab;
  await tab.control('startSession', { sessionId: 1234567890 });
  await tab.send('identify', 'ann');
  await tab.send('track', 'As ann');

  // The next event has no user any more: that is a logout, and begins another session.
  await tab.call('reset');
  await tab.send('track', 'After reset');
  const loggedOut = await world.session({ anonymousId });
  assert.notEqual(loggedOut, 1234567890);
  if (automatic === 'adopt') assert.equal(loggedOut, await tab.call('getSessionId'));

  await tab.call('reset', true);
  const other = { anonymousId: await tab.call('getAnonymousId') };
  assert.notEqual(other.anonymousId, anonymousId);
  await tab.send('track', 'As somebody new');
  const unknown = await policy.current(other);

  // The session is still there for its visitor.
  await tab.call('setAnonymousId', anonymousId);
  await tab.send('track', 'As before');
  // It has no user yet: the first user to identify continues it.
  await tab.send('identify', 'bob');
  await tab.control('endSession');
  await tab.send('track', 'Ended');

  await check(world, [
    ['identify ann', 1234567890, START],
    ['As ann', 1234567890],
    ['After reset', loggedOut, START],
    ['As somebody new', unknown, ...policy.opening],
    ['As before', loggedOut],
    ['identify bob', loggedOut],
    ['Ended', NONE],
  ]);
});
