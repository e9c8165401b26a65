import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { Caddy } from '../lib/caddy.js';
import { check, NONE } from '../lib/check.js';
import { DataPlane } from '../lib/dataplane.js';
import { readAll } from '../lib/http.js';
import { SCENARIO } from '../lib/limits.js';
import { scenario, WRITE_KEY } from '../lib/world.js';

const OFF = 'disabledSource';
const basic = (text, scheme = 'Basic') => ({ authorization: `${scheme} ${Buffer.from(text).toString('base64')}` });
const AUTH = basic(`${WRITE_KEY}:`);
const EVENT = { anonymousId: 'a', event: 'Clicked', type: 'track' };

const OK = [200, 'ok'];
const NO_HEADER = [401, 'failed to read writekey from header\n'];
const NO_QUERY = [401, 'failed to read writekey from query params\n'];
const UNKNOWN = [401, 'invalid write key\n'];
const DISABLED = [404, 'source is disabled\n'];
const NOT_FOUND = [404, '404 page not found\n'];
const NOT_ALLOWED = [405, ''];
const INVALID = [400, 'invalid json\n'];
const EMPTY = [400, 'empty batch payload\n'];
const NO_EVENT = [400, 'event is not a valid rudder event\n'];
const NO_USER = [400, 'request neither has anonymousId nor userId\n'];
const TOO_LARGE = [413, 'request size exceeds max limit\n'];
const UNREADABLE = [500, 'failed to read body from request\n'];
const GIF = [200, /^GIF89a/];

const track = (body, more = {}) => ({ path: '/v1/track', body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body), ...more });
const batch = (body, more = {}) => ({ ...track(body, more), path: '/v1/batch' });
const encoded = (body, encoding) => track(body, { headers: { ...AUTH, 'content-encoding': encoding } });

/** A message of exactly size bytes. */
function sized(event, size) {
  const text = JSON.stringify({ ...event, fill: '' });
  return text.replace('"fill":""', `"fill":"${'x'.repeat(size - text.length)}"`);
}
const sizedBatch = (size, event = EVENT) => `{"batch":[${sized(event, size - 12)}]}`;
const deep = (levels) => `{"anonymousId":"a","p":${'['.repeat(levels)}${']'.repeat(levels)}}`;
const gzipped = gzipSync(JSON.stringify(EVENT));

/** Each rule of the gateway: [its name, the request, the answer]. */
const RULES = {
  'paths and methods': [
    ...['identify', 'track', 'page', 'screen', 'group', 'alias', 'merge', 'audiencelist'].map((type) => [`/v1/${type}`, { path: `/v1/${type}`, body: '{"userId":"u"}' }, OK]),
    ['/v1/batch', batch({ batch: [EVENT] }), OK],
    ...['/v1/track/', '/V1/track', '//v1/track', '/v1/./track', '/v1/%74rack', '/v1/t', '/v1/unknown', '/internal/v1/batch', '/internal/v1/retl']
      .map((path) => [path, track(EVENT, { path }), NOT_FOUND]),
    ...['GET', 'PUT', 'DELETE', 'PATCH'].map((method) => [`${method} /v1/track`, { path: '/v1/track', method }, NOT_ALLOWED]),
    ['GET /v1/batch', { path: '/v1/batch', method: 'GET' }, NOT_ALLOWED],
    ['GET /v1/import', { path: '/v1/import', method: 'GET' }, NOT_ALLOWED],
    ['POST /health', { path: '/health', body: '' }, NOT_ALLOWED],
    ['HEAD /health', { path: '/health', method: 'HEAD' }, NOT_ALLOWED],
    ['GET /health', { path: '/health', method: 'GET' }, [200, /^\{"appType":"GATEWAY","server":"UP","db":"UP"/]],
    ['GET /', { path: '/', method: 'GET' }, [200, /^\{"appType":"GATEWAY"/]],
    ['OPTIONS that is no preflight', { path: '/v1/track', method: 'OPTIONS' }, NOT_ALLOWED],
    ['OPTIONS that is no preflight, on an unknown path', { path: '/nothing', method: 'OPTIONS' }, NOT_FOUND],
    ['a pixel', { path: `/pixel/v1/track?writeKey=${WRITE_KEY}&anonymousId=a&event=E`, method: 'GET' }, GIF],
    ['a pixel with nothing right', { path: '/pixel/v1/page', method: 'GET', headers: {} }, GIF],
    ['POST of a pixel', { path: '/pixel/v1/page', body: '' }, NOT_ALLOWED],
  ],
  'write keys': [
    ['none', track(EVENT, { headers: {} }), NO_HEADER],
    ['an empty user name', track(EVENT, { headers: basic(':password') }), NO_HEADER],
    ['no colon', track(EVENT, { headers: basic(WRITE_KEY) }), NO_HEADER],
    ['no base64', track(EVENT, { headers: { authorization: `Basic ${WRITE_KEY}:` } }), NO_HEADER],
    ['base64 without its padding', track(EVENT, { headers: { authorization: basic(`${WRITE_KEY}:x`).authorization.replace(/=+$/, '') } }), NO_HEADER],
    ['Bearer', track(EVENT, { headers: basic(`${WRITE_KEY}:`, 'Bearer') }), NO_HEADER],
    ['in the query where it is to be in the header', track(EVENT, { path: `/v1/track?writeKey=${WRITE_KEY}`, headers: {} }), NO_HEADER],
    ['BASIC in capitals, with a password', track(EVENT, { headers: basic(`${WRITE_KEY}:a:b`, 'BASIC') }), OK],
    ['the first of two headers, right', track(EVENT, { headers: { authorization: [AUTH.authorization, 'Basic eDo='] } }), OK],
    ['the first of two headers, wrong', track(EVENT, { headers: { authorization: ['Basic eDo=', AUTH.authorization] } }), UNKNOWN],
    ['unknown', track(EVENT, { headers: basic('unknown:') }), UNKNOWN],
    ['other letters', track(EVENT, { headers: basic(`${WRITE_KEY.toUpperCase()}:`) }), UNKNOWN],
    ['a disabled source', track(EVENT, { headers: basic(`${OFF}:`) }), DISABLED],
    ['before the body is looked at', track('no json', { headers: {} }), NO_HEADER],
    ['beacon', { path: `/beacon/v1/batch?writeKey=${WRITE_KEY}`, headers: {}, body: JSON.stringify({ batch: [EVENT] }) }, OK],
    ['beacon, none', { path: '/beacon/v1/batch', headers: {}, body: JSON.stringify({ batch: [EVENT] }) }, NO_QUERY],
    ['beacon, in the header alone', { path: '/beacon/v1/batch', body: JSON.stringify({ batch: [EVENT] }) }, NO_QUERY],
    ['beacon, unknown, though the header has a right one', { path: '/beacon/v1/batch?writeKey=x', body: JSON.stringify({ batch: [EVENT] }) }, UNKNOWN],
    ['beacon, a disabled source', { path: `/beacon/v1/batch?writeKey=${OFF}`, body: JSON.stringify({ batch: [EVENT] }) }, DISABLED],
    ['webhook, of a source that is none', { path: `/v1/webhook?writeKey=${WRITE_KEY}`, body: '{}' }, UNKNOWN],
    ['webhook, by header', { path: '/v1/webhook', body: '{}' }, UNKNOWN],
    ['webhook, none', { path: '/v1/webhook', headers: {}, body: '{}' }, NO_QUERY],
  ],
  'JSON': [
    ...['', ' ', '{', '{"anonymousId":"a"}x', '{"anonymousId":"a"}{}', '{"anonymousId":"a",}', '\ufeff{"anonymousId":"a"}',
      '{"anonymousId":"a\nb"}', '{"anonymousId":NaN}', '{"anonymousId":01}', '{"anonymousId":+1}', '{anonymousId:"a"}', "{'anonymousId':'a'}"]
      .map((body) => [JSON.stringify(body), track(body), INVALID]),
    ['white space around it', track(' \r\n\t{"anonymousId":"a"}\n '), OK],
    ['invalid UTF-8 in a string', track(Buffer.concat([Buffer.from('{"anonymousId":"a'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])), OK],
    ['a number that is none of a float64', track('{"anonymousId":"a","n":1e400}'), INVALID],
    ['such a number in an event without a user', track('{"n":1e400}'), NO_USER],
    ['such a number beside the batch', batch('{"batch":[{"userId":"u"}],"n":1e400}'), OK],
    ['large numbers', track('{"anonymousId":"a","n":[1e308,1E5,12345678901234567890]}'), OK],
    ['20000 levels', track(deep(20_000)), OK],
    ['any content type', track(EVENT, { headers: { ...AUTH, 'content-type': 'application/x-www-form-urlencoded' } }), OK],
  ],
  'events': [
    ['a list', track([EVENT]), NO_EVENT],
    ['an empty list', track([]), NO_EVENT],
    ...['5', '"text"', 'null', 'true'].map((body) => [body, track(body), NO_USER]),
    ['another type than the path says', track({ ...EVENT, type: 'record' }), OK],
    ['a type that needs no user, which the path overrules', track({ type: 'record' }), NO_USER],
  ],
  'batches': [
    ...['{}', '{"batch":[]}', '{"batch":null}', '[]', `[${JSON.stringify(EVENT)}]`, '"batch"', '7'].map((body) => [body, batch(body), EMPTY]),
    ...['{"batch":"text"}', '{"batch":5}', '{"batch":[5]}', '{"batch":["text"]}', '{"batch":[null]}', '{"batch":[[]]}'].map((body) => [body, batch(body), NO_EVENT]),
    ['one object', batch({ batch: EVENT }), OK],
    ['an escaped key', batch('{"b\\u0061tch":[{"userId":"u"}]}'), OK],
    ['the first of two batches, empty', batch('{"batch":[],"batch":[{"userId":"u"}]}'), EMPTY],
    ['the first of two batches, right', batch('{"batch":[{"userId":"u"}],"batch":[]}'), OK],
    ['the first of two, by its escaped key', batch('{"b\\u0061tch":[],"batch":[{"userId":"u"}]}'), EMPTY],
    ['one bad event among good ones', batch({ batch: [EVENT, { event: 'x' }, EVENT] }), NO_USER],
    ['the first fault counts', batch({ batch: [{ event: 'x' }, 5] }), NO_USER],
    ['the first fault counts, the other way round', batch({ batch: [5, { event: 'x' }] }), NO_EVENT],
    ['types that need no user', batch({ batch: [{ type: 'record' }, { type: 'extract' }] }), OK],
    ['an unknown type', batch({ batch: [{ type: 'anything', userId: 'u' }] }), OK],
    ['no type', batch({ batch: [{ userId: 'u' }] }), OK],
  ],
  'ids': [
    ...['{}', '{"anonymousId":null}', '{"anonymousId":"","userId":null}', '{"userId":"  "}', '{"userId":"\\u200b\\u0000"}', '{"userId":"\\u3164"}',
      '{"anonymousid":"a"}', '{"anonymousId":"","anonymousId":"a"}', '{"anonymous\\u0049d":"","anonymousId":"a"}'].map((body) => [body, track(body), NO_USER]),
    ...['{"userId":"u"}', '{"anonymousId":"a"}', '{"userId":0}', '{"userId":false}', '{"userId":{"id":1}}', '{"userId":[]}',
      '{"anonymousId":"a","anonymousId":""}', '{"anonymous\\u0049d":"a"}'].map((body) => [body, track(body), OK]),
    ['only in a header', track({ event: 'x' }, { headers: { ...AUTH, anonymousid: 'YQ==' } }), NO_USER],
  ],
  'sizes': [
    ['a batch of 4096000', batch(sizedBatch(4_096_000)), OK],
    ['one more', batch(sizedBatch(4_096_001)), TOO_LARGE],
    ['a track with its type of 4095979', track(sized(EVENT, 4_095_979)), OK],
    ['one more', track(sized(EVENT, 4_095_980)), TOO_LARGE],
    ['a track without its type of 4095964', track(sized({ userId: 'u' }, 4_095_964)), OK],
    ['one more', track(sized({ userId: 'u' }, 4_095_965)), TOO_LARGE],
    ['an identify without its type of 4095961', { path: '/v1/identify', body: sized({ userId: 'u' }, 4_095_961) }, OK],
    ['one more', { path: '/v1/identify', body: sized({ userId: 'u' }, 4_095_962) }, TOO_LARGE],
    ['decompressed', encoded(gzipSync(sized(EVENT, 4_095_980)), 'gzip'), TOO_LARGE],
    ['with a batch for an audience list', batch(sizedBatch(4_100_000, { ...EVENT, type: 'audiencelist' })), OK],
    ['too large, and no JSON', track(`${sized(EVENT, 4_100_000)}x`), INVALID],
    ['too large, and no user', track(sized({ event: 'x' }, 4_100_000)), NO_USER],
    ['too large, and a number that is none', track(sized(EVENT, 4_100_000).replace('{', '{"n":1e400,')), TOO_LARGE],
  ],
  'encodings': [
    ['gzip', encoded(gzipped, 'gzip'), OK],
    ['identity', encoded(JSON.stringify(EVENT), 'identity'), OK],
    ['gzip in two members', encoded(Buffer.concat([gzipSync('{"userId"'), gzipSync(':"u"}')]), 'gzip'), OK],
    ...['GZIP', 'x-gzip', 'gzip, identity', 'deflate', 'br'].map((name) => [name, encoded(gzipped, name), INVALID]),
    ['gzip that is none', encoded(JSON.stringify(EVENT), 'gzip'), UNREADABLE],
    ['gzip, cut off', encoded(gzipped.subarray(0, -3), 'gzip'), UNREADABLE],
    ['gzip, text behind it', encoded(Buffer.concat([gzipped, Buffer.from('x')]), 'gzip'), UNREADABLE],
    ['gzip, zeros behind it', encoded(Buffer.concat([gzipped, Buffer.alloc(4)]), 'gzip'), UNREADABLE],
    ['gzip of nothing', encoded('', 'gzip'), INVALID],
    ['gzip that is not said', track(gzipped), INVALID],
    ['the first of two headers', track(gzipped, { headers: { ...AUTH, 'content-encoding': ['gzip', 'identity'] } }), OK],
    ['chunked', track(EVENT, { headers: { ...AUTH, 'transfer-encoding': 'chunked' } }), OK],
  ],
  'imports': [
    ['events', { path: '/v1/import', body: JSON.stringify({ batch: [EVENT, { userId: 'u' }] }) }, OK],
    ['nothing', { path: '/v1/import', body: '{}' }, OK],
    ['an empty batch', { path: '/v1/import', body: '{"batch":[]}' }, OK],
    ['one group refused', { path: '/v1/import', body: JSON.stringify({ batch: [EVENT, { event: 'x' }] }) }, NO_USER],
    ['no JSON', { path: '/v1/import', body: '{' }, INVALID],
  ],
};

/** Sends a request with exactly this path, which is not normalized as a URL would be. */
async function send(port, { method = 'POST', path, headers = AUTH, body = '' }) {
  const sized = method === 'POST' && !headers['transfer-encoding'] ? { 'content-length': Buffer.byteLength(body) } : {};
  const outgoing = request({ host: '127.0.0.1', port, method, path, headers: { ...headers, ...sized }, agent: false });
  const response = await new Promise((resolve, reject) => {
    outgoing.on('response', resolve).on('error', reject).end(method === 'POST' ? body : undefined);
  });
  return { status: response.statusCode, text: (await readAll(response)).toString('latin1'), headers: response.headers };
}

function verify(answer, [status, text], headers = answer.headers) {
  assert.equal(answer.status, status);
  if (text instanceof RegExp) assert.match(answer.text, text);
  else assert.equal(answer.text, text);
  assert.equal(headers.vary, 'Origin');
  if (!text || text instanceof RegExp) return;
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(headers['x-content-type-options'], status === 200 ? undefined : 'nosniff');
}

for (const [rules, cases] of Object.entries(RULES)) {
  // The proxy changes no answer: each is the same with the proxy in front.
  test(`data plane: ${rules}, alone and behind the proxy`, { timeout: SCENARIO }, async (t) => {
    const plane = await DataPlane.start({ writeKeys: [WRITE_KEY], disabled: [OFF] });
    t.after(() => plane.close());
    const caddy = await Caddy.start({ upstream: plane.url, options: ['automatic off'] });
    t.after(() => caddy.close());
    for (const [what, asked, answer] of cases) {
      for (const [where, port] of [['alone', plane.port], ['behind the proxy', caddy.port]]) {
        try {
          verify(await send(port, asked), answer);
          const { refused } = plane.requests.at(-1);
          assert.equal(Boolean(refused), answer[0] !== 200, 'is recorded as refused if it is');
        } catch (error) {
          throw new Error(`${what}, ${where}: ${error.message}`);
        }
      }
    }
  });
}

test('data plane: methods that are allowed, preflights and CORS', { timeout: SCENARIO }, async (t) => {
  const plane = await DataPlane.start({ writeKeys: [WRITE_KEY] });
  t.after(() => plane.close());
  const origin = 'https://shop.example';
  const refused = await send(plane.port, { method: 'GET', path: '/v1/track', headers: { origin } });
  assert.equal(refused.headers.allow, 'POST');
  assert.equal(refused.headers['access-control-allow-origin'], origin);
  assert.equal(refused.headers['access-control-allow-credentials'], 'true');
  assert.equal(refused.headers['access-control-expose-headers'], undefined);
  const put = await send(plane.port, { method: 'PUT', path: '/v1/track', headers: { origin } });
  assert.equal(put.headers['access-control-allow-origin'], undefined);

  for (const path of ['/v1/batch', '/v1/startSession', '/nothing']) {
    const ask = (method) => send(plane.port, {
      method: 'OPTIONS', path,
      headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'authorization,sentat' },
    });
    const { status, headers } = await ask('POST');
    assert.equal(status, 204);
    assert.equal(headers['access-control-allow-origin'], origin);
    assert.equal(headers['access-control-allow-headers'], 'authorization,sentat');
    assert.equal(headers['access-control-allow-methods'], 'POST');
    assert.equal(headers['access-control-max-age'], '900');
    assert.equal((await ask('PUT')).headers['access-control-allow-methods'], undefined);
    assert.ok(plane.requests.at(-1).refused);
  }
});

test('data plane: several groups of an import are refused in one text', { timeout: SCENARIO }, async (t) => {
  const plane = await DataPlane.start({ writeKeys: [WRITE_KEY] });
  t.after(() => plane.close());
  const answer = await send(plane.port, { path: '/v1/import', body: JSON.stringify({ batch: [{ event: 'x' }, { userId: 'u', n: 'y' }] }).replace('"y"', '1e400') });
  verify(answer, [500, 'request neither has anonymousId nor userIdinvalid json\n']);
});

test('data plane: headers', { timeout: SCENARIO }, async (t) => {
  const plane = await DataPlane.start({ writeKeys: [WRITE_KEY] });
  t.after(() => plane.close());
  const withCookie = (size) => send(plane.port, track(EVENT, { headers: { ...AUTH, cookie: 'x'.repeat(size) } }));
  verify(await withCookie(500 * 1024), OK);
  assert.equal((await withCookie(520 * 1024)).status, 431);
});

test('data plane: failures that a scenario asks for', { timeout: SCENARIO }, async (t) => {
  const plane = await DataPlane.start({ writeKeys: [WRITE_KEY] });
  t.after(() => plane.close());
  const texts = { 429: 'max requests limit reached', 503: 'Service Unavailable', 504: 'gateway timeout', 418: 'told to fail: 418' };
  for (const [status, text] of Object.entries(texts)) {
    plane.failOnce('Clicked', Number(status));
    verify(await send(plane.port, track({ ...EVENT, event: 'Another' })), OK);
    verify(await send(plane.port, track(EVENT)), [Number(status), `${text}\n`]);
    assert.ok(!plane.requests.at(-1).refused, 'a failure is none of the request');
    verify(await send(plane.port, track(EVENT)), OK);
  }
  // The rate limit is checked before the size, other failures after it.
  for (const [status, answer] of [[429, [429, `${texts[429]}\n`]], [503, TOO_LARGE]]) {
    plane.failOnce('Clicked', status);
    verify(await send(plane.port, track(sized(EVENT, 4_100_000))), answer);
  }
  plane.failOnce('Clicked', 'hang up');
  await assert.rejects(send(plane.port, track(EVENT)), { code: 'ECONNRESET' });
  assert.equal(plane.accepted.filter(({ event }) => event === 'Clicked').length, 4);
});

scenario('data plane: a scenario in which it refuses an event fails', {}, async (world) => {
  await send(new URL(world.url).port, track({ event: 'Clicked', messageId: 'm1' }));
  await assert.rejects(check(world, [['Clicked', NONE, 400]]), {
    message: 'the data plane refused POST /v1/track: 400 request neither has anonymousId nor userId',
  });
});
