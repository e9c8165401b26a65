// Tests of the checks: what counts as a repeat by the SDK, and the message of a failed run.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { check, CONSUMED, faultOfRepeat, NONE, START } from '../lib/check.js';
import { readAll } from '../lib/http.js';
import { scenario, WRITE_KEY } from '../lib/world.js';

/** Sends a track that was made a minute ago, like an SDK, with a new sentAt each time. */
async function send(world, event, messageId) {
  const now = Date.now();
  const times = { originalTimestamp: new Date(now - 60_000).toISOString(), sentAt: new Date(now).toISOString() };
  const response = await fetch(`${world.url}/v1/track`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${WRITE_KEY}:`).toString('base64')}` },
    body: JSON.stringify({ type: 'track', event, messageId, anonymousId: 'visitor', context: { app: 'x' }, ...times }),
  });
  await response.text();
}

scenario('checks: messages that come again after they were taken, around a restart of the proxy', {}, async (world) => {
  const ago = { originalTimestamp: new Date(Date.now() - 120_000).toISOString(), sentAt: new Date().toISOString() };
  await world.control('startSession', { anonymousId: 'visitor', sessionId: 1234567890, ...ago });
  await send(world, 'First', 'm1');
  await send(world, 'Second', 'm2');
  await send(world, 'First', 'm1');
  await world.caddy.stop();
  await assert.rejects(send(world, 'Second', 'm2'));
  await world.caddy.run();
  await send(world, 'Second', 'm2');
  await send(world, 'endSession', 'm3');
  await send(world, 'endSession', 'm3');
  await check(world, [
    ['First', 1234567890, START],
    ['Second', 1234567890],
    ['endSession', CONSUMED],
  ]);
});

// Only a message that was accepted can be repeated: for every attempt that failed, a scenario states the
// expected outcome.
scenario('checks: a message that was not taken is none that is repeated', { retries: false }, async (world) => {
  world.plane.failOnce('First', 500);
  await send(world, 'First', 'm1');
  await send(world, 'First', 'm1');
  await assert.rejects(check(world, [['First', NONE]]), /what was sent, and what the data plane got/);
  await check(world, [['First', NONE, 500], ['First', NONE]]);
});

test('checks: a repeat has the session and the mark of the first', () => {
  const repeats = { got: { id: 1234567890, start: true } };
  assert.equal(faultOfRepeat({ got: { id: 1234567890, start: true }, repeats }), undefined);
  assert.match(faultOfRepeat({ got: { id: 2222222222, start: true }, repeats }), /is to have 1234567890/);
  assert.match(faultOfRepeat({ got: { id: 1234567890 }, repeats }), /start mark/);
  assert.match(faultOfRepeat({ got: {}, control: true, repeats }), /consumed/);
});

test('checks: a run names at its end what failed', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rudder-session-e2e-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const passing = Array.from({ length: 40 }, (_, i) => `test('passes ${i}', () => {});`);
  await writeFile(join(directory, 'some.test.mjs'), `
    import { test } from 'node:test';
    test('the one that fails', () => { throw new Error('this is why'); });
    ${passing.join('\n')}
  `);
  const reporter = fileURLToPath(new URL('../lib/reporter.js', import.meta.url));
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const child = spawn(process.execPath, ['--test', `--test-reporter=${reporter}`, '--test-reporter-destination=stdout', join(directory, 'some.test.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'], env,
  });
  const [output, [status]] = await Promise.all([readAll(child.stdout), once(child, 'exit')]);
  assert.notEqual(status, 0);
  const lines = output.toString().trimEnd().split('\n');
  assert.ok(lines.some((line) => line.includes('this is why')), output.toString());
  assert.ok(lines.slice(-30).includes('FAILED  the one that fails'), output.toString());
  assert.match(lines.at(-1), /^40 passed, [12] failed$/);
});
