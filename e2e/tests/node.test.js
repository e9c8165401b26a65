import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import Analytics from '@rudderstack/rudder-sdk-node';

import { check, CONSUMED, NONE, START } from '../lib/check.js';
import { bearsEvents, messagesOf } from '../lib/messages.js';
import { scenario, WRITE_KEY } from '../lib/world.js';

/** A backend with the SDK, which sends on request. The SDK sends its first event at once and alone. */
async function backend(world, options = {}) {
  const analytics = new Analytics(WRITE_KEY, {
    dataPlaneUrl: world.url, flushAt: 100, flushInterval: 600_000, logLevel: 'none', ...options,
  });
  world.closers.push(() => clearTimeout(analytics.flushTimer));
  analytics.track({ userId: 'starter', event: 'Started up' });
  await world.plane.got('Started up');
  return analytics;
}

/** Sends one event alone, and waits until the data plane has it. */
async function send(world, analytics, message) {
  analytics.track(message);
  await analytics.flush();
  await world.plane.got(message.event);
}

const batches = (world) => world.recorder.requests.filter(bearsEvents);

for (const gzip of [true, false]) {
  scenario(`node, ${gzip ? 'gzip' : 'plain'}: one batch with several users and control calls in it`, {}, async (world) => {
    const analytics = await backend(world, { gzip });
    const made = [];
    const track = (event, user, properties) => made.push({ ...user, event, properties });
    const [ann, bob, carl, dora] = [{ userId: 'ann' }, { userId: 'bob' }, { anonymousId: 'visitor' }, { userId: 'dora', anonymousId: 'made up' }];
    track('Before', ann);
    track('startSession', ann, { sessionId: 1234567890 });
    track('A', ann);
    track('Of another user', bob);
    track('startSession', carl, { sessionId: '2222222222' });
    track('B', ann);
    track('V', carl);
    track('startSession', dora, { sessionId: 3333333333 });
    track('D', dora);
    // The userId takes precedence if a server sends both.
    track('With another anonymousId', { ...dora, anonymousId: 'made up again' });
    track('With the anonymousId alone', { anonymousId: 'made up' });
    track('startSession', ann, { sessionId: 4444444444 });
    track('In the second', ann);
    track('endSession', ann);
    track('After the end', ann);
    track('W', carl);
    for (const message of made) analytics.track(message);
    await analytics.flush();

    const batch = batches(world)[1];
    assert.equal(batch.headers['content-encoding'], gzip ? 'gzip' : undefined);
    assert.equal(messagesOf(batch).length, 16);
    assert.deepEqual(
      world.plane.accepted.map(({ event }) => event),
      ['Started up', ...messagesOf(batch).map(({ event }) => event).filter((event) => !event.endsWith('Session'))],
    );
    await check(world, [
      ['Started up', NONE],
      ['Before', NONE],
      ['startSession', CONSUMED],
      ['A', 1234567890, START],
      ['Of another user', NONE],
      ['startSession', CONSUMED],
      ['B', 1234567890],
      ['V', 2222222222, START],
      ['startSession', CONSUMED],
      ['D', 3333333333, START],
      ['With another anonymousId', 3333333333],
      ['With the anonymousId alone', NONE],
      ['startSession', CONSUMED],
      ['In the second', 4444444444, START],
      ['endSession', CONSUMED],
      ['After the end', NONE],
      ['W', 2222222222],
    ]);
  });
}

for (const automatic of ['sdk', 'proxy', 'off']) {
  scenario(`node, automatic ${automatic}: sessions by endpoint and by track, over a restart of the proxy`, { automatic }, async (world) => {
    const since = Date.now();
    const analytics = await backend(world);
    const starter = await world.session({ userId: 'starter' });
    if (automatic === 'proxy') assert.ok(starter >= since - 1 && starter <= Date.now(), `${starter} is not the time of the event`);
    else assert.equal(starter, null);

    const ann = { userId: 'ann' };
    await send(world, analytics, { ...ann, event: 'Before' });
    const made = await world.session(ann);
    // An anonymousId that a server made up begins no automatic session.
    await send(world, analytics, { anonymousId: 'made up', event: 'Of no user' });
    assert.equal(await world.session({ anonymousId: 'made up' }), null);

    const { status, body } = await world.control('startSession', { ...ann, channel: 'server' });
    assert.equal(status, 200);
    await send(world, analytics, { ...ann, event: 'A' });
    await world.restartCaddy();
    await send(world, analytics, { ...ann, event: 'B' });
    await send(world, analytics, { ...ann, anonymousId: 'of this event alone', event: 'C' });
    await send(world, analytics, { ...ann, event: 'Of long ago', originalTimestamp: new Date(Date.now() - 86_400_000) });
    const long = world.plane.accepted.find(({ event }) => event === 'Of long ago').context;
    assert.deepEqual(await world.control('endSession', { ...ann, channel: 'server' }), { status: 200, body: { sessionId: null } });
    await send(world, analytics, { ...ann, event: 'D' });

    analytics.track({ ...ann, event: 'startSession', properties: { sessionId: 1234567890 } });
    await analytics.flush();
    assert.equal(await world.session(ann), 1234567890);
    await send(world, analytics, { ...ann, event: 'E', context: { sessionId: 1111111111 } });
    analytics.track({ ...ann, event: 'resetSession' });
    await analytics.flush();
    const reset = await world.session(ann);
    await send(world, analytics, { ...ann, event: 'F' });
    analytics.track({ ...ann, event: 'endSession' });
    await analytics.flush();
    await send(world, analytics, { ...ann, event: 'G' });

    const proxy = automatic === 'proxy';
    if (proxy) assert.ok(long.sessionId < made - 86_300_000, `${long.sessionId} is not of yesterday`);
    await check(world, [
      proxy ? ['Started up', starter, START] : ['Started up', NONE],
      proxy ? ['Before', made, START] : ['Before', NONE],
      ['Of no user', NONE],
      ['A', body.sessionId, START],
      ['B', body.sessionId],
      ['C', body.sessionId],
      proxy ? ['Of long ago', long.sessionId, START] : ['Of long ago', NONE],
      ['D', NONE],
      ['startSession', CONSUMED],
      ['E', 1234567890, START],
      ['resetSession', CONSUMED],
      ['F', reset, START],
      ['endSession', CONSUMED],
      ['G', NONE],
    ]);
  });
}

scenario('node: a visitor of the website, by anonymousId', {}, async (world) => {
  const analytics = await backend(world);
  const { body: { sessionId: id } } = await world.control('startSession', { anonymousId: 'visitor', channel: 'server' });
  await send(world, analytics, { anonymousId: 'visitor', event: 'Ordered' });
  await send(world, analytics, { anonymousId: 'visitor', userId: 'ann', event: 'Of ann' });
  // With `channel: server`, a control call belongs to the user too.
  await world.control('startSession', { anonymousId: 'visitor', userId: 'ann', channel: 'server', sessionId: 1234567890 });
  await send(world, analytics, { anonymousId: 'visitor', userId: 'ann', event: 'Of ann, in her session' });
  await send(world, analytics, { anonymousId: 'visitor', event: 'Paid' });
  analytics.identify({ anonymousId: 'visitor', userId: 'bob' });
  await analytics.flush();
  await check(world, [
    ['Started up', NONE],
    ['Ordered', id, START],
    ['Of ann', NONE],
    ['Of ann, in her session', 1234567890, START],
    ['Paid', id],
    // Bob has his own session, or none: his identify does not end the visitor's.
    ['identify bob', NONE],
  ]);
  assert.equal(await world.session({ anonymousId: 'visitor' }), id);
});

scenario('node: ids that break a rule', {}, async (world) => {
  const analytics = await backend(world);
  const ann = { userId: 'ann' };
  await world.control('startSession', { ...ann, channel: 'server', sessionId: 1234567890 });
  for (const [sessionId, error] of [
    ['123456789', 'sessionId must have at least 10 digits'],
    [1234567890.5, 'sessionId must be an integer'],
    [-1234567890, 'sessionId must be positive'],
    ['9007199254740992', 'sessionId must be at most 9007199254740991'],
    ['12a', 'sessionId must be a number, or a string of digits'],
  ]) {
    assert.deepEqual(await world.control('startSession', { ...ann, channel: 'server', sessionId }), { status: 400, body: { error } });
  }
  await send(world, analytics, { ...ann, event: 'Still in it' });

  // In a batch they cannot be refused: each begins a session with a generated id.
  const bad = ['123456789', 1234567890.5, -1234567890, '9007199254740992', '12a', true, {}, [1234567890]];
  const made = bad.flatMap((sessionId, i) => [
    { ...ann, event: 'startSession', properties: { sessionId } },
    { ...ann, event: `Event ${i}` },
  ]);
  for (const message of made) analytics.track(message);
  await analytics.flush();
  const ids = world.plane.accepted.filter(({ event }) => event.startsWith('Event ')).map(({ context }) => context.sessionId);
  assert.equal(new Set([1234567890, ...ids]).size, bad.length + 1, `${ids} are not all new`);
  await check(world, [
    ['Started up', NONE],
    ['Still in it', 1234567890, START],
    ...ids.flatMap((id, i) => [['startSession', CONSUMED], [`Event ${i}`, id, START]]),
  ]);
});

for (const how of [500, 429, 'hang up']) {
  // If Caddy itself retries, an SDK does not notice that a connection broke.
  scenario(`node: the data plane fails: ${how}`, { retries: false }, async (world) => {
    const analytics = await backend(world);
    const { body: { sessionId: id } } = await world.control('startSession', { userId: 'ann', channel: 'server' });
    world.plane.failOnce('First', how);
    analytics.track({ userId: 'ann', event: 'First' });
    analytics.track({ userId: 'bob', event: 'Of another user' });
    analytics.track({ userId: 'ann', event: 'Second' });
    await analytics.flush();
    await send(world, analytics, { userId: 'ann', event: 'Third' });
    const [, failed, again] = batches(world);
    assert.ok(failed.body.equals(again.body), 'the SDK sends the same bytes again');
    await check(world, [
      ['Started up', NONE],
      ['First', id, START, how],
      ['Of another user', NONE, how],
      ['Second', id, how],
      ['First', id, START],
      ['Of another user', NONE],
      ['Second', id],
      ['Third', id],
    ]);
  });

  scenario(`node: the data plane fails at a batch with control calls: ${how}`, { retries: false }, async (world) => {
    const analytics = await backend(world);
    const made = [];
    const track = (event, properties) => made.push({ userId: 'ann', event, properties });
    world.plane.failOnce('First', how);
    track('Before');
    track('startSession', { sessionId: 1234567890 });
    track('First');
    track('endSession');
    track('Between');
    track('startSession');
    track('In the next');
    for (const message of made) analytics.track(message);
    await analytics.flush();
    const generated = await world.session({ userId: 'ann' });
    await send(world, analytics, { userId: 'ann', event: 'Later' });
    const attempt = (status) => [
      ['Before', NONE, status],
      ['startSession', CONSUMED, status === 'hang up' ? 502 : status],
      ['First', 1234567890, START, status],
      ['endSession', CONSUMED, status === 'hang up' ? 502 : status],
      ['Between', NONE, status],
      ['startSession', CONSUMED, status === 'hang up' ? 502 : status],
      ['In the next', generated, START, status],
    ];
    await check(world, [['Started up', NONE], ...attempt(how), ...attempt(200), ['Later', generated]]);
  });
}

scenario('node: the data plane refuses the first event for good', {}, async (world) => {
  const analytics = await backend(world, { errorHandler: () => {} });
  const { body: { sessionId: id } } = await world.control('startSession', { userId: 'ann', channel: 'server' });
  world.plane.failOnce('Dropped', 400);
  analytics.track({ userId: 'ann', event: 'Dropped' });
  await analytics.flush();
  await send(world, analytics, { userId: 'ann', event: 'First that is stored' });
  await send(world, analytics, { userId: 'ann', event: 'Second' });
  await check(world, [
    ['Started up', NONE],
    ['Dropped', id, START, 400],
    ['First that is stored', id, START],
    ['Second', id],
  ]);
});

/** Starts a process, and waits until it has queued its events; `end` makes it send them and exit. */
async function startProcess(world, first, ...queued) {
  const script = fileURLToPath(new URL('../lib/backend.js', import.meta.url));
  const child = spawn(process.execPath, [script, WRITE_KEY, world.url, JSON.stringify([first, ...queued])], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  world.closers.push(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'queued');
  return {
    async end() {
      child.kill('SIGTERM');
      assert.equal((await lines.next()).value, 'flushed');
      assert.deepEqual(await ended, [0, null]);
    },
  };
}

scenario('node: events that are queued when the process ends', {}, async (world) => {
  const ann = { userId: 'ann' };
  const first = await startProcess(
    world,
    { ...ann, event: 'Started' },
    { ...ann, event: 'startSession', properties: { sessionId: 1234567890 } },
    { ...ann, event: 'A' },
    { ...ann, event: 'B' },
  );
  assert.deepEqual(world.plane.accepted.map(({ event }) => event), ['Started']);
  await first.end();
  assert.deepEqual(world.plane.accepted.map(({ event }) => event), ['Started', 'A', 'B']);

  // The session does not depend on the process.
  const second = await startProcess(world, { ...ann, event: 'Started again' }, { ...ann, event: 'C' }, { ...ann, event: 'endSession' }, { ...ann, event: 'D' });
  await second.end();
  await check(world, [
    ['Started', NONE],
    ['startSession', CONSUMED],
    ['A', 1234567890, START],
    ['B', 1234567890],
    ['Started again', 1234567890],
    ['C', 1234567890],
    ['endSession', CONSUMED],
    ['D', NONE],
  ]);
});
