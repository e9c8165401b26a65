import { test } from 'node:test';

import { Caddy } from './caddy.js';
import { DataPlane } from './dataplane.js';
import { SCENARIO } from './limits.js';
import { Recorder } from './recorder.js';
import { Redis } from './redis.js';
import { Site } from './site.js';
import { render } from './table.js';

export const WRITE_KEY = '2e2eWebsite';
/** The write key of a backend with its own source. */
export const BACKEND_KEY = '2e2eBackend';

/**
 * The environment of a scenario: an SDK's site, the recorder, Caddy and the data plane.
 * With `proxies: 2` there are two Caddys, which share a Redis, each with a recorder in front
 * of it. Backends use the second one.
 */
export class World {
  closers = [];
  recorders = [];
  /** Whether the scenario has failed. */
  failed = false;

  static async start({ automatic = 'sdk', options = [], retries, proxies = 1, writeKeys = [WRITE_KEY] } = {}) {
    const world = new World();
    try {
      world.plane = await world.#own(DataPlane.start({ writeKeys }));
      const redis = proxies > 1 ? await world.#own(Redis.start()) : undefined;
      for (let i = 0; i < proxies; i++) {
        const caddy = await Caddy.arrive({
          upstream: world.plane.url, retries, store: redis?.store,
          options: [`automatic ${automatic}`, `write_keys ${writeKeys.join(' ')}`, ...options],
        });
        world.closers.push(() => caddy.leave());
        world.caddy ??= caddy;
        world.recorders.push(await world.#own(Recorder.start(caddy.port)));
      }
      world.recorder = world.recorders[0];
      world.site = await Site.shared();
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  async #own(starting) {
    const started = await starting;
    this.closers.push(() => started.close());
    return started;
  }

  /** The address of the data plane for SDKs. */
  get url() {
    return this.recorder.url;
  }

  /** The address of the data plane for backends. */
  get backendUrl() {
    return this.recorders.at(-1).url;
  }

  /** What SDKs sent, in the order of arrival. */
  get requests() {
    return this.recorders.flatMap(({ requests }) => requests).sort((a, b) => a.at - b.at);
  }

  async settled() {
    for (const recorder of this.recorders) await recorder.settled();
  }

  /** Stops everything, also if something cannot be; what failed first is thrown. */
  async close() {
    const errors = [];
    for (const close of this.closers.reverse()) {
      try {
        await close();
      } catch (error) {
        errors.push(error);
      }
    }
    this.closers = [];
    if (errors.length > 0) throw errors[0];
  }

  /** Stops Caddy and starts it again. */
  async restartCaddy() {
    await this.caddy.stop();
    await this.caddy.run();
  }

  /** Calls a control endpoint like a backend: {status, body}. */
  async control(name, message) {
    const response = await fetch(`${this.url}/v1/${name}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${WRITE_KEY}:`).toString('base64')}` },
      body: JSON.stringify({ originalTimestamp: new Date(), sentAt: new Date(), ...message }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** The current session, according to the handler. */
  async session(user, url = this.url) {
    const response = await fetch(`${url}/v1/session?${new URLSearchParams({ ...user, writeKey: WRITE_KEY })}`);
    return (await response.json()).sessionId;
  }
}

/** A test in its own environment. It prints its table, with E2E_TABLES=failed only if it fails. */
export function scenario(name, options, body) {
  test(name, { timeout: SCENARIO }, async () => {
    const world = await World.start(options);
    try {
      await body(world);
      if (process.env.E2E_TABLES !== 'failed') console.log(`\n${name}\n${render(world)}`);
    } catch (error) {
      world.failed = true;
      console.log(`\n${name}: FAILED\n${render(world)}\n${world.caddy.log.slice(-4000)}`);
      throw error;
    } finally {
      await world.close();
    }
  });
}
