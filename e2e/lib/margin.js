import { setTimeout as delay } from 'node:timers/promises';

/**
 * How far apart, in milliseconds, two things must happen to be in that order for the proxy.
 *
 * The proxy takes an event to have happened at its arrival, less what lies between its
 * `originalTimestamp` and its `sentAt`. So the time that a request is on its way counts. And
 * the Node.js SDK and the service worker's give each message of a batch a `sentAt` of its own,
 * a millisecond later for the one than for the other: what was made in one millisecond changes
 * places. Everything here can go once the proxy orders what one device did by that device's
 * own clock.
 */
const MARGIN = 2_000;

/** The messages of a batch with times that are a margin apart, the last one now. */
export function spaced(messages) {
  const now = Date.now();
  return messages.map((message, i) => ({
    ...message, originalTimestamp: new Date(now - (messages.length - 1 - i) * MARGIN),
  }));
}

/** The fields of a control call that was made before all messages of a batch that `spaced` returns. */
export function beforeBatch() {
  const now = Date.now();
  return { originalTimestamp: new Date(now - 100 * MARGIN).toISOString(), sentAt: new Date(now).toISOString() };
}

/** Waits for longer than any request of this scenario has taken so far, and than a margin. */
export async function apart(world) {
  await world.settled();
  const slowest = Math.max(0, ...world.requests.map(({ at, answeredAt }) => answeredAt - at));
  await delay(MARGIN + 10 * slowest);
}
