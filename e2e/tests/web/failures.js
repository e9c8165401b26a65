import { check, START } from '../../lib/check.js';
import { everywhere, MODES } from '../../lib/web.js';

const BEACON = MODES.filter(([, mode]) => mode === 'beacon');

everywhere('the data plane fails, and the event is sent again', async ({ world, tab, mode, policy }) => {
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  const expected = [['page Home', before, ...policy.opening]];
  // After a 408 Chromium itself sends the request again, beacons too, and the SDK does not notice.
  for (const how of [408, ...(mode === 'beacon' ? [] : [500, 503, 429, 'hang up'])]) {
    const { body: { sessionId: id } } = await tab.control('startSession');
    const [first, second] = [`First, ${how}`, `Second, ${how}`];
    world.plane.failOnce(first, how);
    // The retry waits until another event of the session has been accepted.
    const release = world.recorder.hold(first, 1);
    await tab.call('track', first);
    await world.recorder.answered(first);
    await tab.send('track', second);
    release();
    await world.plane.got(first);
    expected.push([first, id, START, how], [second, id], [first, id, START]);
  }
  await check(world, expected);
  // If Caddy itself retries, an SDK does not notice that a connection broke.
}, { retries: false });

everywhere('the data plane refuses the event with the start mark', async ({ world, tab, policy }) => {
  const refuse = async (method, label, name, status) => {
    world.plane.failOnce(label, status);
    await tab.call(method, name);
    await world.recorder.answered(label);
  };
  await refuse('page', 'page Home', 'Home', 400);
  await tab.send('track', 'At home');
  const before = await policy.current(tab);
  const expected = [
    ['page Home', before, ...policy.opening, 400],
    // The SDK does not replace lost marks.
    ['At home', before, ...(policy.givesMarks ? [START] : [])],
  ];
  for (const status of [400, 404, 413]) {
    const { body: { sessionId: id } } = await tab.control('startSession');
    const [first, second, third] = ['First', 'Second', 'Third'].map((name) => `${name}, ${status}`);
    await refuse('track', first, first, status);
    await tab.send('track', second);
    await tab.send('track', third);
    expected.push([first, id, START, status], [second, id, START], [third, id]);
  }

  // The second of two refusals in a row frees the mark as well.
  const { body: { sessionId: id } } = await tab.control('startSession');
  await refuse('track', 'A', 'A', 400);
  await refuse('track', 'B', 'B', 400);
  await tab.send('track', 'C');
  await tab.send('track', 'D');
  await check(world, [...expected, ['A', id, START, 400], ['B', id, START, 400], ['C', id, START], ['D', id]]);
});

// Beacons are not sent again. But the proxy cannot know that the event will not come: the event
// keeps the start mark, which is lost with it.
everywhere('the event with the start mark is lost', async ({ world, tab, policy }) => {
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  const expected = [['page Home', before, ...policy.opening]];
  for (const status of [500, 429]) {
    const { body: { sessionId: id } } = await tab.control('startSession');
    const [first, second] = [`First, ${status}`, `Second, ${status}`];
    world.plane.failOnce(first, status);
    await tab.call('track', first);
    await world.recorder.answered(first);
    await tab.send('track', second);
    expected.push([first, id, START, status], [second, id]);
  }
  await check(world, expected);
}, { modes: BEACON });
