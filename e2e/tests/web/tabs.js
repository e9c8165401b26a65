import assert from 'node:assert/strict';

import { check, CONSUMED, NONE, START } from '../../lib/check.js';
import { arranged, everywhere, inAnyOrder, oneStarts } from '../../lib/web.js';

everywhere('two tabs at once', async ({ world, tab: first, visitor, sdk, policy }) => {
  const second = await visitor.open();
  assert.equal(second.anonymousId, first.anonymousId);
  const both = (...names) => {
    const tracks = names.map((name) => ['track', name]);
    return Promise.all([first.sendAll(...tracks.slice(0, names.length / 2)), second.sendAll(...tracks.slice(names.length / 2))]);
  };
  await first.send('page', 'Home');
  const before = await policy.current(first);
  await second.send('page', 'Second home');

  // A start in one tab holds in the other too, whatever the SDK's state there.
  await first.sendControl('startSession', { sessionId: 1234567890 });
  await second.send('track', 'In the second tab');
  await first.send('track', 'In the first tab');
  await both('A1', 'A2', 'B1', 'B2');

  const { body: { sessionId: id } } = await second.control('startSession');
  await both('C1', 'C2', 'D1', 'D2');
  await second.reload();
  await both('E1', 'F1');

  await first.control('endSession');
  await both('G1', 'H1');

  await check(world, await arranged(world, [
    ['page Home', before, ...policy.opening],
    // v1.1 keeps its mark in each tab's memory: its own session starts twice, unless it is adopted.
    ['page Second home', before, ...(sdk === 'v1' && policy.automatic === 'sdk' ? [START] : [])],
    ['startSession', CONSUMED],
    ['In the second tab', 1234567890, START],
    ['In the first tab', 1234567890],
    inAnyOrder(['A1', 1234567890], ['A2', 1234567890], ['B1', 1234567890], ['B2', 1234567890]),
    oneStarts(id, 'C1', 'C2', 'D1', 'D2'),
    inAnyOrder(['E1', id], ['F1', id]),
    inAnyOrder(['G1', NONE], ['H1', NONE]),
  ]));
});
