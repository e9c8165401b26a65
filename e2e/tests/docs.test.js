import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Visitor } from '../lib/browser.js';
import { check } from '../lib/check.js';
import { Waiters } from '../lib/http.js';
import { SCENARIO } from '../lib/limits.js';
import { BLOCKS, expectations, snippets, website } from '../lib/snippets.js';
import { scenario } from '../lib/world.js';

const E2E = fileURLToPath(new URL('../', import.meta.url));

/** RudderStack's control plane, at the address that is built into the SDKs. */
async function controlPlane(context, dataplanes) {
  const asked = [];
  const source = { id: 'source', name: 'Website', config: {}, destinations: [], enabled: true, workspaceId: 'workspace', dataplanes };
  await context.route('https://api.rudderstack.com/**', (route) => {
    asked.push(route.request().url());
    return route.fulfill({
      headers: { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'authorization' },
      json: { source },
    });
  });
  return asked;
}

const arrivals = (world, promised) => Promise.all(promised.map(([name]) => world.plane.got(name)));

/** Runs the blocks of a section on a page as one script, each when the events promised by the previous one have arrived. */
async function onPage(world, section, { dataplanes } = {}) {
  const blocks = snippets(section, world.url);
  // The page refers to the other snippet instead of repeating it.
  if (section === 'JavaScript v1.1') blocks.splice(1, 0, snippets('JavaScript v3', world.url)[1]);
  const { context } = await Visitor.arrive(world, { fresh: true });
  const asked = await controlPlane(context, dataplanes);
  const page = await context.newPage();
  page.on('console', (message) => (world.caddy.log += `page: ${message.text()}\n`));
  const waiters = new Waiters();
  let finished;
  const finish = (error) => {
    finished ??= { error };
    waiters.changed();
  };
  page.on('pageerror', finish);
  await page.exposeFunction('blockDone', async (i) => {
    await arrivals(world, blocks[i].promised);
    if (i === blocks.length - 1) finish();
  });
  const code = blocks.map((block, i) => `${block.code}\nawait blockDone(${i});\n`).join('');
  await page.goto(await website(world, code));
  await page.addScriptTag({ type: 'module', url: '/snippet.js' });
  await waiters.until(() => finished, 'the snippet to end', () => '', 60);
  if (finished.error) throw finished.error;
  assert.ok(asked.length > 0, 'the source config comes from RudderStack');
  return blocks.flatMap(({ promised }) => promised);
}

const DATAPLANES = (url) => ({ US: [{ url, default: true }], EU: [{ url, default: true }] });

for (const section of ['JavaScript v3', 'JavaScript v3 in batches', 'JavaScript v1.1']) {
  scenario(`docs/sdks.md, ${section}`, {}, async (world) => {
    const promised = await onPage(world, section);
    await check(world, expectations(world, promised));
  });
}

scenario('docs/sdks.md, JavaScript, with its own calls', { automatic: 'adopt' }, async (world) => {
  const promised = await onPage(world, 'JavaScript, with its own calls');
  await check(world, expectations(world, promised));
});

scenario('docs/sdks.md: JavaScript v3 does not go past the handler for the dataplanes of the source config', {}, async (world) => {
  const promised = await onPage(world, 'JavaScript v3', { dataplanes: DATAPLANES(world.plane.url) });
  await check(world, expectations(world, promised));
});

scenario('docs/sdks.md: JavaScript v1.1 goes past the handler for the dataplanes of the source config', {}, async (world) => {
  await onPage(world, 'JavaScript v1.1', { dataplanes: DATAPLANES(world.plane.url) });
  assert.deepEqual(world.recorder.requests.filter(({ method, url }) => method === 'POST' && !url.includes('Session')), []);
});

scenario('docs/sdks.md, Service worker', {}, async (world) => {
  const [block] = snippets('Service worker', world.url);
  const { context } = await Visitor.arrive(world, { fresh: true });
  const page = await context.newPage();
  await page.goto(await website(world, block.code));
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/snippet.js', { type: 'module' });
    const { active } = await navigator.serviceWorker.ready;
    active.postMessage({ anonymousId: 'visitor' });
  });
  await arrivals(world, block.promised);
  await check(world, expectations(world, block.promised));
});

/** Runs a command to its end, and returns its output. */
async function run(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: SCENARIO });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const [status] = await once(child, 'close');
  assert.equal(status, 0, `${command}: ${output}`);
  return output;
}

scenario('docs/sdks.md, Node.js', {}, async (world) => {
  const [block] = snippets('Node.js', world.url);
  // A directory in which Node.js resolves the snippet's import.
  const directory = await mkdtemp(join(E2E, 'node_modules', '.snippet-'));
  world.closers.push(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'snippet.mjs'), block.code);
  await run(process.execPath, [join(directory, 'snippet.mjs')]);
  await check(world, expectations(world, block.promised));
});

scenario('docs/sdks.md, Go', {}, async (world) => {
  const [block] = snippets('Go', world.url);
  const directory = await mkdtemp(join(E2E, 'go', '.snippet-'));
  world.closers.push(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'main.go'), block.code);
  await run('go', ['-C', join(E2E, 'go'), 'run', join(directory, 'main.go')]);
  await check(world, expectations(world, block.promised));
});

scenario('docs/sdks.md, Plain HTTP', {}, async (world) => {
  const [block] = snippets('Plain HTTP', world.url);
  const output = await run('sh', ['-ec', block.code.replaceAll('curl ', 'curl -sS --fail-with-body ')]);
  assert.equal(output, '{"sessionId":1234567890}\nokok{"sessionId":null}\nok');
  await check(world, expectations(world, block.promised));
});

test('docs/sdks.md: every SDK has a snippet with key, address, start and end', () => {
  const sections = new Map();
  for (const { section, code } of BLOCKS) sections.set(section, (sections.get(section) ?? '') + code);
  assert.equal(sections.size, 22);
  for (const [section, code] of sections) {
    for (const word of ['WRITE_KEY', 'https://events.example.com', 'startSession', '// sessionId 1234567890, sessionStart\n']) {
      assert.ok(code.replaceAll('# session', '// session').includes(word), `${section}: no ${word}`);
    }
    // A worker has the page's session, and the page ends it.
    if (section !== 'Service worker') assert.ok(code.includes('endSession'), `${section}: no endSession`);
  }
});
