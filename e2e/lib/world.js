import { test } from 'node:test';

import { Caddy } from './caddy.js';
import { DataPlane } from './dataplane.js';
import { Recorder } from './recorder.js';
import { Site } from './site.js';
import { render } from './table.js';

export const WRITE_KEY = '2e2eWebsite';

/** All that a scenario runs in: an SDK's site, the recorder, Caddy and the data plane. */
export class World {
  closers = [];

  static async start({ automatic = 'sdk', options = [], retries } = {}) {
    const world = new World();
    try {
      world.plane = await world.#own(DataPlane.start({ writeKeys: [WRITE_KEY] }));
      world.caddy = await world.#own(
        Caddy.start({ upstream: world.plane.url, options: [`automatic ${automatic}`, `write_keys ${WRITE_KEY}`, ...options], retries }),
      );
      world.recorder = await world.#own(Recorder.start(world.caddy.port));
      world.site = await world.#own(Site.start());
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

  /** The address that SDKs have for their data plane. */
  get url() {
    return this.recorder.url;
  }

  async close() {
    for (const close of this.closers.reverse()) await close();
    this.closers = [];
  }

  /** Stops Caddy and starts it again. */
  async restartCaddy() {
    await this.caddy.stop();
    await this.caddy.run();
  }

  /** Calls a control endpoint as a backend does: {status, body}. */
  async control(name, message) {
    const response = await fetch(`${this.url}/v1/${name}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${WRITE_KEY}:`).toString('base64')}` },
      body: JSON.stringify(message),
    });
    return { status: response.status, body: await response.json() };
  }

  /** The current session, as the handler knows it. */
  async session(user) {
    const response = await fetch(`${this.url}/v1/session?${new URLSearchParams({ ...user, writeKey: WRITE_KEY })}`);
    return (await response.json()).sessionId;
  }
}

/** A test in a world of its own, that prints its table in any case. */
export function scenario(name, options, body) {
  test(name, { timeout: 90_000 }, async () => {
    const world = await World.start(options);
    try {
      await body(world);
      console.log(`\n${name}\n${render(world)}`);
    } catch (error) {
      console.log(`\n${name}: FAILED\n${render(world)}\n${world.caddy.log.slice(-4000)}`);
      throw error;
    } finally {
      await world.close();
    }
  });
}
