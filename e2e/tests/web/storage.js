import assert from 'node:assert/strict';

import { check, CONSUMED, NONE, START } from '../../lib/check.js';
import { labelOf } from '../../lib/messages.js';
import { everywhere, MODES } from '../../lib/web.js';

// v1.1 has no such option, and does not run where the browser refuses both.
const V3 = MODES.filter(([sdk]) => sdk === 'v3');

// The SDK generates an anonymousId for each event: nothing shows that they are of one visitor.
everywhere('storage of type none', async ({ world, tab, policy }) => {
  const anonymous = ([method, label, name]) => async () => {
    await tab.send(method, name);
    const { anonymousId } = world.plane.accepted.find((message) => labelOf(message) === label);
    const id = policy.pick(NONE, await world.session({ anonymousId }), NONE);
    return id === NONE ? [label, NONE] : [label, id, START];
  };
  const home = await anonymous(['page', 'page Home', 'Home'])();
  const refused = await tab.control('startSession', { sessionId: 1234567890 });
  assert.deepEqual(refused, { status: 400, body: { error: 'anonymousId or userId is required' } });
  await tab.sendControl('startSession', { sessionId: 1234567890 });
  const next = await anonymous(['track', 'Next', 'Next'])();

  // An application that knows its visitor passes the id in each call.
  const visitor = { anonymousId: 'visitor-1' };
  await tab.control('startSession', { sessionId: 9876543210, ...visitor });
  await tab.send('track', 'A', {}, visitor);
  await tab.send('track', 'B', {}, visitor);
  await tab.reload();
  await tab.send('track', 'C', {}, visitor);
  await tab.control('endSession', visitor);
  await tab.send('track', 'Ended', {}, visitor);

  const sent = world.plane.accepted.map(({ anonymousId }) => anonymousId);
  assert.equal(new Set(sent).size, sent.length - 3, 'an anonymousId for each event, and the one that was given');
  await check(world, [
    home,
    ['startSession', CONSUMED],
    next,
    ['A', 9876543210, START],
    ['B', 9876543210],
    ['C', 9876543210],
    ['Ended', NONE],
  ]);
}, { modes: V3, visitor: { load: { storage: { type: 'none' } } } });

const withoutCookies = async (page) => {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Emulation.setDocumentCookieDisabled', { disabled: true });
};

// The SDKs keep the visitor in localStorage instead.
everywhere('a browser that blocks cookies', async ({ world, tab, visitor, policy }) => {
  const { anonymousId } = tab;
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  await tab.control('startSession', { sessionId: 1234567890 });
  await tab.send('track', 'A');
  await tab.reload();
  await tab.send('page', 'Reloaded');
  const second = await visitor.open();
  assert.equal(second.anonymousId, anonymousId);
  await second.sendControl('endSession');
  await tab.send('track', 'Ended');

  assert.deepEqual(await visitor.context.cookies(), []);
  await check(world, [
    ['page Home', before, ...policy.opening],
    ['A', 1234567890, START],
    ['page Reloaded', 1234567890],
    ['endSession', CONSUMED],
    ['Ended', NONE],
  ]);
}, { visitor: { prepare: withoutCookies } });

// As in a sandboxed frame: its origin is "null", and its state ends with the page.
everywhere('a page without any storage', async ({ world, tab, policy }) => {
  const { anonymousId } = tab;
  await tab.send('page', 'Home');
  const before = await policy.current(tab);
  await tab.control('startSession', { sessionId: 1234567890 }, 'credentials');
  await tab.send('track', 'A');
  await tab.send('track', 'B');
  await tab.reload();
  assert.notEqual(tab.anonymousId, anonymousId);
  await tab.send('page', 'Reloaded');
  const after = await policy.current(tab);

  const origins = world.recorder.requests.filter(({ url }) => !url.startsWith('/v1/session')).map(({ headers }) => headers.origin);
  assert.deepEqual(new Set(origins), new Set(['null']));
  await check(world, [
    ['page Home', before, ...policy.opening],
    ['A', 1234567890, START],
    ['B', 1234567890],
    ['page Reloaded', after, ...policy.opening],
  ]);
}, { modes: V3, visitor: { path: '/sandboxed' } });
