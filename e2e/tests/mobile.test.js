import assert from 'node:assert/strict';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';

import { AS_SENT, check, NONE, START } from '../lib/check.js';
import { scenario, WRITE_KEY } from '../lib/world.js';

const MINUTE = 60_000;

/** How each SDK sends a batch, as its source says: none of them runs without a phone. */
const SDKS = {
  'Android': { library: 'com.rudderstack.android.sdk.core', header: (id) => base64(id), gzip: true },
  'Kotlin': { library: 'com.rudderstack.sdk.kotlin.android', header: (id) => base64(id), gzip: true, chunked: true },
  'iOS': { library: 'rudder-ios-library', header: (id) => base64(`${id}:`), gzip: true },
  'Swift': { library: 'rudder-sdk-swift', header: (id) => id },
};

const base64 = (text) => Buffer.from(text).toString('base64');

/**
 * An app on a phone, whose clock the scenario sets and is ten hours slow: it queues
 * events and sends them later. The proxy's clock does not jump: only what passes
 * between two events of one batch is time to it.
 */
class Phone {
  #queue = [];
  #made = 0;

  constructor(world, sdk) {
    Object.assign(this, { world, sdk, anonymousId: `phone-${sdk.library}`, now: Date.now() - 600 * MINUTE });
  }

  /** Queues a track made `minutes` after the one before, with the SDK's own session if it has one. */
  track(event, minutes, session, properties) {
    this.now += minutes * MINUTE;
    this.#queue.push({
      messageId: `${this.sdk.library}-${++this.#made}`, channel: 'mobile',
      context: { library: { name: this.sdk.library, version: '1.0.0' }, ...session },
      type: 'track', originalTimestamp: new Date(this.now).toISOString(),
      anonymousId: this.anonymousId, event, properties,
    });
  }

  /** Sends what is queued in one batch. */
  async flush() {
    const sentAt = new Date(this.now).toISOString();
    const text = JSON.stringify({ sentAt, batch: this.#queue.splice(0) });
    const body = this.sdk.gzip ? gzipSync(text) : Buffer.from(text);
    const outgoing = request(`${this.world.url}/v1/batch`, {
      method: 'POST',
      headers: {
        Authorization: `Basic ${base64(`${WRITE_KEY}:`)}`, 'Content-Type': 'application/json',
        AnonymousId: this.sdk.header(this.anonymousId),
        ...(this.sdk.gzip && { 'Content-Encoding': 'gzip' }),
        ...(this.sdk.chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': body.length }),
      },
    });
    outgoing.end(body);
    const status = await new Promise((resolve, reject) => {
      outgoing.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
    });
    assert.equal(status, 200);
  }
}

for (const [name, sdk] of Object.entries(SDKS)) {
  for (const tracks of [true, false]) {
    scenario(`${name}, automatic tracking ${tracks ? 'on' : 'off'}: install, background, timeout, cold start`, {}, async (world) => {
      const phone = new Phone(world, sdk);
      /** The SDK's own session, where it has one. */
      const own = (sessionId, start) => (tracks ? { sessionId, ...(start && { sessionStart: true }) } : {});
      const open = (background, session) => phone.track('Application Opened', 0, session, { from_background: background });
      phone.track('Application Installed', 0, own(1700000001, true));
      open(false, own(1700000001));
      await phone.flush();

      const { body } = await world.control('startSession', { anonymousId: phone.anonymousId, sessionId: 1234567890 });
      assert.equal(body.sessionId, 1234567890);
      phone.track('A', 0, own(1700000001));
      phone.track('Application Backgrounded', 0, own(1700000001));
      await phone.flush();
      // Back after more than the SDK's timeout: its session rotates, the manual one does not.
      open(true, own(1700000002, true));
      phone.track('B', 0, own(1700000002));
      await phone.flush();
      // Closed and opened.
      open(false, own(1700000003, true));
      phone.track('C', 0, own(1700000003));
      await phone.flush();

      const before = tracks ? AS_SENT : NONE;
      const mark = tracks ? [START] : [];
      const after = tracks ? AS_SENT : 1234567890;
      await check(world, [
        ['Application Installed', before, ...mark],
        ['Application Opened', before],
        ['A', 1234567890, START],
        ['Application Backgrounded', 1234567890],
        ['Application Opened', 1234567890],
        ['B', 1234567890],
        ['Application Opened', after, ...mark],
        ['C', after],
      ]);
    });
  }

  scenario(`${name}: hours offline, and a flush`, { automatic: 'off' }, async (world) => {
    const phone = new Phone(world, sdk);
    await world.control('startSession', { anonymousId: phone.anonymousId, sessionId: 1234567890 });
    phone.track('Now', 0, {});
    await phone.flush();
    phone.track('Six hours ago', 1, { sessionId: 1700000001, sessionStart: true });
    phone.track('Just before the flush', 6 * 60, { sessionId: 1700000001 });
    await phone.flush();
    await check(world, [
      ['Now', 1234567890, START],
      ['Six hours ago', NONE],
      ['Just before the flush', 1234567890],
    ]);
  });
}
