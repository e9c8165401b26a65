import assert from 'node:assert/strict';

import { Visitor } from '../lib/browser.js';
import { AS_SENT, check, CONSUMED, START } from '../lib/check.js';
import { scenario } from '../lib/world.js';

for (const [sdk, mode] of [['v3', 'xhr'], ['v3', 'batch'], ['v3', 'beacon'], ['v1', 'xhr']]) {
  scenario(`JS ${sdk}, ${mode}: ids of one's own, by endpoint and by track`, {}, async (world) => {
    const tab = await (await Visitor.arrive(world, { sdk, mode })).open();
    const { anonymousId } = tab;
    await tab.send('track', 'Before');

    // With headers, so that the browser asks first, and with credentials.
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

    await tab.sendControl('startSession', { sessionId: 12.5 });
    const generated = await world.session({ anonymousId });
    assert.notEqual(generated, 9876543210);
    await tab.send('track', 'E');

    // The SDK's own session is another matter, and does not show.
    await tab.call('startSession', 1111111111);
    await tab.send('track', 'F');

    await check(world, [
      ['Before', AS_SENT, START],
      ['A', 1234567890, START],
      ['B', 1234567890],
      ['startSession', CONSUMED],
      ['C', 9876543210, START],
      ['D', 9876543210],
      ['startSession', CONSUMED],
      ['E', generated, START],
      ['F', generated],
    ]);
  });

  scenario(`JS ${sdk}, ${mode}: another user`, {}, async (world) => {
    const tab = await (await Visitor.arrive(world, { sdk, mode })).open();
    const { anonymousId } = tab;
    const { body: { sessionId: first } } = await tab.control('startSession');
    await tab.send('page', 'Home');
    await tab.send('identify', 'ann');
    await tab.send('identify', 'bob');
    const second = await world.session({ anonymousId });
    assert.notEqual(second, first);
    await tab.send('track', 'As bob');
    await check(world, [
      ['page Home', first, START],
      ['identify ann', first],
      ['identify bob', second, START],
      ['As bob', second],
    ]);
  });
}
