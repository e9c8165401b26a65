// The session inspector in a real browser, with sessions that real requests made.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { LAUNCH, patient } from '../lib/browser.js';
import { Caddy } from '../lib/caddy.js';
import { DataPlane } from '../lib/dataplane.js';

const WRITE_KEY = 'inspected';
const HOSTILE = '<img src=x onerror=document.title="broken">';

let plane, caddy, browser;

before(async () => {
  plane = await DataPlane.start({ writeKeys: [WRITE_KEY] });
  caddy = await Caddy.start({
    upstream: plane.url,
    options: ['follow_user'],
    site: 'handle_path /inspector/* {\n\t\trudder_session_inspector {\n\t\t\ttable file\n\t\t}\n\t}',
  });
  browser = await chromium.launch(LAUNCH);
});

after(async () => {
  await browser?.close();
  await caddy?.close();
  await plane?.close();
});

/** Sends a request as a backend does. */
async function send(path, body) {
  const response = await fetch(`http://127.0.0.1:${caddy.port}/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${WRITE_KEY}:`).toString('base64')}` },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.text());
}

/** Opens the page; any error of the browser fails the test, except for expected ones. */
async function open(t, { expected = [], ...options } = {}) {
  const context = patient(await browser.newContext(options));
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => new URL(request.url()).hostname === '127.0.0.1' || complaints.push(request.url()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, expected);
  });
  await page.goto(`http://127.0.0.1:${caddy.port}/inspector/`);
  return page;
}

async function search(page, id, kind = 'anonymousId') {
  await page.getByLabel('Write key').fill(WRITE_KEY);
  await page.getByLabel(kind).check();
  await page.getByRole('textbox', { name: 'Id', exact: true }).fill(id);
  await page.getByRole('button', { name: 'Show', exact: true }).click();
}

const cells = (row) => row.locator('td').allTextContents();

const out = fileURLToPath(new URL('../out/', import.meta.url));
async function picture(page, name) {
  await mkdir(out, { recursive: true });
  await page.screenshot({ path: `${out}inspector-${name}.png`, fullPage: true });
}

test('inspector: a timeline, the decisions about it and their number', async (t) => {
  const page = await open(t);
  assert.match(await page.title(), /inspector/i);

  await page.getByRole('button', { name: 'Show decisions' }).click();
  await page.getByText('None yet.').waitFor();

  await send('startSession', { anonymousId: 'visitor', sessionId: 1111111111 });
  await send('track', { anonymousId: 'visitor', event: 'Product Viewed', messageId: 'm1' });
  await send('startSession', { anonymousId: 'visitor', sessionId: 2222222222 });
  await send('endSession', { anonymousId: 'visitor' });
  await send('track', { anonymousId: 'visitor', event: 'Left', context: { sessionId: 5 } });
  await send('page', { anonymousId: 'somebody else' });

  await search(page, 'visitor');
  await page.getByRole('heading', { name: 'Timeline of visitor' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'answer');
  await page.getByText('No session is current.').waitFor();
  const rows = page.locator('#segments tbody tr');
  assert.deepEqual(
    (await Promise.all((await rows.all()).map(cells))).map(([, state, id, by, , mark]) => [state, id, by, mark]),
    [
      ['manual', '1111111111', 'a control call', 'given'],
      ['manual', '2222222222', 'a control call', 'not given yet'],
      ['ended', '–', 'a control call', '–'],
    ],
  );
  assert.equal(await page.locator('#answer svg rect').count(), 3);

  const decisions = page.locator('#decisions tbody tr');
  await page.getByText('6 kept, the newest first.').waitFor();
  await page.getByLabel('only of the user above').check();
  await page.getByText('5 kept, the newest first.').waitFor();
  const told = (await Promise.all((await decisions.all()).map(cells))).map(([, user, message, decision]) => [user, message, decision]);
  assert.deepEqual(told, [
    ['visitor', 'track “Left”', 'cleared'],
    ['visitor', 'endSession', 'consumed'],
    ['visitor', 'startSession', 'consumed 2222222222'],
    ['visitor', 'track “Product Viewed”', 'stamped 1111111111'],
    ['visitor', 'startSession', 'consumed 1111111111'],
  ]);
  assert.match((await cells(decisions.first()))[4], /endSession was called.*It came with sessionId 5\./);

  // Paused, it shows nothing new.
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('Paused.').waitFor();

  const again = await open(t);
  await again.getByText(/^[67] messages in \d+ minutes?/).waitFor();
  await again.getByText(/^Table file: \d+ of 1000000 users in memory\.$/).waitFor();
  await again.getByText('As a table').click();
  const numbers = (await Promise.all((await again.locator('#counts tbody tr').all()).map(cells)))
    .map((row) => row.slice(1).map(Number))
    .reduce((sum, row) => sum.map((n, i) => n + row[i]));
  assert.deepEqual(numbers, [6, 1, 1, 1, 3, 2, 2, 0]);
  await page.getByRole('button', { name: 'Show decisions' }).click();
  await page.getByText('5 kept, the newest first.').waitFor();
  await picture(page, 'light');
});

test('inspector: whom it does not know, and what it refuses', async (t) => {
  const page = await open(t, { expected: ['Failed to load resource: the server responded with a status of 400 (Bad Request)'] });
  await search(page, 'nobody', 'userId');
  await page.getByRole('heading', { name: 'Nothing is known of nobody' }).waitFor();
  await search(page, ' ');
  await page.getByText('It could not be looked up: anonymous_id or user_id is required').waitFor();
});

test('inspector: users and their devices', async (t) => {
  await send('startSession', { anonymousId: 'phone', userId: 'anna', sessionId: 6666666666 });
  await send('startSession', { anonymousId: 'laptop', userId: 'anna', sessionId: 7777777777 });
  await send('identify', { anonymousId: 'phone', userId: HOSTILE });
  await send('track', { userId: 'anna', event: 'Paid', channel: 'server' });
  const page = await open(t);
  const links = async () => (await Promise.all((await page.locator('#links tbody tr').all()).map(cells))).map(([, name]) => name);
  await search(page, 'anna', 'userId');
  await page.getByRole('heading', { name: 'Timeline of anna' }).waitFor();
  await page.getByText('Current session: 7777777777').waitFor();
  await page.getByText('There is no session of this id’s own.').waitFor();
  await page.getByRole('heading', { name: 'Where this user was active' }).waitFor();
  assert.deepEqual(await links(), ['laptop', 'phone']);
  await picture(page, 'user');
  await search(page, 'phone');
  await page.getByRole('heading', { name: 'Whose device it was' }).waitFor();
  assert.deepEqual(await links(), [HOSTILE, 'anna']);
  assert.equal(await page.locator('main img').count(), 0);
});

test('inspector: ids with markup in them are text', async (t) => {
  await send('startSession', { anonymousId: HOSTILE, sessionId: 3333333333 });
  const page = await open(t);
  await page.getByRole('button', { name: 'Show decisions' }).click();
  await page.locator('#decisions').waitFor();
  await search(page, HOSTILE);
  await page.getByRole('heading', { name: `Timeline of ${HOSTILE}` }).waitFor();
  await send('track', { anonymousId: HOSTILE, event: HOSTILE });
  await page.locator('#decisions').getByText(`track “${HOSTILE}”`).waitFor();
  assert.equal(await page.locator('main img').count(), 0);
  assert.match(await page.title(), /inspector/i);
});

test('inspector: with the keyboard alone', async (t) => {
  await send('startSession', { anonymousId: 'typed', sessionId: 4444444444 });
  const page = await open(t);
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await press('Tab');
  await page.keyboard.type(WRITE_KEY);
  await press('Tab', 'ArrowDown', 'ArrowUp', 'Tab');
  await page.keyboard.type('typed');
  await press('Enter');
  await page.getByRole('heading', { name: 'Timeline of typed' }).waitFor();
  await page.getByText('Current session: 4444444444').waitFor();
  await page.getByRole('button', { name: 'Show decisions' }).focus();
  await press('Space');
  await page.getByRole('button', { name: 'Pause', pressed: true }).waitFor();
});

test('inspector: on a phone, and in the dark', async (t) => {
  await send('startSession', { anonymousId: 'on a phone', sessionId: 5555555555 });
  const page = await open(t, { viewport: { width: 320, height: 640 }, colorScheme: 'dark', isMobile: true });
  await page.getByRole('button', { name: 'Show decisions' }).click();
  await search(page, 'on a phone');
  await page.getByText('Current session: 5555555555').waitFor();
  await page.locator('#chart svg').waitFor();
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, 'it scrolls sideways');
  await picture(page, 'phone');
  await send('startSession', { anonymousId: 'a device with a long name, as they have', userId: 'held in a hand' });
  await search(page, 'held in a hand', 'userId');
  await page.locator('#links').waitFor();
  assert.ok(await page.locator('#links').evaluate((e) => e.parentElement.scrollWidth <= e.parentElement.clientWidth), 'devices are out of sight');
});

test('inspector: every control has a name', async (t) => {
  const page = await open(t);
  const unnamed = await page.evaluate(() => {
    const labelled = (e) => e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby');
    return [...document.querySelectorAll('a, button, input, select, summary, [tabindex="0"]')].filter((e) => !labelled(e)).map((e) => e.outerHTML);
  });
  assert.deepEqual(unnamed, []);
  const tree = await page.locator('body').ariaSnapshot();
  for (const wanted of ['banner', 'main', 'heading "Session inspector" [level=1]', 'heading "Find a user" [level=2]', 'group "Whose session"', 'textbox "Write key"', 'radio "anonymousId" [checked]']) {
    assert.ok(tree.includes(wanted), `${wanted} is not in\n${tree}`);
  }
});
