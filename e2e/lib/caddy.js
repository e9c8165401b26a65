import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { readAll } from './http.js';
import { WAIT } from './limits.js';
import { claimPort } from './port.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Replaces a text that must be there, so that a changed example is noticed. */
function replace(text, from, to) {
  if (!text.includes(from)) throw new Error(`Caddyfile.example has no ${JSON.stringify(from)}`);
  return text.replace(from, () => to);
}

/** The Caddyfile that is the template for production, with other options and ports. */
async function caddyfile({ directory, port }, { upstream, options, retries = true, site = '', store }) {
  let text = await readFile(join(ROOT, 'Caddyfile.example'), 'utf8');
  text = text.slice(0, text.indexOf('# The echo'));
  text = replace(text, '{\n', `{\n\tadmin ${adminOf(directory)}\n\tpersist_config off\n\tauto_https off\n\tgrace_period 1s\n`);
  text = replace(text, '\n\trudder_session\n', `\n\t${site}\n\trudder_session {\n\t\t${options.join('\n\t\t')}\n\t}\n`);
  text = replace(text, '{$RUDDER_SESSION_SITE:http://:8080}', `http://:${port}`);
  text = replace(text, '{$RUDDER_SESSION_BIND:127.0.0.1}', '127.0.0.1');
  text = replace(text, '{$RUDDERSTACK_DATA_PLANE_URL:http://127.0.0.1:8090}', upstream);
  if (store) text = replace(text, 'store file', `store ${store}`);
  if (!retries) text = replace(replace(text, 'lb_retries 15', 'lb_retries 0'), 'lb_try_duration 25s', 'lb_try_duration 0s');
  return text;
}

export function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

const socketOf = (directory) => join(directory, 'admin');
const adminOf = (directory) => `unix/${socketOf(directory)}`;
const programFor = ({ store }) => join(ROOT, store?.startsWith('redis') ? 'e2e/out/caddy-redis' : 'caddy');

/** Caddys that earlier scenarios have left: they have no site, and no sessions. */
const left = [];
after(() => Promise.all(left.map((caddy) => caddy.close())));

/** The real Caddy, in its own process, with its store in its own directory. */
export class Caddy {
  log = '';

  /**
   * Gets a scenario the Caddy of an earlier one, with another configuration, or else a new one:
   * to start a process takes more processor time than to serve most scenarios.
   */
  static async arrive(options) {
    const program = programFor(options);
    const index = left.findIndex((caddy) => caddy.program === program);
    if (index < 0) return Caddy.start(options);
    const [caddy] = left.splice(index, 1);
    caddy.log = '';
    await caddy.#load('text/caddyfile', await caddy.#configure(options));
    return caddy;
  }

  /** Leaves it, emptied, for another scenario. */
  async leave() {
    if (!this.#running) return this.close();
    // Its admin endpoint is all that it has; the sessions were closed with the last site.
    await this.#load('application/json', JSON.stringify({ admin: { listen: adminOf(this.directory), config: { persist: false } } }));
    await rm(join(this.directory, 'caddy'), { recursive: true, force: true });
    left.push(this);
  }

  /** Writes the file with which run() starts it, and returns the text. */
  async #configure(options) {
    const config = await caddyfile(this, options);
    await writeFile(join(this.directory, 'Caddyfile'), config);
    return config;
  }

  /**
   * Gives it another configuration; when this is done, nothing of the one before runs. The process
   * ends if it cannot be done.
   */
  async #load(type, config) {
    try {
      // The admin endpoint closes its connections with the configuration that they were made to.
      const sent = request({
        socketPath: socketOf(this.directory), path: '/load', method: 'POST', headers: { 'content-type': type }, agent: false,
      });
      sent.end(config);
      const [answer] = await once(sent, 'response');
      const text = await readAll(answer);
      if (answer.statusCode !== 200) throw new Error(`Caddy refuses its configuration: ${text}\n${this.log}`);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Starts it; `site` is more of the site's configuration, `store` another store than the file. */
  static async start(options) {
    const caddy = new Caddy();
    caddy.program = programFor(options);
    caddy.directory = await mkdtemp(join(tmpdir(), 'rudder-session-e2e-'));
    // Another program may take a free port before Caddy does.
    for (let attempt = 1; ; attempt++) {
      caddy.port = await claimPort();
      await caddy.#configure(options);
      try {
        await caddy.run();
        return caddy;
      } catch (error) {
        if (attempt === 3) {
          await caddy.close();
          throw error;
        }
      }
    }
  }

  /** Runs the process, for the first time or again, with the same store and port. */
  async run() {
    const { directory } = this;
    this.process = spawn(this.program, ['run', '--config', join(directory, 'Caddyfile'), '--adapter', 'caddyfile'], {
      env: { ...process.env, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = once(this.process, 'exit');
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (text) => (this.log += text));
    while (!(await accepts(this.port))) {
      if (!this.#running) throw new Error(`Caddy does not start:\n${this.log}`);
      await delay(10);
    }
  }

  get #running() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async stop() {
    if (!this.#running) return;
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), WAIT);
    await this.ended;
    clearTimeout(timer);
  }

  async close() {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}
