import { gunzipSync } from 'node:zlib';

import { overflows, parse } from './firstwins.js';
import { pathOf } from './messages.js';

const SINGLE = /^\/v1\/(identify|track|page|screen|group|alias|merge|audiencelist)$/;
const BATCH = new Set(['/v1/batch', '/beacon/v1/batch']);
const PIXEL = new Set(['/pixel/v1/track', '/pixel/v1/page']);
const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

/** The largest allowed size of a request, decompressed and as a batch. */
export const MAX_BODY = 4000 * 1024;
/** The largest allowed size of request line and headers: 512 KiB, and the tolerance of Go's server. */
export const MAX_HEADERS = (512 + 4) * 1024;

/** The texts of an answer that a rule does not give. */
export const TEXTS = {
  429: 'max requests limit reached',
  500: 'dial tcp 127.0.0.1:5432: connect: connection refused',
  503: 'Service Unavailable',
  504: 'gateway timeout',
};

/** An answer that is not 200. */
export class Refusal extends Error {
  constructor(status, text, headers) {
    super(text);
    Object.assign(this, { status, headers });
  }
}

/**
 * The answer of the gateway of the RudderStack data plane to a request. A refusal is thrown,
 * as a Refusal: {status, text} and perhaps {body, headers}. `sources` maps write keys to
 * sources: {enabled}. `failure` is called once the events have passed all checks; it returns a
 * status with which the gateway fails, or nothing.
 *
 * None of the sources is a webhook's, and the /internal endpoints are off, as they
 * are without an enterprise licence. /version, /docs and /robots.txt are left out.
 */
export function answerOf(request, sources, failure = () => undefined) {
  const path = pathOf(request);
  const asked = request.headers['access-control-request-method'];
  if (request.method === 'OPTIONS' && asked) return preflight(request, asked);

  const methods = methodsOf(path);
  if (!methods) throw new Refusal(404, '404 page not found');
  if (!methods.includes(request.method)) throw new Refusal(405, '', { Allow: methods.join(', ') });
  if (path === '/' || path === '/health') return health();
  // A pixel is answered with a picture, whatever happened to its event.
  if (PIXEL.has(path)) return { status: 200, body: GIF, headers: { 'Content-Type': 'image/gif' } };

  authorize(request, path, sources);
  return take(request, path, failure);
}

function methodsOf(path) {
  if (path === '/' || path === '/health' || PIXEL.has(path)) return ['GET'];
  if (path === '/v1/webhook') return ['GET', 'POST'];
  if (SINGLE.test(path) || BATCH.has(path) || path === '/v1/import') return ['POST'];
}

/** Preflights are answered on every path, even an unknown one. */
function preflight({ headers }, method) {
  const answer = { status: 204, headers: { Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers' } };
  if (!headers.origin || !allows(method)) return { ...answer, refused: true };
  answer.headers['Access-Control-Allow-Methods'] = method;
  answer.headers['Access-Control-Max-Age'] = '900';
  const wanted = headers['access-control-request-headers'];
  if (wanted) answer.headers['Access-Control-Allow-Headers'] = wanted;
  return answer;
}

const allows = (method) => ['GET', 'POST', 'HEAD'].includes(method);

/** The CORS headers of every answer. */
export function corsOf({ method, headers }) {
  const asked = method === 'OPTIONS' ? headers['access-control-request-method'] : method;
  if (!headers.origin || !allows(asked)) return { Vary: 'Origin' };
  return { Vary: 'Origin', 'Access-Control-Allow-Origin': headers.origin, 'Access-Control-Allow-Credentials': 'true' };
}

function health() {
  const state = {
    appType: 'GATEWAY', server: 'UP', db: 'UP', acceptingEvents: 'TRUE', routingEvents: 'TRUE', mode: 'NORMAL',
    backendConfigMode: 'JSON', lastSync: new Date().toISOString(), lastRegulationSync: '',
  };
  return { status: 200, body: JSON.stringify(state), headers: { 'Content-Type': 'application/json; charset=utf-8' } };
}

/** The checks before the body is read. */
function authorize(request, path, sources) {
  const query = new URLSearchParams(request.url.split('?')[1]).get('writeKey');
  let key;
  if (path.startsWith('/beacon/') || path === '/v1/webhook') key = query;
  const hook = path === '/v1/webhook';
  if (!path.startsWith('/beacon/') && !key) key = basic(request.headers.authorization);
  if (!key) throw new Refusal(401, `failed to read writekey from ${path.startsWith('/v1/') && !hook ? 'header' : 'query params'}`);
  const source = sources.get(key);
  if (!source || hook) throw new Refusal(401, 'invalid write key');
  if (!source.enabled) throw new Refusal(404, 'source is disabled');
}

/** The user name of Basic authentication, parsed like Go's net/http. */
function basic(header = '') {
  const [, code] = /^basic ((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/i.exec(header) ?? [];
  const [name, ...password] = Buffer.from(code ?? '', 'base64').toString('utf8').split(':');
  return password.length > 0 ? name : undefined;
}

/** The checks of the body, in the gateway's order: the first fault is the answer. */
function take(request, path, failure) {
  const bytes = decoded(request);
  let body;
  try {
    body = parse(bytes.toString('utf8'));
  } catch {
    throw new Refusal(400, 'invalid json');
  }
  const [, type] = SINGLE.exec(path) ?? [];
  if (path === '/v1/import') return takeGroups(body, bytes.length, failure);
  const events = type ? [eventOf(body, type)] : batchOf(body);
  takeEvents(events, type ? wrapped(bytes.length, body, type) : bytes.length, failure);
  return { status: 200, text: 'ok' };
}

function takeEvents(events, size, failure) {
  events.forEach(identify);
  const status = failure();
  if (status === 429) throw new Refusal(429, TEXTS[429]);
  if (size > MAX_BODY && !events.some(({ type }) => type === 'audiencelist')) throw new Refusal(413, 'request size exceeds max limit');
  if (events.some(overflows)) throw new Refusal(400, 'invalid json');
  if (events.length === 0) throw new Refusal(400, 'empty batch payload');
  if (status !== undefined) throw new Refusal(status, TEXTS[status] ?? `told to fail: ${status}`);
}

/** An import is processed for each user separately: one may be stored although another is refused. */
function takeGroups(body, size, failure) {
  const groups = new Map();
  for (const event of batchOf(body)) {
    const user = `${idOf(event?.userId)}:${idOf(event?.anonymousId)}`;
    groups.set(user, [...(groups.get(user) ?? []), event]);
  }
  const refusals = [];
  for (const events of groups.values()) {
    try {
      takeEvents(events, size, failure);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusals.push(error);
    }
  }
  if (refusals.length === 0) return { status: 200, text: 'ok' };
  if (refusals.length === 1) throw refusals[0];
  throw new Refusal(500, refusals.map(({ message }) => message).join(''));
}

/** The body, decompressed only if the first encoding is exactly the one that the gateway knows. */
function decoded({ rawHeaders, body }) {
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-encoding');
  if (rawHeaders[at + 1] !== 'gzip' || at < 0 || body.length === 0) return body;
  try {
    const { buffer, engine } = gunzipSync(body, { info: true });
    // zlib ignores trailing bytes; the gateway does not.
    if (engine.bytesWritten === body.length) return buffer;
  } catch {
    // As above.
  }
  throw new Refusal(500, 'failed to read body from request');
}

/** The path determines the type, whatever the body says. */
function eventOf(body, type) {
  if (Array.isArray(body)) throw new Refusal(400, 'event is not a valid rudder event');
  return { ...(isObject(body) ? body : {}), type };
}

/** The size of a single event's body once the gateway has set its type and put it into a batch. */
function wrapped(size, body, type) {
  const batch = 21;
  if (!isObject(body) || body.type === undefined) return size + batch + `"type":"${type}",`.length;
  return size + batch + type.length + 2 - Buffer.byteLength(JSON.stringify(body.type));
}

/** Siblings of the batch are dropped; a batch that is one object is one event. */
function batchOf(body) {
  const batch = isObject(body) ? body.batch : undefined;
  if (batch === undefined || batch === null) return [];
  return Array.isArray(batch) ? batch : [batch];
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** Types that need no user. */
const ANONYMOUS = new Set(['extract', 'record']);

function identify(event) {
  if (!isObject(event)) throw new Refusal(400, 'event is not a valid rudder event');
  if (!idOf(event.anonymousId) && !idOf(event.userId) && !ANONYMOUS.has(event.type)) {
    throw new Refusal(400, 'request neither has anonymousId nor userId');
  }
}

/** Invisible characters, which the gateway removes from ids. */
const INVISIBLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/gu;

/** An id as the gateway reads it: values other than strings become their JSON. */
function idOf(value) {
  if (value === undefined || value === null) return '';
  return (typeof value === 'string' ? value : JSON.stringify(value)).replace(INVISIBLE, '').trim();
}
