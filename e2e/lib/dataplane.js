import { gunzipSync } from 'node:zlib';

import { listen, readAll, Waiters } from './http.js';
import { labelOf, messagesOf, pathOf } from './messages.js';

const SINGLE = new Set(['identify', 'track', 'page', 'screen', 'group', 'alias', 'merge'].map((type) => `/v1/${type}`));
const MAX_BODY = 4000 * 1024;

/** An answer that is not 200. */
class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/**
 * Stands for the RudderStack data plane: checks requests as its gateway does, in
 * the same order and with the same answers, and records them.
 */
export class DataPlane {
  requests = [];
  #faults = [];
  #waiters = new Waiters();

  static async start({ writeKeys }) {
    const plane = new DataPlane();
    plane.writeKeys = new Set(writeKeys);
    const { url, port, close } = await listen((request, response) => plane.#serve(request, response));
    return Object.assign(plane, { url, port, close });
  }

  /** Fails the next request that has a message of this label: with a status, or with 'hang up'. */
  failOnce(label, how) {
    this.#faults.push({ label, how });
  }

  /** The messages that were taken, in the order of their arrival. */
  get accepted() {
    return this.requests.filter(({ status }) => status === 200).flatMap(messagesOf);
  }

  count(label) {
    return this.accepted.filter((message) => labelOf(message) === label).length;
  }

  /** Waits until a message of this label was taken more than `count` times. */
  got(label, count = 0) {
    const describe = () => `taken so far: ${this.accepted.map(labelOf).join(', ') || 'nothing'}`;
    return this.#waiters.until(() => this.count(label) > count, `"${label}" at the data plane`, describe);
  }

  async #serve(incoming, response) {
    const { method, url, headers, rawHeaders } = incoming;
    const request = { method, url, headers, rawHeaders, at: performance.now() };
    request.body = await readAll(incoming);
    let answer;
    try {
      answer = this.#answer(request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = { status: error.status, text: `${error.message}\n`, refused: true };
    }
    request.answer = answer.text?.trim();
    request.status = answer.status;
    request.refused = answer.refused;
    this.requests.push(request);
    this.#waiters.changed();
    if (answer.status === 'hang up') {
      incoming.socket.destroy();
      return;
    }
    response.setHeader('Vary', 'Origin');
    if (headers.origin) {
      response.setHeader('Access-Control-Allow-Origin', headers.origin);
      response.setHeader('Access-Control-Allow-Credentials', 'true');
    }
    for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
    if (answer.text !== undefined) response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    if (answer.status >= 400) response.setHeader('X-Content-Type-Options', 'nosniff');
    response.writeHead(answer.status);
    response.end(answer.text);
  }

  #answer(request) {
    if (request.method === 'OPTIONS') return preflight(request);
    const path = pathOf(request);
    const batch = path === '/v1/batch' || path === '/beacon/v1/batch';
    if (!batch && !SINGLE.has(path)) throw new Refusal(404, '404 page not found');
    if (request.method !== 'POST') return { status: 405, headers: { Allow: 'POST' }, refused: true };

    this.#authorize(request, path);
    const events = batch ? batchOf(read(request)) : [eventOf(read(request))];
    for (const event of events) check(event);
    if (decoded(request).length > MAX_BODY) throw new Refusal(413, 'request size exceeds max limit');

    const fault = this.#faults.findIndex(({ label }) => messagesOf(request).some((m) => labelOf(m) === label));
    if (fault < 0) return { status: 200, text: 'ok' };
    const [{ how }] = this.#faults.splice(fault, 1);
    return { status: how, text: `told to fail: ${how}\n` };
  }

  #authorize({ url, headers }, path) {
    let key;
    if (path.startsWith('/beacon/')) {
      key = new URL(url, 'http://localhost').searchParams.get('writeKey');
      if (!key) throw new Refusal(401, 'failed to read writekey from query params');
    } else {
      const basic = /^basic (\S+)$/i.exec(headers.authorization ?? '');
      const [name, ...password] = Buffer.from(basic?.[1] ?? '', 'base64').toString('utf8').split(':');
      if (!name || password.length === 0) throw new Refusal(401, 'failed to read writekey from header');
      key = name;
    }
    if (!this.writeKeys.has(key)) throw new Refusal(401, 'invalid write key');
  }
}

function preflight({ headers }) {
  const method = headers['access-control-request-method'];
  if (!method) return { status: 405, refused: true };
  if (!headers.origin || !['GET', 'POST', 'HEAD'].includes(method)) return { status: 204, refused: true };
  return {
    status: 204,
    headers: {
      Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      'Access-Control-Allow-Methods': method,
      'Access-Control-Max-Age': '900',
      ...(headers['access-control-request-headers'] && {
        'Access-Control-Allow-Headers': headers['access-control-request-headers'],
      }),
    },
  };
}

/** The body, decompressed only where the encoding is exactly the one the gateway knows. */
function decoded(request) {
  if (request.headers['content-encoding'] !== 'gzip' || request.body.length === 0) return request.body;
  try {
    return gunzipSync(request.body);
  } catch {
    throw new Refusal(500, 'failed to read body from request');
  }
}

function read(request) {
  try {
    return JSON.parse(decoded(request).toString('utf8'), (_, value) => {
      if (value === Infinity || value === -Infinity) throw new SyntaxError('overflows a float64');
      return value;
    });
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, 'invalid json');
  }
}

function eventOf(body) {
  if (Array.isArray(body)) throw new Refusal(400, 'event is not a valid rudder event');
  return body === null || typeof body !== 'object' ? {} : body;
}

function batchOf(body) {
  const batch = Array.isArray(body) ? undefined : body?.batch;
  const events = Array.isArray(batch) ? batch : batch === undefined || batch === null ? [] : [batch];
  if (events.length === 0) throw new Refusal(400, 'empty batch payload');
  return events;
}

function check(event) {
  if (event === null || typeof event !== 'object' || Array.isArray(event)) {
    throw new Refusal(400, 'event is not a valid rudder event');
  }
  const id = (value) => (typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value)).trim();
  if (!id(event.anonymousId) && !id(event.userId)) {
    throw new Refusal(400, 'request neither has anonymousId nor userId');
  }
}
