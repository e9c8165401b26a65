import assert from 'node:assert/strict';

import { check, CONSUMED, NONE, START } from '../../lib/check.js';
import { rowsOf } from '../../lib/rows.js';
import { arranged, everywhere, inAnyOrder, MODES } from '../../lib/web.js';

const BATCHING = MODES.filter(([, mode]) => mode !== 'xhr');
const SINGLE = MODES.filter(([, mode]) => mode === 'xhr');

everywhere('control calls and events in one turn, in one batch: their order counts', async ({ world, tab, policy }) => {
  await tab.sendAll(['page', 'Home'], ['track', 'Before']);
  const before = await policy.current(tab);
  await tab.sendAll(
    ['track', 'A'],
    ['track', 'startSession', { sessionId: 1234567890 }],
    ['track', 'B'],
    ['track', 'C'],
    ['track', 'startSession', { sessionId: 1234567890 }],
    ['track', 'D'],
    ['track', 'endSession'],
    ['track', 'E'],
  );
  await check(world, [
    ['page Home', before, ...policy.opening],
    ['Before', before],
    ['A', before],
    ['startSession', CONSUMED],
    ['B', 1234567890, START],
    ['C', 1234567890],
    ['startSession', CONSUMED],
    ['D', 1234567890, START],
    ['endSession', CONSUMED],
    ['E', NONE],
  ]);
}, { modes: BATCHING });

// Requests overtake each other: an event made after a control call may arrive before it, and then
// belongs to the time before the call. In any order, the session starts exactly once.
everywhere('control calls and events in one turn, side by side', async ({ world, tab, policy }) => {
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  const start = (name, sessionId) => tab.callAll(['track', 'startSession', { sessionId }], ['track', name]);

  const both = Promise.all([world.recorder.answered('startSession'), world.plane.got('A')]);
  await start('A', 1111111111);
  await both;
  await tab.send('track', 'After A');
  const { got } = rowsOf(world).find(({ label }) => label === 'A');
  const overtook = got.id !== 1111111111;

  // With the page's clock stopped, sentAt equals originalTimestamp, so an event happens when it is received.
  await tab.page.clock.setFixedTime(Date.now());

  // The call is faster.
  let release = world.recorder.hold('B');
  await start('B', 2222222222);
  await world.recorder.answered('startSession', 1);
  release();
  await world.plane.got('B');
  await tab.send('track', 'After B');

  // The event is faster.
  release = world.recorder.hold('startSession');
  await start('C', 3333333333);
  await world.plane.got('C');
  release();
  await world.recorder.answered('startSession', 2);
  await tab.send('track', 'After C');

  await check(world, await arranged(world, [
    ['page Home', before, ...policy.opening],
    inAnyOrder(['startSession', CONSUMED], overtook ? ['A', before] : ['A', 1111111111, START]),
    overtook ? ['After A', 1111111111, START] : ['After A', 1111111111],
    ['startSession', CONSUMED],
    ['B', 2222222222, START],
    ['After B', 2222222222],
    ['C', 2222222222],
    ['startSession', CONSUMED],
    ['After C', 3333333333, START],
  ]));
  assert.equal(await world.session({ anonymousId: tab.anonymousId }), 3333333333);
}, { modes: SINGLE, visitor: { fresh: true } });
