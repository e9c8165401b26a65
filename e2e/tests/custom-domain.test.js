import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Visitor } from '../lib/browser.js';
import { Caddy } from '../lib/caddy.js';
import { check, START } from '../lib/check.js';
import { listen, Waiters } from '../lib/http.js';
import { claimPort } from '../lib/port.js';
import { Recorder } from '../lib/recorder.js';
import { scenario, WRITE_KEY } from '../lib/world.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SDK = 'e2e/node_modules';

/** The files of RudderStack's CDN that are also in npm packages. */
const V3 = { '/v3/modern/rsa.min.js': `${SDK}/@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js` };
const V3_PLAIN = { '/v3/modern/rsa.min.js': `${SDK}/@rudderstack/analytics-js/dist/npm/modern/umd/index.js` };
const V1 = { '/v1.1/rudder-analytics.min.js': `${SDK}/rudder-sdk-js/dist/npm/index.js` };

/**
 * Runs deploy/Caddyfile.custom-domain, unchanged, in front of a CDN with these files, a
 * control plane that names other data planes, and the world's data plane.
 */
async function customDomain(world, files) {
  const asked = { cdn: [], control: [], past: [] };
  const changes = new Waiters();
  const server = async (list, answer) => {
    const { url, close } = await listen(async (request, response) => {
      list.push(`${request.method} ${request.url}`);
      changes.changed();
      response.setHeader('Access-Control-Allow-Origin', '*');
      await answer(request, response);
    });
    world.closers.push(close);
    return url;
  };
  const cdn = await server(asked.cdn, async ({ url }, response) => {
    const file = files[new URL(url, 'http://localhost').pathname];
    response.writeHead(file ? 200 : 404, { 'Content-Type': 'text/javascript' });
    response.end(file && (await readFile(join(ROOT, file))));
  });
  const past = await server(asked.past, (request, response) => response.end('ok'));
  const dataplanes = { US: [{ url: past, default: true }], EU: [{ url: past, default: true }] };
  const source = { id: 'source', name: 'Website', config: {}, destinations: [], enabled: true, workspaceId: 'workspace', dataplanes };
  const control = await server(asked.control, ({ method }, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Access-Control-Allow-Headers': 'authorization' });
    response.end(method === 'OPTIONS' ? '' : JSON.stringify({ source }));
  });

  const directory = await mkdtemp(join(tmpdir(), 'rudder-session-e2e-'));
  const caddy = Object.assign(new Caddy(), { program: join(ROOT, 'caddy'), directory, port: await claimPort() });
  await copyFile(join(ROOT, 'deploy/Caddyfile.custom-domain'), join(directory, 'Caddyfile'));
  Object.assign(process.env, {
    RUDDER_SESSION_SITE: `http://:${caddy.port}`, CADDY_ADMIN: `127.0.0.1:${await claimPort()}`,
    RUDDERSTACK_CDN_URL: cdn, RUDDERSTACK_CONTROL_PLANE_URL: control, RUDDERSTACK_DATA_PLANE_URL: world.plane.url,
  });
  await caddy.run();
  world.closers.push(() => caddy.close());
  const recorder = await Recorder.start(caddy.port);
  world.closers.push(() => recorder.close());
  Object.assign(world, { caddy, recorder, recorders: [recorder] });
  return { asked, changes, url: recorder.url };
}

/** Opens a page that may only connect to the domain, with an SDK from it, and runs a script on it. */
async function open(world, domain, sdk, script) {
  const { url, close } = await listen((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.setHeader('Content-Security-Policy', `default-src 'none'; script-src ${domain.url} 'nonce-page'; connect-src ${domain.url}`);
    response.end(`<!doctype html><title>Page</title><script src="${domain.url}${sdk}"></script><script nonce="page">${script}</script>`);
  });
  world.closers.push(close);
  const { context } = await Visitor.arrive(world, { fresh: true });
  const page = await context.newPage();
  page.on('console', (message) => (world.caddy.log += `page: ${message.text()}\n`));
  page.on('pageerror', (error) => (world.caddy.log += `page: ${error}\n`));
  await page.goto(url);
  return page;
}

const loading = (domain, options = '') =>
  `analytics.load('${WRITE_KEY}', '${domain.url}', { configUrl: '${domain.url}' ${options} }); window.whenReady = new Promise((resolve) => analytics.ready(resolve));`;

/** Starts a session, tracks in it, and checks that everything was sent through the domain. */
async function through(world, domain, page) {
  // The page's policy forbids eval, which polling in the page would need; the debugger may evaluate.
  await page.evaluate('window.whenReady.then(() => true)');
  const anonymousId = await page.evaluate('analytics.getAnonymousId()');
  await world.control('startSession', { anonymousId, sessionId: 1234567890 });
  await page.evaluate("void analytics.track('Through the domain')");
  await world.plane.got('Through the domain');
  await check(world, [['Through the domain', 1234567890, START]]);
  assert.deepEqual(domain.asked.past, [], 'nothing goes past');
  assert.ok(domain.asked.control.some((it) => it.startsWith('GET /sourceConfig')), 'the source config comes through the domain');
}

scenario('custom domain: JS v1.1 comes through, though the control plane names other data planes', {}, async (world) => {
  const domain = await customDomain(world, V1);
  const page = await open(world, domain, '/v1.1/rudder-analytics.min.js', `const analytics = window.analytics = rudderanalytics; ${loading(domain)}`);
  await through(world, domain, page);
  assert.deepEqual(domain.asked.cdn, ['GET /v1.1/rudder-analytics.min.js']);
});

scenario('custom domain: JS v3 from the domain, on a page that may talk to nobody else', {}, async (world) => {
  const domain = await customDomain(world, V3);
  const page = await open(world, domain, '/v3/modern/rsa.min.js',
    `const analytics = window.analytics = new rudderanalytics.RudderAnalytics(); ${loading(domain)}`);
  await through(world, domain, page);
  assert.deepEqual(domain.asked.cdn, ['GET /v3/modern/rsa.min.js']);
});

scenario('custom domain: the plugins of JS v3 are asked of the CDN, through the domain', {}, async (world) => {
  const domain = await customDomain(world, V3_PLAIN);
  await open(world, domain, '/v3/modern/rsa.min.js',
    `const analytics = new rudderanalytics.RudderAnalytics(); ${loading(domain, `, pluginsSDKBaseURL: '${domain.url}/v3/modern/plugins'`)}`);
  // The path has the full version instead of v3: the SDK pins its plugins' version by default.
  const plugin = /^GET \/3\.\d+\.\d+\/modern\/plugins\/rsa-plugins\.js$/;
  await domain.changes.until(() => domain.asked.cdn.some((it) => plugin.test(it)), 'a plugin', () => domain.asked.cdn.join('\n'), 60);
  assert.deepEqual(domain.asked.past, []);
});
