import { Visitor } from './browser.js';
import { Waiters } from './http.js';
import { labelOf } from './messages.js';
import { WRITE_KEY } from './world.js';

/** A service worker with the SDK, registered in Chromium, and the page that talks to it. */
export class ServiceWorker {
  static async register(world) {
    const { context } = await Visitor.arrive(world, { fresh: true });
    const page = await context.newPage();
    await page.goto(`${world.site.url}/worker?${new URLSearchParams({ writeKey: WRITE_KEY, dataPlane: world.url })}`);
    return Object.assign(new ServiceWorker(), { world, context, page });
  }

  #ask(...what) {
    return this.page.evaluate((args) => window.ask(...args), what);
  }

  /** Queues an event; the first one of a worker's life is sent at once. */
  call(method, message) {
    return this.#ask('call', method, message);
  }

  /** Queues tracks, one after the other. */
  async trackAll(...messages) {
    for (const message of messages) await this.call('track', message);
  }

  /** Sends the queue in one batch: 'sent' or 'failed', after the SDK's own retries. */
  flush() {
    return this.#ask('flush');
  }

  /** Queues an event and sends it, and waits until the data plane has it. */
  async send(method, message) {
    const label = labelOf({ type: method, ...message });
    const count = this.world.plane.count(label);
    await this.call(method, message);
    await this.flush();
    await this.world.plane.got(label, count);
  }

  /** Queues a control call and sends it, and waits for its answer. */
  async sendControl(event, message) {
    const count = this.world.recorder.count(event);
    await this.call('track', { event, ...message });
    await this.flush();
    await this.world.recorder.answered(event, count);
  }

  /** Calls a control endpoint from the worker: {status, body}. */
  control(name, message) {
    return this.#ask('control', name, message);
  }

  /** Makes the browser stop the worker, as it does with an idle one: its memory is lost. */
  async stop() {
    const waiters = new Waiters();
    const devtools = await this.context.newCDPSession(this.page);
    let status;
    devtools.on('ServiceWorker.workerVersionUpdated', ({ versions: [version] }) => {
      status = version?.runningStatus;
      waiters.changed();
    });
    await devtools.send('ServiceWorker.enable');
    await devtools.send('ServiceWorker.stopAllWorkers');
    await waiters.until(() => status === 'stopped', 'the worker to stop', () => `it is ${status}`);
    await devtools.detach();
  }
}
