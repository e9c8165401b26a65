import assert from 'node:assert/strict';

import { Visitor } from '../../lib/browser.js';
import { ADOPTED, check, checkMarks, NONE, START } from '../../lib/check.js';
import { messageRows } from '../../lib/rows.js';
import { arranged, everywhere, inAnyOrder, MODES } from '../../lib/web.js';
import { scenario } from '../../lib/world.js';

// The SDKs' own calls, made as on RudderStack's page on manual session tracking.
const START_SESSION = 'rudderanalytics.startSession()';
const START_SESSION_WITH_ID = 'rudderanalytics.startSession(sessionId)';
const END_SESSION = 'rudderanalytics.endSession()';

const ADOPT = { policies: ['adopt'] };
const BEACON = MODES.filter(([, mode]) => mode === 'beacon');

const first = (label) => [label, ADOPTED, START];
const next = (label) => [label, ADOPTED];
const none = (label) => [label, NONE];

/** Runs a line of RudderStack's page as in an application, with a variable `sessionId`. */
async function run(tab, line, sessionId) {
  await tab.page.evaluate(([code, id]) => new Function('rudderanalytics', 'sessionId', code)(window.rudderanalytics, id), [line, sessionId]);
}

/** Makes an event, checks that the SDK and the handler agree on the session afterwards, and returns its id, or null. */
async function step(tab, ...call) {
  await tab.send(...call);
  return agreed(tab);
}

async function agreed(tab) {
  const says = (await tab.call('getSessionId')) ?? null;
  assert.equal(await tab.world.session({ anonymousId: await tab.call('getAnonymousId') }), says);
  return says;
}

/** Expects the SDK's own id on each event. Marks are expected where they are: checkMarks() counts them. */
async function allOwn(world) {
  await world.settled();
  return messageRows(world).map(({ label, got, upstream }) => [
    label, ADOPTED, ...(got?.start ? [START] : []), ...(upstream === 200 ? [] : [upstream]),
  ]);
}

for (const [sdk, mode] of MODES) {
  scenario(`Manual session tracking, JavaScript ${sdk}, ${mode}: the session continues until endSession()`, { automatic: 'adopt' }, async (world) => {
    const visitor = await Visitor.withProfile(world, { sdk, mode });
    let tab = await visitor.open();
    const automatic = await step(tab, 'page', 'Home');
    assert.notEqual(automatic, null);

    await run(tab, START_SESSION);
    const generated = await step(tab, 'track', 'Started');
    assert.notEqual(generated, automatic);
    assert.equal(await step(tab, 'track', 'Clicked'), generated);

    await run(tab, START_SESSION_WITH_ID, 1234567890);
    assert.equal(await step(tab, 'track', 'With an id'), 1234567890);
    await tab.reload();
    assert.equal(await step(tab, 'page', 'Reloaded'), 1234567890);
    const second = await visitor.open();
    assert.equal(await step(second, 'track', 'In a new tab'), 1234567890);
    await visitor.restartBrowser();
    tab = await visitor.open();
    assert.equal(await step(tab, 'page', 'Reopened'), 1234567890);
    await world.restartCaddy();
    assert.equal(await step(tab, 'track', 'Later'), 1234567890);

    await run(tab, END_SESSION);
    assert.equal(await step(tab, 'track', 'Ended'), null);
    // The SDK begins an automatic session with the next page.
    await tab.reload();
    const resumed = await step(tab, 'page', 'After the end');
    assert.ok(![null, generated, automatic, 1234567890].includes(resumed));

    await check(world, [
      first('page Home'), first('Started'), next('Clicked'),
      first('With an id'), next('page Reloaded'), next('In a new tab'), next('page Reopened'), next('Later'),
      none('Ended'), first('page After the end'),
    ]);
    checkMarks(world);
    if (mode === 'xhr') await tab.screenshot(`adopt-${sdk}`);
  });
}

everywhere("the SDK's own calls: identify as another user, and reset()", async ({ world, tab }) => {
  await run(tab, START_SESSION_WITH_ID, 1234567890);
  assert.equal(await step(tab, 'track', 'Started'), 1234567890);
  assert.equal(await step(tab, 'identify', 'ann'), 1234567890);
  const bobs = await step(tab, 'identify', 'bob');
  assert.notEqual(bobs, 1234567890);
  assert.equal(await step(tab, 'track', 'As bob'), bobs);

  await tab.call('reset');
  const loggedOut = await step(tab, 'track', 'Logged out');
  assert.ok(![null, bobs].includes(loggedOut));
  assert.equal(await step(tab, 'identify', 'cid'), loggedOut);
  await tab.call('reset', true);
  assert.ok(![null, loggedOut].includes(await step(tab, 'track', 'As somebody new')));

  await run(tab, END_SESSION);
  assert.equal(await step(tab, 'track', 'Ended'), null);
  await tab.call('reset');
  assert.equal(await step(tab, 'track', 'Ended and reset'), null);
  assert.equal(await step(tab, 'identify', 'dan'), null);
  assert.equal(await step(tab, 'identify', 'eve'), null);
  await run(tab, START_SESSION);
  assert.notEqual(await step(tab, 'track', 'Started again'), null);

  await check(world, [
    first('Started'), next('identify ann'), first('identify bob'), next('As bob'),
    first('Logged out'), next('identify cid'), first('As somebody new'),
    none('Ended'), none('Ended and reset'), none('identify dan'), none('identify eve'), first('Started again'),
  ]);
  checkMarks(world);
}, ADOPT);

everywhere("the SDK's own calls: two tabs at once", async ({ world, tab: left, visitor }) => {
  const right = await visitor.open();
  await step(left, 'page', 'Left');
  await step(right, 'page', 'Right');
  // v1.1 has the session in each tab's memory, v3 in a cookie: two ids at once, or one.
  await run(left, START_SESSION_WITH_ID, 1111111111);
  await run(right, START_SESSION_WITH_ID, 2222222222);
  const both = (i) => Promise.all([left, right].map((tab, at) =>
    tab.sendAll(...['A', 'B'].map((name) => ['track', `${name}${i} ${at ? 'right' : 'left'}`]))));
  for (let i = 0; i < 3; i++) await both(i);
  await step(left, 'track', 'Last on the left');
  await step(right, 'track', 'Last on the right');
  await run(left, START_SESSION);
  await both(3);
  await step(left, 'track', 'Really last');

  await check(world, await allOwn(world));
  checkMarks(world);
}, ADOPT);

everywhere("the SDK's own calls: the first event is refused", async ({ world, tab }) => {
  for (const status of [400, 413]) {
    await run(tab, status === 400 ? START_SESSION : START_SESSION_WITH_ID, 1234567890);
    const label = `First, ${status}`;
    world.plane.failOnce(label, status);
    await tab.call('track', label);
    await world.recorder.answered(label);
    await step(tab, 'track', `Second, ${status}`);
    await step(tab, 'track', `Third, ${status}`);
  }
  await check(world, [400, 413].flatMap((status) => [
    [...first(`First, ${status}`), status], first(`Second, ${status}`), next(`Third, ${status}`),
  ]));
  checkMarks(world);
}, ADOPT);

// With beacons the queued event is lost. Otherwise another page sends it later, or this one does
// while it is closed: whichever event is first has the mark.
everywhere("the SDK's own calls: the first event is killed with the page", async ({ world, tab, visitor, mode }) => {
  await step(tab, 'page', 'Home');
  await run(tab, START_SESSION_WITH_ID, 1234567890);
  const failed = tab.page.waitForEvent('requestfailed', (request) => request.url().startsWith(world.url));
  await visitor.offline(true);
  await tab.call('track', 'Killed');
  await failed;
  await tab.close();
  await visitor.offline(false);

  const reopened = await visitor.open();
  assert.equal(await step(reopened, 'track', 'Next'), 1234567890);
  await step(reopened, 'track', 'And on');
  const lost = BEACON.some(([, beacon]) => beacon === mode);
  const rest = ['Next', 'And on'];
  let opening = 'Next';
  if (!lost) {
    await world.plane.got('Killed');
    rest.push('Killed');
    if (messageRows(world).find(({ label }) => rest.includes(label)).label === 'Killed') opening = 'Killed';
  }
  await check(world, await arranged(world, [
    first('page Home'), inAnyOrder(...rest.map((label) => (label === opening ? first : next)(label))),
  ]));
  checkMarks(world);
}, ADOPT);
