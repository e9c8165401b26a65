// A backend process with the Node.js SDK. It queues the events in its arguments,
// reports that, and waits. On SIGTERM it sends what is queued, as a backend should,
// and exits.
import Analytics from '@rudderstack/rudder-sdk-node';

const [writeKey, dataPlaneUrl, messages] = process.argv.slice(2);
const analytics = new Analytics(writeKey, { dataPlaneUrl, flushAt: 20, flushInterval: 600_000, logLevel: 'error' });

// A signal handler alone does not keep the process running.
const alive = setInterval(() => {}, 60_000);
process.once('SIGTERM', async () => {
  await analytics.flush();
  clearInterval(alive);
  process.stdout.write('flushed\n', () => process.exit());
});

const [first, ...rest] = JSON.parse(messages);
// The SDK sends its first event at once and alone.
analytics.track(first, () => {
  for (const message of rest) analytics.track(message);
  process.stdout.write('queued\n');
});
