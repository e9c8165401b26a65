// The application's service worker, which uses the SDK like a browser extension.
import { Analytics } from '/sdk/service-worker.js';

const query = new URLSearchParams(location.search);
const [writeKey, dataPlane] = ['writeKey', 'dataPlane'].map((name) => query.get(name));

// No timer sends events: the SDK sends the first one at once, and flush() the others.
const analytics = new Analytics(writeKey, dataPlane, { flushAt: 20, flushInterval: 600_000, logLevel: 'off' });

/** The functions that a page can call. */
const app = {
  /** Queues an event. */
  call: (method, message) => void analytics[method](message),

  /** Sends the queue in one batch, and returns the result after the SDK's own retries. */
  flush() {
    // With an empty queue the SDK calls setImmediate, which browsers do not have.
    if (analytics.queue.length === 0) return 'nothing to send';
    return new Promise((resolve) => analytics.flush((error) => resolve(error ? 'failed' : 'sent')));
  },

  /** Calls a control endpoint. */
  async control(name, message) {
    const response = await fetch(`${dataPlane}/v1/${name}`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(`${writeKey}:`)}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ originalTimestamp: new Date(), sentAt: new Date(), ...message }),
    });
    return { status: response.status, body: await response.json() };
  },
};

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

// A message starts the worker if the browser has stopped it, and keeps it until it is answered.
self.addEventListener('message', (event) => {
  const { data: [what, ...args], ports: [port] } = event;
  const answer = async () => {
    try {
      port.postMessage({ value: await app[what](...args) });
    } catch (error) {
      port.postMessage({ error: error.stack });
    }
  };
  event.waitUntil(answer());
});
