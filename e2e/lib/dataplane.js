import { answerOf, corsOf, MAX_HEADERS, Refusal } from './gateway.js';
import { listen, readAll, Waiters } from './http.js';
import { labelOf, messagesOf } from './messages.js';

/**
 * A fake RudderStack data plane: answers requests like its gateway, and records them. Sources of `writeKeys` are enabled, those of `disabled` are not.
 */
export class DataPlane {
  requests = [];
  #faults = [];
  #waiters = new Waiters();

  static async start({ writeKeys, disabled = [] }) {
    const plane = new DataPlane();
    plane.sources = new Map([
      ...writeKeys.map((key) => [key, { enabled: true }]),
      ...disabled.map((key) => [key, { enabled: false }]),
    ]);
    const { url, port, close } = await listen((request, response) => plane.#serve(request, response), MAX_HEADERS);
    return Object.assign(plane, { url, port, close });
  }

  /** Fails the next request that has a message of this label: with a status, or with 'hang up'. */
  failOnce(label, how) {
    this.#faults.push({ label, how });
  }

  /** The accepted messages, in the order of arrival, without repeats. */
  get accepted() {
    const ids = new Set();
    return this.requests.filter(({ status }) => status === 200).flatMap(messagesOf).filter(({ messageId }) => {
      const again = messageId !== undefined && ids.has(messageId);
      ids.add(messageId);
      return !again;
    });
  }

  count(label) {
    return this.accepted.filter((message) => labelOf(message) === label).length;
  }

  /** Waits until a message of this label was accepted more than `count` times. */
  got(label, count = 0) {
    const describe = () => `taken so far: ${this.accepted.map(labelOf).join(', ') || 'nothing'}`;
    return this.#waiters.until(() => this.count(label) > count, `"${label}" at the data plane`, describe);
  }

  async #serve(incoming, response) {
    const { method, url, headers, rawHeaders } = incoming;
    const request = { method, url, headers, rawHeaders, at: performance.now() };
    request.body = await readAll(incoming);
    const answer = this.#answer(request);
    request.answer = answer.text?.trim();
    request.status = answer.status;
    request.refused = answer.refused;
    this.requests.push(request);
    this.#waiters.changed();
    if (answer.status === 'hang up') {
      incoming.socket.destroy();
      return;
    }
    const fields = { ...corsOf(request), ...answer.headers };
    if (answer.text) fields['Content-Type'] = 'text/plain; charset=utf-8';
    if (answer.text && answer.status !== 200) fields['X-Content-Type-Options'] = 'nosniff';
    response.writeHead(answer.status, fields);
    response.end(answer.body ?? answer.text);
  }

  /** A failure that a scenario asked for is not a refusal: it says nothing about the request. */
  #answer(request) {
    let told;
    try {
      return answerOf(request, this.sources, () => (told = this.#failure(request)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, message, headers } = error;
      return { status, text: message && `${message}\n`, headers, refused: status !== told };
    }
  }

  #failure(request) {
    const fault = this.#faults.findIndex(({ label }) => messagesOf(request).some((m) => labelOf(m) === label));
    return fault < 0 ? undefined : this.#faults.splice(fault, 1)[0].how;
  }
}
