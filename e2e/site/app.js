// The application: an SDK, installed as in its documentation, and calls of the control
// endpoints, made as in docs/control-api.md.
const query = new URLSearchParams(location.search);
const [kind, mode, writeKey, dataPlane] = ['sdk', 'mode', 'writeKey', 'dataPlane'].map((name) => query.get(name));

/** Short timers, so that tests do not wait for batches and retries. */
const MODES = {
  xhr: { queueOptions: { minRetryDelay: 50, maxRetryDelay: 1000, maxAttempts: 100 } },
  batch: {
    queueOptions: {
      minRetryDelay: 50, maxRetryDelay: 1000, maxAttempts: 100,
      batch: { enabled: true, maxItems: 10, flushInterval: 50 },
    },
  },
  beacon: { useBeacon: true, beaconQueueOptions: { maxItems: 10, flushQueueInterval: 50 } },
};

const LOG = 'application-log';

/** The log, which outlives the page. There is none if the browser does not allow storage. */
function logged() {
  try {
    return JSON.parse(localStorage.getItem(LOG) ?? '[]');
  } catch {
    return undefined;
  }
}

function log(call, answer = '') {
  const entry = [new Date().toISOString().slice(11, 23), call, answer];
  const entries = logged();
  if (entries) localStorage.setItem(LOG, JSON.stringify([...entries, entry]));
}

async function loadSdk() {
  if (kind === 'v3') {
    const { RudderAnalytics } = await import('/sdk/v3.js');
    return new RudderAnalytics();
  }
  const script = document.createElement('script');
  script.src = '/sdk/v1.js';
  await new Promise((resolve, reject) => {
    Object.assign(script, { onload: resolve, onerror: reject });
    document.head.append(script);
  });
  return window.rudderanalytics;
}

const text = (values) => values.map((value) => JSON.stringify(value)).join(', ');

let loaded;

window.app = {
  /** Fulfilled when the SDK is ready. */
  ready: new Promise((resolve) => (loaded = resolve)),

  /** Calls a method of the SDK, and returns what it returns if that can leave the page. */
  call(method, ...args) {
    const value = window.rudderanalytics[method](...args);
    const plain = ['string', 'number', 'object'].includes(typeof value) ? (value ?? undefined) : undefined;
    if (!method.startsWith('get')) log(`rudderanalytics.${method}(${text(args)})`);
    return plain;
  },

  /** Calls a control endpoint: with the write key in the query, without a preflight, or with headers and one. */
  async control(name, message, how) {
    const body = JSON.stringify({
      anonymousId: window.rudderanalytics.getAnonymousId(), originalTimestamp: new Date(), sentAt: new Date(), ...message,
    });
    const url = `${dataPlane}/v1/${name}`;
    const response = how === 'query'
      ? await fetch(`${url}?writeKey=${writeKey}`, { method: 'POST', body })
      : await fetch(url, {
          method: 'POST',
          headers: { Authorization: `Basic ${btoa(`${writeKey}:`)}`, 'Content-Type': 'application/json' },
          credentials: how === 'credentials' ? 'include' : 'same-origin',
          body,
        });
    const answer = await response.json();
    log(`POST /v1/${name} ${JSON.stringify(message)}`, `${response.status} ${JSON.stringify(answer)}`);
    return { status: response.status, body: answer };
  },

  /** The same while the page is left, so that the answer is not read. */
  controlOnLeave(name, message) {
    addEventListener('pagehide', () => {
      const body = JSON.stringify({
      anonymousId: window.rudderanalytics.getAnonymousId(), originalTimestamp: new Date(), sentAt: new Date(), ...message,
    });
      const queued = navigator.sendBeacon(`${dataPlane}/v1/${name}?writeKey=${writeKey}`, body);
      log(`sendBeacon /v1/${name} ${JSON.stringify(message)}`, queued ? 'queued' : 'refused');
    });
  },

  callOnLeave(method, ...args) {
    addEventListener('pagehide', () => this.call(method, ...args));
  },

  /**
   * Shows the application's log, and the messages at the data plane below it. Until then the page
   * shows nothing: to lay it out again after each call would take longer than the call.
   */
  show(head, rows) {
    document.querySelector('main').hidden = false;
    document.querySelector('#sdk').textContent = `SDK ${kind}, mode ${mode}, data plane URL ${dataPlane}`;
    const log = document.querySelector('#log').tBodies[0];
    for (const cells of logged() ?? []) {
      const row = log.insertRow();
      for (const cell of cells) row.insertCell().textContent = cell;
    }
    const events = document.querySelector('#events');
    const header = events.tHead.insertRow();
    for (const cell of head) header.append(Object.assign(document.createElement('th'), { textContent: cell }));
    for (const cells of rows) {
      const row = events.tBodies[0].insertRow();
      row.className = cells[0].startsWith('*') ? 'call' : '';
      for (const cell of cells) row.insertCell().textContent = cell;
      const verdict = row.cells[row.cells.length - 1];
      if (verdict.textContent) verdict.className = verdict.textContent === 'ok' ? 'ok' : 'wrong';
    }
  },
};

window.rudderanalytics = await loadSdk();
window.rudderanalytics.load(writeKey, dataPlane, {
  configUrl: location.origin, ...MODES[mode], ...JSON.parse(query.get('load') ?? '{}'),
});
window.rudderanalytics.ready(() => {
  log('page loaded');
  loaded(true);
});
