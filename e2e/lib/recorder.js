import { Agent, request as send } from 'node:http';

import { listen, readAll, Waiters } from './http.js';
import { labelOf, messagesOf, pathOf } from './messages.js';

/**
 * A proxy between the SDKs and Caddy. It forwards everything unchanged, and records the
 * requests of the SDKs and the answers.
 */
export class Recorder {
  requests = [];
  #held = [];
  #agent = new Agent({ keepAlive: false });
  #waiters = new Waiters();

  static async start(port) {
    const recorder = new Recorder();
    recorder.upstream = port;
    const { url, close } = await listen((incoming, response) => recorder.#serve(incoming, response));
    return Object.assign(recorder, { url, close });
  }

  /** How often a message of this label was answered, whatever the answer. */
  count(label) {
    return this.requests
      .filter(({ status }) => status !== undefined)
      .flatMap(messagesOf)
      .filter((message) => labelOf(message) === label).length;
  }

  /** Waits until a message of this label was answered more than `count` times. */
  answered(label, count = 0) {
    return this.#waiters.until(() => this.count(label) > count, `an answer to "${label}"`, () => this.#describe());
  }

  /** Waits until a control endpoint has answered more than `count` calls, and returns the last answer. */
  async called(name, count = 0) {
    const calls = () => this.requests.filter((request) => pathOf(request) === `/v1/${name}` && request.method === 'POST' && request.status);
    await this.#waiters.until(() => calls().length > count, `a call of "${name}"`, () => this.#describe());
    const { status, answer } = calls().at(-1);
    return { status, body: JSON.parse(answer) };
  }

  /**
   * Holds back requests with a message of this label, except the first `skip`, like a slow
   * network, until the returned function is called.
   */
  hold(label, skip = 0) {
    const held = { label, skip };
    const released = new Promise((resolve) => (held.release = resolve));
    held.released = released;
    this.#held.push(held);
    return () => {
      this.#held.splice(this.#held.indexOf(held), 1);
      held.release();
    };
  }

  /** Waits while a request is held back. */
  async #pass(request) {
    for (const held of [...this.#held]) {
      if (!messagesOf(request).some((message) => labelOf(message) === held.label)) continue;
      if (held.skip-- > 0) continue;
      await held.released;
    }
  }

  /** Waits until every request is answered. */
  settled() {
    const done = () => this.requests.every(({ status }) => status !== undefined);
    return this.#waiters.until(done, 'all answers', () => this.#describe());
  }

  #describe() {
    return this.requests.map(({ method, url, status }) => `${method} ${url} -> ${status ?? '(none)'}`).join('\n');
  }

  async #serve(incoming, response) {
    const { method, url, headers, rawHeaders } = incoming;
    const request = { method, url, headers, rawHeaders, answeredAt: Infinity };
    try {
      request.body = await readAll(incoming);
    } catch {
      return; // The page was closed, and its request with it.
    }
    await this.#pass(request);
    request.at = performance.now();
    this.requests.push(request);
    this.#waiters.changed();
    const done = (status) => {
      request.status = status;
      request.answeredAt = performance.now();
      this.#waiters.changed();
    };
    const outgoing = send({
      host: '127.0.0.1', port: this.upstream, method, path: url, headers: rawHeaders, setHost: false, agent: this.#agent,
    });
    outgoing.on('error', () => {
      done('no answer');
      incoming.socket.destroy();
    });
    outgoing.on('response', async (answer) => {
      request.answer = await readAll(answer);
      request.answerHeaders = answer.headers;
      response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      response.end(request.answer);
      done(answer.statusCode);
    });
    outgoing.end(request.body);
  }
}
