import { createServer } from 'node:http';

import { WAIT } from './limits.js';

/** Reads the whole body of a message. */
export async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A server on a free port of loopback: {server, port, url, close}. */
export async function listen(handler, maxHeaderSize = 1 << 20) {
  const server = createServer({ maxHeaderSize }, handler);
  // Tests wait for requests, and browsers keep connections open: there is no idle timeout.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address();
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { server, port, url: `http://127.0.0.1:${port}`, close };
}

/** Conditions to wait for. `changed()` makes every waiter check its condition again. */
export class Waiters {
  #waiting = new Set();

  changed() {
    for (const look of this.#waiting) look();
  }

  /** Resolves to the first truthy value of `condition`; fails with the text of `describe`. */
  until(condition, what, describe = () => '') {
    return new Promise((resolve, reject) => {
      const look = () => {
        let value;
        try {
          value = condition();
        } catch (error) {
          value = Promise.reject(error);
        }
        if (!value) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(value);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`waited ${WAIT / 1000} s for ${what}\n${describe()}`));
      }, WAIT);
      this.#waiting.add(look);
      look();
    });
  }
}
