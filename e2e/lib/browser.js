import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { WAIT } from './limits.js';
import { isControl, labelOf } from './messages.js';
import { HEAD, tableOf } from './table.js';
import { WRITE_KEY } from './world.js';

/**
 * Chromium's headless shell, if it is installed: it needs less than half the processor time
 * for a page, and runs the same code for pages and networking.
 */
const PROGRAM = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'].find(existsSync);

export const LAUNCH = {
  timeout: WAIT,
  executablePath: PROGRAM,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
    // Nothing leaves this machine: no other name resolves.
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
  ],
};

/** A browser context with the timeout of everything else here. */
export function patient(context) {
  context.setDefaultTimeout(WAIT);
  return context;
}

let shared;
after(() => shared?.then((browser) => browser.close()));

/** Contexts that earlier scenarios have left, with one empty page each. */
const left = [];

/** A visitor's browser, with its own cookies and storage. */
export class Visitor {
  /** Pages of the context that no tab has taken. */
  unused = [];

  /**
   * Gets a visitor the context of an earlier one, emptied: a new context and the process of its
   * page take more processor time than the rest of most scenarios. A scenario that changes more
   * of the context or the page than what emptied() restores must ask for a `fresh` one; one that
   * prepares its pages gets it.
   */
  static async arrive(world, options) {
    const fresh = options.fresh || options.prepare !== undefined;
    const visitor = Object.assign(new Visitor(), { world, options });
    shared ??= chromium.launch(LAUNCH);
    visitor.context = (!fresh && left.pop()) || patient(await (await shared).newContext());
    visitor.unused = visitor.context.pages();
    world.closers.push(async () => {
      if (!fresh && !world.failed && (await emptied(visitor.context, world))) left.push(visitor.context);
      else await visitor.context.close();
    });
    return visitor;
  }

  /** A visitor whose browser can be closed and reopened, because its profile is on the disk. */
  static async withProfile(world, options) {
    const visitor = Object.assign(new Visitor(), { world, options });
    visitor.profile = await mkdtemp(join(tmpdir(), 'rudder-session-e2e-profile-'));
    world.closers.push(async () => {
      await visitor.context?.close();
      await rm(visitor.profile, { recursive: true, force: true, maxRetries: 5 });
    });
    visitor.context = patient(await chromium.launchPersistentContext(visitor.profile, LAUNCH));
    return visitor;
  }

  async restartBrowser() {
    await this.context.close();
    this.context = patient(await chromium.launchPersistentContext(this.profile, LAUNCH));
  }

  /** Opens the site in a new tab. */
  async open() {
    const tab = new Tab(this.unused.pop() ?? (await this.context.newPage()), this);
    await this.options.prepare?.(tab.page);
    await tab.load();
    return tab;
  }

  offline(is) {
    return this.context.setOffline(is);
  }
}

/** Leaves a context with one empty page and nothing else. Reports whether there is a page. */
async function emptied(context, { site }) {
  const [page, ...others] = context.pages();
  if (!page) return false;
  await Promise.all(others.map((other) => other.close()));
  page.removeAllListeners('pageerror');
  page.removeAllListeners('console');
  await context.setOffline(false);
  // The application's page is left first, because it may store something while it is left.
  await page.goto(`${site.url}/empty`);
  await page.evaluate(() => {
    localStorage.clear();
    sessionStorage.clear();
  });
  await context.clearCookies();
  return true;
}

/** A page of the site, with an SDK on it. */
export class Tab {
  constructor(page, visitor) {
    const { world, options } = visitor;
    Object.assign(this, { page, visitor, world, options });
    page.on('pageerror', (error) => (world.caddy.log += `page: ${error.stack}\n`));
    page.on('console', (message) => (world.caddy.log += `page: ${message.text()}\n`));
  }

  async load() {
    const { sdk = 'v3', mode = 'xhr', load = {}, path = '/' } = this.options;
    const { site, url } = this.world;
    const query = new URLSearchParams({ sdk, mode, writeKey: WRITE_KEY, dataPlane: url, load: JSON.stringify(load) });
    await this.page.goto(`${site.url}${path}?${query}`);
    await this.ready();
  }

  async reload() {
    await this.page.reload();
    await this.ready();
  }

  async ready() {
    // Playwright's waitForFunction would have the page drawn until then, which takes longer than the SDK.
    this.anonymousId = await this.page.evaluate(async () => {
      await window.app.ready;
      return window.app.call('getAnonymousId');
    });
  }

  /** Calls a method of the SDK. */
  call(method, ...args) {
    return this.page.evaluate(([name, values]) => window.app.call(name, ...values), [method, args]);
  }

  /** Calls several, [method, ...arguments] each, in one task of the page: nothing runs in between. */
  callAll(...calls) {
    return this.page.evaluate((list) => list.forEach(([name, ...values]) => window.app.call(name, ...values)), calls);
  }

  /** Calls a method that makes an event, and waits until the data plane has the event (a control call: for its answer). */
  send(method, ...args) {
    return this.sendAll([method, ...args]);
  }

  /** The same for several, in one task of the page. */
  async sendAll(...calls) {
    const { plane, recorder } = this.world;
    const arrivals = calls.map(([method, ...args]) => {
      const label = named(method, args);
      if (isControl({ type: method, event: args[0] })) {
        const count = recorder.count(label);
        return () => recorder.answered(label, count);
      }
      const count = plane.count(label);
      return () => plane.got(label, count);
    });
    await this.callAll(...calls);
    await Promise.all(arrivals.map((arrived) => arrived()));
  }

  /** Makes a control call by track, and waits for its answer. */
  sendControl(name, properties) {
    return this.sendAll(['track', name, properties]);
  }

  /** Calls a control endpoint from the page: {status, body}. */
  control(name, message = {}, how = 'query') {
    return this.page.evaluate(([n, m, h]) => window.app.control(n, m, h), [name, message, how]);
  }

  /** Makes the page call one with sendBeacon while it unloads. */
  controlOnLeave(name, message = {}) {
    return this.page.evaluate(([n, m]) => window.app.controlOnLeave(n, m), [name, message]);
  }

  /** Makes the page call a method of the SDK while it unloads. */
  callOnLeave(method, ...args) {
    return this.page.evaluate(([name, values]) => window.app.callOnLeave(name, ...values), [method, args]);
  }

  /** Closes the tab like a person, so that the page gets its unload events. */
  async close() {
    const closed = this.page.waitForEvent('close');
    await this.page.close({ runBeforeUnload: true });
    await closed;
  }

  /** Saves a picture of the page's log and of the table in out/. */
  async screenshot(name) {
    await mkdir(OUT, { recursive: true });
    await this.page.setViewportSize({ width: 1280, height: 720 });
    await this.page.evaluate(([head, rows]) => window.app.show(head, rows), [HEAD, tableOf(this.world)]);
    await this.page.screenshot({ path: join(OUT, `${name}.png`), fullPage: true });
  }
}

const OUT = fileURLToPath(new URL('../out/', import.meta.url));

const named = (method, [first]) =>
  labelOf({ type: method, event: first, name: first, userId: first, groupId: first });
