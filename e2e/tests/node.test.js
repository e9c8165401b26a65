import assert from 'node:assert/strict';

import Analytics from '@rudderstack/rudder-sdk-node';

import { check, CONSUMED, NONE, START } from '../lib/check.js';
import { bearsEvents, messagesOf } from '../lib/messages.js';
import { scenario, WRITE_KEY } from '../lib/world.js';

/** A backend with the SDK. Its first event goes at once and alone, the next `flushAt` together. */
function backend(world, flushAt) {
  const analytics = new Analytics(WRITE_KEY, { dataPlaneUrl: world.url, flushAt, flushInterval: 60_000, logLevel: 'error' });
  world.closers.push(() => clearTimeout(analytics.timer));
  return analytics;
}

scenario('node: one batch with several users and control calls in it', {}, async (world) => {
  const analytics = backend(world, 7);
  analytics.track({ userId: 'ann', event: 'Warm' });
  await world.plane.got('Warm');

  analytics.track({ userId: 'ann', event: 'Before' });
  analytics.track({ userId: 'ann', event: 'startSession', properties: { sessionId: 1234567890 } });
  analytics.track({ userId: 'ann', event: 'A' });
  analytics.track({ userId: 'bob', event: 'Of another user' });
  analytics.track({ userId: 'ann', event: 'B' });
  analytics.track({ userId: 'ann', event: 'endSession' });
  analytics.track({ userId: 'ann', event: 'C' });
  await world.plane.got('C');

  const [, batch] = world.recorder.requests.filter(bearsEvents);
  assert.equal(batch.headers['content-encoding'], 'gzip');
  assert.equal(messagesOf(batch).length, 7);
  await check(world, [
    ['Warm', NONE],
    ['Before', NONE],
    ['startSession', CONSUMED],
    ['A', 1234567890, START],
    ['Of another user', NONE],
    ['B', 1234567890],
    ['endSession', CONSUMED],
    ['C', NONE],
  ]);
});

scenario('node: a session by endpoint, over a restart of the proxy', {}, async (world) => {
  const analytics = backend(world, 1);
  const send = async (message) => {
    analytics.track(message);
    await world.plane.got(message.event);
  };
  const { status, body } = await world.control('startSession', { userId: 'ann' });
  assert.equal(status, 200);
  const id = body.sessionId;
  await send({ userId: 'ann', event: 'A' });
  await world.restartCaddy();
  await send({ userId: 'ann', event: 'B' });
  // The userId goes first where a server sends both.
  await send({ userId: 'ann', anonymousId: 'of this event alone', event: 'C' });
  assert.deepEqual(await world.control('endSession', { userId: 'ann' }), { status: 200, body: { sessionId: null } });
  await send({ userId: 'ann', event: 'D' });
  await check(world, [['A', id, START], ['B', id], ['C', id], ['D', NONE]]);
});
