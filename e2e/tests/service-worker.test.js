import assert from 'node:assert/strict';

import { check, CONSUMED, NONE, START } from '../lib/check.js';
import { bearsEvents, messagesOf } from '../lib/messages.js';
import { ServiceWorker } from '../lib/worker.js';
import { scenario } from '../lib/world.js';

/** The labels of the batches that the worker sent, each time that it sent them. */
const batchesOf = (world) => world.recorder.requests.filter(bearsEvents).map((request) => messagesOf(request).map(({ event }) => event));

for (const automatic of ['sdk', 'proxy', 'off']) {
  scenario(`service worker, automatic ${automatic}: sessions by endpoint and by track`, { automatic }, async (world) => {
    const worker = await ServiceWorker.register(world);
    const user = { anonymousId: 'extension-1' };
    const since = Date.now();
    await worker.send('track', { ...user, event: 'Installed' });
    const made = await world.session(user);
    if (automatic === 'proxy') assert.ok(made >= since - 1 && made <= Date.now(), `${made} is not the time of the first event`);
    else assert.equal(made, null);
    await worker.send('page', { ...user, name: 'Popup' });

    // From another origin and with headers: the browser sends a preflight.
    const started = await worker.control('startSession', user);
    assert.equal(started.status, 200);
    assert.ok(world.recorder.requests.some(({ method, url }) => method === 'OPTIONS' && url === '/v1/startSession'), 'no preflight');
    const id = started.body.sessionId;
    assert.equal(await world.session(user), id);
    await worker.send('track', { ...user, event: 'By endpoint' });
    await worker.send('screen', { ...user, name: 'Options' });
    assert.deepEqual(await worker.control('endSession', user), { status: 200, body: { sessionId: null } });
    await worker.send('track', { ...user, event: 'Ended by endpoint' });

    await worker.sendControl('startSession', { ...user, properties: { sessionId: 1234567890 } });
    assert.equal(await world.session(user), 1234567890);
    await worker.send('group', { ...user, groupId: 'g1' });
    await worker.send('identify', { ...user, userId: 'ann', traits: { plan: 'free' } });
    await worker.send('alias', { ...user, userId: 'ann', previousId: 'extension-1' });
    await worker.sendControl('endSession', user);
    await worker.send('track', { ...user, event: 'Ended by track' });

    const { channel, context } = world.plane.accepted[0];
    assert.equal(channel, 'service-worker');
    assert.equal(context.library.name, 'analytics-service-worker');
    const before = automatic === 'proxy' ? made : NONE;
    await check(world, [
      ['Installed', before, ...(automatic === 'proxy' ? [START] : [])],
      ['page Popup', before],
      ['By endpoint', id, START],
      ['screen Options', id],
      ['Ended by endpoint', NONE],
      ['startSession', CONSUMED],
      ['group g1', 1234567890, START],
      ['identify ann', 1234567890],
      ['alias', 1234567890],
      ['endSession', CONSUMED],
      ['Ended by track', NONE],
    ]);
  });
}

scenario('service worker: two users and their control calls in one batch', {}, async (world) => {
  const worker = await ServiceWorker.register(world);
  const [ann, bob] = [{ anonymousId: 'a-ann' }, { userId: 'bob' }];
  await worker.send('track', { ...ann, event: 'Alone' });
  await worker.trackAll(
    { ...ann, event: 'A1' },
    { ...ann, event: 'startSession', properties: { sessionId: 1234567890 } },
    { ...bob, event: 'B1' },
    { ...ann, event: 'A2' },
    { ...bob, event: 'startSession', properties: { sessionId: '9876543210' } },
    { ...ann, event: 'A3' },
    { ...bob, event: 'B2' },
    { ...ann, event: 'endSession' },
    { ...ann, event: 'A4' },
    { ...bob, event: 'B3' },
  );
  assert.equal(await worker.flush(), 'sent');
  assert.deepEqual(batchesOf(world).map(({ length }) => length), [1, 10]);
  assert.deepEqual(world.plane.accepted.map(({ event }) => event), ['Alone', 'A1', 'B1', 'A2', 'A3', 'B2', 'A4', 'B3']);
  await check(world, [
    ['Alone', NONE],
    ['A1', NONE],
    ['startSession', CONSUMED],
    ['B1', NONE],
    ['A2', 1234567890, START],
    ['startSession', CONSUMED],
    ['A3', 1234567890],
    ['B2', 9876543210, START],
    ['endSession', CONSUMED],
    ['A4', NONE],
    ['B3', 9876543210],
  ]);
});

scenario('service worker: a batch of control calls alone is taken', {}, async (world) => {
  const worker = await ServiceWorker.register(world);
  const user = { anonymousId: 'extension-1' };
  await worker.send('track', { ...user, event: 'Alone' });
  await worker.trackAll(
    { ...user, event: 'startSession', properties: { sessionId: 1234567890 } },
    { ...user, event: 'endSession' },
    { ...user, event: 'startSession', properties: { sessionId: 1234567890 } },
  );
  assert.equal(await worker.flush(), 'sent');
  const last = world.recorder.requests.at(-1);
  assert.equal(`${last.status} ${last.answer} ${last.answerHeaders['content-type']}`, '200 ok text/plain; charset=utf-8');
  await worker.send('track', { ...user, event: 'In the second' });
  await check(world, [
    ['Alone', NONE],
    ['startSession', CONSUMED],
    ['endSession', CONSUMED],
    ['startSession', CONSUMED],
    ['In the second', 1234567890, START],
  ]);
});

scenario('service worker: ids that break a rule', {}, async (world) => {
  const worker = await ServiceWorker.register(world);
  const user = { anonymousId: 'extension-1' };
  assert.deepEqual(await worker.control('startSession', { ...user, sessionId: 1234567890 }), { status: 200, body: { sessionId: 1234567890 } });
  for (const [sessionId, error] of [
    [123456789, 'sessionId must have at least 10 digits'],
    [1234567890.5, 'sessionId must be an integer'],
    [-1234567890, 'sessionId must be positive'],
    [2 ** 53, 'sessionId must be at most 9007199254740991'],
    [true, 'sessionId must be a number, or a string of digits'],
  ]) {
    assert.deepEqual(await worker.control('startSession', { ...user, sessionId }), { status: 400, body: { error } });
  }
  assert.deepEqual(await worker.control('startSession', { sessionId: 1234567890 }), { status: 400, body: { error: 'anonymousId or userId is required' } });
  await worker.send('track', { ...user, event: 'Still in it' });

  // A track cannot be refused: a session begins with a generated id.
  await worker.sendControl('startSession', { ...user, properties: { sessionId: 'my session' } });
  const generated = await world.session(user);
  assert.notEqual(generated, 1234567890);
  await worker.send('track', { ...user, event: 'In a generated one' });
  await check(world, [
    ['Still in it', 1234567890, START],
    ['startSession', CONSUMED],
    ['In a generated one', generated, START],
  ]);
});

for (const how of [500, 429, 'hang up']) {
  // If Caddy itself retries, an SDK does not notice that a connection broke.
  scenario(`service worker: the data plane fails: ${how}`, { retries: false }, async (world) => {
    const worker = await ServiceWorker.register(world);
    const user = { anonymousId: 'extension-1' };
    await worker.send('track', { ...user, event: 'Alone' });
    world.plane.failOnce('First', how);
    await worker.trackAll(
      { ...user, event: 'Before' },
      { ...user, event: 'startSession', properties: { sessionId: 1234567890 } },
      { ...user, event: 'First' },
      { ...user, event: 'Second' },
    );
    assert.equal(await worker.flush(), 'sent');
    await worker.send('track', { ...user, event: 'Third' });

    const batches = batchesOf(world);
    assert.deepEqual(batches[2], batches[1], 'the batch came again');
    await check(world, [
      ['Alone', NONE],
      ['Before', NONE, how],
      ['startSession', CONSUMED, how === 'hang up' ? 502 : how],
      ['First', 1234567890, START, how],
      ['Second', 1234567890, how],
      ['Before', NONE],
      ['startSession', CONSUMED],
      ['First', 1234567890, START],
      ['Second', 1234567890],
      ['Third', 1234567890],
    ]);
  });
}

scenario('service worker: the browser stops it, the proxy starts anew', {}, async (world) => {
  const worker = await ServiceWorker.register(world);
  const user = { anonymousId: 'extension-1' };
  const { body: { sessionId: id } } = await worker.control('startSession', user);
  await worker.send('track', { ...user, event: 'Before' });
  await worker.call('track', { ...user, event: 'Lost: it is in memory alone' });
  await worker.stop();
  await worker.send('track', { ...user, event: 'In a new worker' });
  await world.restartCaddy();
  await worker.send('track', { ...user, event: 'Through a new proxy' });
  await check(world, [
    ['Before', id, START],
    ['In a new worker', id],
    ['Through a new proxy', id],
  ]);
});

scenario('service worker: another user, and a reset', {}, async (world) => {
  const worker = await ServiceWorker.register(world);
  const user = { anonymousId: 'extension-1' };
  const { body: { sessionId: first } } = await worker.control('startSession', user);
  await worker.send('identify', { ...user, userId: 'ann' });
  await worker.send('identify', { ...user, userId: 'bob' });
  const second = await world.session(user);
  await worker.send('track', { ...user, event: 'As bob' });
  await worker.sendControl('resetSession', user);
  const third = await world.session(user);
  assert.equal(new Set([first, second, third]).size, 3);
  await worker.send('track', { ...user, event: 'After the reset' });
  // An id that the application itself puts into an event is replaced.
  await worker.send('track', { ...user, event: "With the application's own", context: { sessionId: 1111111111, sessionStart: true } });
  await check(world, [
    ['identify ann', first, START],
    ['identify bob', second, START],
    ['As bob', second],
    ['resetSession', CONSUMED],
    ['After the reset', third, START],
    ["With the application's own", third],
  ]);
});
