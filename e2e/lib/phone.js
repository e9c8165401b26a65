import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';

import { WRITE_KEY } from './world.js';

const MINUTE = 60_000;
const base64 = (text) => Buffer.from(text).toString('base64');

/**
 * What each SDK does, according to its source code: none of them runs without a phone.
 * `header` is its AnonymousId header; `resets`: another user gets a new anonymousId
 * and a new session of the SDK; `drops`: a batch that is refused with 400 is deleted,
 * where the others send it again; `keepsMark`: a start mark that no event has carried yet
 * outlives the process.
 */
export const SDKS = {
  'Android': {
    library: { name: 'com.rudderstack.android.sdk.core', version: '1.28.0' }, os: 'Android',
    header: base64, gzip: true, sentAtFirst: true,
  },
  'Kotlin': {
    library: { name: 'com.rudderstack.sdk.kotlin.android', version: '1.6.0' }, os: 'Android',
    header: base64, gzip: true, chunked: true, resets: true, keepsMark: true, drops: true, oneUserPerBatch: true, retryHeaders: true,
  },
  'iOS': {
    library: { name: 'rudder-ios-library', version: '1.31.0' }, os: 'iOS',
    // Created when the SDK starts, and never changed.
    header: (id) => base64(`${id}:`), staleHeader: true, gzip: true, sentAtFirst: true,
  },
  'Swift': {
    library: { name: 'rudder-sdk-swift', version: '1.3.1' }, os: 'iOS',
    header: (id) => id, resets: true, keepsMark: true, drops: true, retryHeaders: true,
  },
};

/**
 * An app with an SDK, on a phone whose clock is ten hours slow and can be put forward. The
 * proxy's clock does not jump: for the proxy, the only time that passes is that between the
 * events of a batch. `tracks` says whether the SDK makes sessions itself.
 *
 * `own` is the SDK's session, which its getSessionId() returns. Starting or ending a session by
 * hand turns automatic sessions off until the next start of the app, which then begins a new
 * one. If automatic sessions are disabled, the session outlives the app.
 */
export class Phone {
  #queue = [];
  #skew = -600 * MINUTE;
  #anonymousIdAtStart;

  constructor(world, sdk, tracks) {
    Object.assign(this, { world, sdk, tracks, automatic: tracks, anonymousId: randomUUID() });
    this.#anonymousIdAtStart = this.anonymousId;
  }

  get now() {
    return Date.now() + this.#skew;
  }

  wait(minutes) {
    this.#skew += minutes * MINUTE;
  }

  /** The first start of the app. */
  install() {
    this.#look();
    this.track('Application Installed', { version: '1.0', build: 1 });
    this.track('Application Opened', { from_background: false, version: '1.0' });
  }

  /** A start of the app after it was closed. */
  start() {
    this.#process();
    this.track('Application Opened', { from_background: false, version: '1.0' });
  }

  /** A start after an update of the app. */
  update() {
    this.#process();
    this.track('Application Updated', { previous_version: '1.0', version: '1.1', previous_build: 1, build: 2 });
    this.track('Application Opened', { from_background: false, version: '1.1' });
  }

  #process() {
    this.#anonymousIdAtStart = this.anonymousId;
    if (this.tracks && !this.automatic) this.own = undefined;
    this.automatic = this.tracks;
    if (this.own && !this.sdk.keepsMark) this.own = { sessionId: this.own.sessionId };
    this.#look();
  }

  /** The SDK's own call, which sends nothing. */
  startSession(sessionId) {
    this.automatic = false;
    this.#begin(sessionId);
  }

  endSession() {
    this.automatic = false;
    this.own = undefined;
  }

  background() {
    this.track('Application Backgrounded');
  }

  foreground() {
    this.#look();
    this.track('Application Opened', { from_background: true });
  }

  track(event, properties) {
    return this.#add({ type: 'track', event, properties });
  }

  screen(name) {
    return this.#add({ type: 'screen', event: name, properties: { name } });
  }

  identify(userId) {
    if (this.sdk.resets && this.userId && this.userId !== userId) {
      this.anonymousId = randomUUID();
      if (this.own) this.#begin();
    }
    this.userId = userId;
    return this.#add({ type: 'identify', event: 'identify' });
  }

  /** The SDK checks its own session only when the app starts or comes back; its timeout is 5 minutes. */
  #look() {
    if (!this.automatic) return;
    if (!this.own || Math.abs(this.now - this.last) > 5 * MINUTE) this.#begin();
  }

  /** The ids are seconds. Also in the SDKs, two sessions of one second have the same id. */
  #begin(sessionId = Math.floor(this.now / 1000)) {
    this.own = { sessionId, sessionStart: true };
  }

  #add(fields) {
    const now = this.now;
    const { type, ...rest } = fields;
    const message = {
      messageId: randomUUID(), channel: 'mobile',
      context: {
        app: { name: 'demo', version: '1.0' }, traits: this.userId ? { id: this.userId, userId: this.userId } : {}, library: this.sdk.library,
        os: { name: this.sdk.os, version: '15' }, locale: 'en-US', timezone: 'UTC', ...this.own,
      },
      type, originalTimestamp: new Date(now).toISOString(), anonymousId: this.anonymousId, ...rest,
      integrations: { All: true }, ...(this.userId && { userId: this.userId }),
    };
    this.last = now;
    if (this.own) this.own = { sessionId: this.own.sessionId };
    this.#queue.push(message);
    return message;
  }

  /** Sends what is queued, batch by batch, each until it is accepted or given up, and returns the answers. */
  async flush() {
    const answers = [];
    while (this.#queue.length > 0) {
      const size = this.#sizeOfNext();
      for (let attempt = 0; ; attempt++) {
        const status = await this.#send(this.#queue.slice(0, size), attempt, answers.at(-1));
        answers.push(status);
        if (status === 200 || (status === 400 && this.sdk.drops)) break;
        if (attempt === 4) throw new Error(`the batch is answered ${answers}`);
      }
      this.#queue.splice(0, size);
    }
    return answers;
  }

  #sizeOfNext() {
    const other = this.sdk.oneUserPerBatch ? this.#queue.findIndex(({ anonymousId }) => anonymousId !== this.#queue[0].anonymousId) : -1;
    return Math.min(30, other < 0 ? this.#queue.length : other);
  }

  /** One attempt, with the phone's current time. */
  async #send(messages, attempt, before) {
    const { sdk } = this;
    const sentAt = new Date(this.now).toISOString();
    const batch = messages.map((message) => ({ ...message, sentAt }));
    const text = JSON.stringify(sdk.sentAtFirst ? { sentAt, batch } : { batch, sentAt });
    const body = sdk.gzip ? gzipSync(text) : Buffer.from(text);
    const id = sdk.staleHeader ? this.#anonymousIdAtStart : messages[0].anonymousId;
    const outgoing = request(`${this.world.url}/v1/batch`, {
      method: 'POST',
      headers: {
        'Authorization': `Basic ${base64(`${WRITE_KEY}:`)}`, 'Content-Type': 'application/json', 'AnonymousId': sdk.header(id),
        ...(sdk.gzip && { 'Content-Encoding': 'gzip' }),
        ...(sdk.chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': body.length }),
        ...(sdk.retryHeaders && attempt > 0 && {
          'Rsa-Retry-Attempt': `${attempt}`, 'Rsa-Since-Last-Attempt': '3000', 'Rsa-Retry-Reason': `server-${before}`,
        }),
      },
    });
    return new Promise((resolve, reject) => {
      outgoing.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject).end(body);
    });
  }
}
