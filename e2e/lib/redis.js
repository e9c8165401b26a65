import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { accepts } from './caddy.js';
import { claimPort } from './port.js';

/** Debian's redis-tools has the server under this name; the program behaves according to its name. */
const HIDDEN = '/usr/bin/redis-check-rdb';

/** A Redis that keeps nothing on the disk. */
export class Redis {
  static async start() {
    const redis = new Redis();
    for (let attempt = 1; ; attempt++) {
      redis.port = await claimPort();
      try {
        await redis.run();
        return redis;
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
  }

  async run() {
    const program = process.env.PATH.split(':').some((directory) => existsSync(`${directory}/redis-server`)) ? 'redis-server' : HIDDEN;
    this.process = spawn(program, ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
      argv0: 'redis-server', stdio: 'ignore',
    });
    this.ended = once(this.process, 'exit');
    while (!(await accepts(this.port))) {
      if (this.process.exitCode !== null) throw new Error('Redis does not start');
      await delay(10);
    }
  }

  /** The store option for Caddy. Each proxy sees at once what the other has written. */
  get store() {
    return `redis redis://127.0.0.1:${this.port} {\n\t\t\tconsistency strict\n\t\t}`;
  }

  async close() {
    this.process.kill('SIGTERM');
    await this.ended;
  }
}
