import { Agent, request as send } from 'node:http';

import { listen, readAll, Waiters } from './http.js';
import { labelOf, messagesOf } from './messages.js';

/**
 * Stands between the SDKs and Caddy: passes everything on as it is, and records
 * what the SDKs sent and what they were answered.
 */
export class Recorder {
  requests = [];
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

  /** Waits until nothing is without an answer. */
  settled() {
    const done = () => this.requests.every(({ status }) => status !== undefined);
    return this.#waiters.until(done, 'all answers', () => this.#describe());
  }

  #describe() {
    return this.requests.map(({ method, url, status }) => `${method} ${url} -> ${status ?? '(none)'}`).join('\n');
  }

  async #serve(incoming, response) {
    const { method, url, headers, rawHeaders } = incoming;
    const request = { method, url, headers, rawHeaders, at: performance.now(), answeredAt: Infinity };
    try {
      request.body = await readAll(incoming);
    } catch {
      return; // A page that was left took its request with it.
    }
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
