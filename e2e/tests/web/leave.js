import assert from 'node:assert/strict';

import { check, CONSUMED, NONE, START } from '../../lib/check.js';
import { everywhere, MODES } from '../../lib/web.js';

everywhere('sendBeacon while the page is left', async ({ world, tab, visitor, policy }) => {
  await tab.send('page', 'Home');
  const before = await policy.current(tab);

  // The page itself goes to another page of the site.
  await tab.controlOnLeave('startSession', { sessionId: 1234567890 });
  await tab.load();
  assert.deepEqual(await world.recorder.called('startSession'), { status: 200, body: { sessionId: 1234567890 } });
  await tab.send('page', 'Next');

  const second = await visitor.open();
  await second.send('track', 'In a second tab');
  await second.controlOnLeave('endSession');
  await second.close();
  assert.deepEqual(await world.recorder.called('endSession'), { status: 200, body: { sessionId: null } });
  await tab.send('track', 'After the second tab');

  await check(world, [
    ['page Home', before, ...policy.opening],
    ['page Next', 1234567890, START],
    ['In a second tab', 1234567890],
    ['After the second tab', NONE],
  ]);
  assert.ok(!world.recorder.requests.some(({ method, url }) => method === 'OPTIONS' && url.includes('Session')), 'a preflight');
});

// Unlike XHR, the SDK's own beacon delivers a track that is made while the page is left.
everywhere('track while the page is left', async ({ world, tab, policy }) => {
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  await tab.callOnLeave('track', 'startSession', { sessionId: 1234567890 });
  await tab.load();
  await world.recorder.answered('startSession');
  await tab.send('page', 'Next');
  await tab.callOnLeave('track', 'endSession');
  await tab.load();
  await world.recorder.answered('endSession');
  await tab.send('page', 'Last');
  await check(world, [
    ['page Home', before, ...policy.opening],
    ['startSession', CONSUMED],
    ['page Next', 1234567890, START],
    ['endSession', CONSUMED],
    ['page Last', NONE],
  ]);
}, { modes: MODES.filter(([, mode]) => mode === 'beacon') });
