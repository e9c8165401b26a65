import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { ADOPTED, AS_SENT, check, CONSUMED, NONE, START } from '../lib/check.js';
import { bearsEvents, messagesOf, textOf } from '../lib/messages.js';
import { Phone, SDKS } from '../lib/phone.js';
import { checkInvariants } from '../lib/rows.js';
import { scenario, WRITE_KEY } from '../lib/world.js';

const CAPTURES = new URL('../../testdata/captures/mobile-synthetic.jsonl', import.meta.url);
const MINUTE = 60_000;
const [FIRST, SECOND] = [1234567890, 9876543210];

/** The rows of events that begin a session, the first with the mark; without a session, rows without marks. */
const session = (id, [first, ...rest], marked = id !== NONE) => [
  marked ? [first, id, START] : [first, id],
  ...rest.map((label) => [label, id]),
];

/**
 * The expected rows of a run of the app without a manual session, by policy. `own` says whether the SDK begins a
 * session with it, `adopted` whether the handler sees the first event of one.
 */
function policy({ automatic, tracks }, labels, { own, adopted = own, made }) {
  if (automatic === 'proxy') return session(made, labels);
  if (automatic === 'off' || !tracks) return session(NONE, labels);
  if (automatic === 'adopt') return session(ADOPTED, labels, adopted);
  return session(AS_SENT, labels, own);
}

for (const [name, sdk] of Object.entries(SDKS)) {
  for (const automatic of ['sdk', 'adopt', 'proxy', 'off']) {
    for (const tracks of [true, false]) {
      const mode = { automatic, tracks };
      const title = `${name}, automatic ${automatic}, the SDK's own tracking ${tracks ? 'on' : 'off'}`;

      scenario(`${title}: install, background, timeout, cold start`, { automatic }, async (world) => {
        const phone = new Phone(world, sdk, tracks);
        const user = { anonymousId: phone.anonymousId };
        /** Sends the queue, and returns the session that is current afterwards. */
        const flush = async () => {
          const since = Date.now();
          assert.deepEqual(await phone.flush(), [200]);
          const id = await world.session(user);
          return { id, fresh: id >= since - 3 * MINUTE && id <= Date.now() };
        };
        phone.install();
        phone.screen('Home');
        // A cold start within a minute of the installation would count as the same start.
        phone.wait(2);
        const installed = await flush();
        assert.equal(installed.fresh, automatic === 'proxy');

        const started = await world.control('startSession', { ...user, sessionId: FIRST });
        assert.deepEqual(started, { status: 200, body: { sessionId: FIRST } });
        phone.track('A');
        phone.identify('ann');
        phone.background();
        assert.equal((await flush()).id, FIRST);
        // Back within the SDK's timeout, and after it: the SDK's session rotates, the manual one does not.
        phone.wait(2);
        phone.foreground();
        phone.track('B');
        phone.background();
        assert.equal((await flush()).id, FIRST);
        phone.wait(6);
        phone.foreground();
        phone.track('C');
        assert.equal((await flush()).id, FIRST);

        // Closed and opened within the SDK's timeout: the SDK's session continues.
        phone.wait(1);
        phone.start();
        phone.track('D');
        const opened = await flush();
        assert.equal(opened.id, tracks ? ({ proxy: opened.id, adopt: phone.own?.sessionId }[automatic] ?? null) : FIRST);
        if (tracks && automatic === 'proxy') {
          assert.ok(opened.fresh, `${opened.id} is not the time of the event`);
          assert.notEqual(opened.id, installed.id);
        }

        phone.track('startSession', { sessionId: SECOND });
        phone.track('E');
        assert.equal((await flush()).id, SECOND);
        assert.deepEqual(await world.control('endSession', user), { status: 200, body: { sessionId: null } });
        phone.track('F');
        phone.background();
        await flush();
        // The SDK's session rotates. The ended state is over only when the app starts anew.
        phone.wait(6);
        phone.foreground();
        phone.track('G');
        assert.equal((await flush()).id, null);
        phone.wait(60);
        phone.start();
        phone.track('H');
        const last = await flush();
        assert.equal(last.fresh, automatic === 'proxy');

        await check(world, [
          ...policy(mode, ['Application Installed', 'Application Opened', 'screen'], { own: true, made: installed.id }),
          ...session(FIRST, ['A', 'identify ann', 'Application Backgrounded']),
          ...session(FIRST, ['Application Opened', 'B', 'Application Backgrounded'], false),
          ...session(FIRST, ['Application Opened', 'C'], false),
          ...(tracks ? policy(mode, ['Application Opened', 'D'], { own: false, adopted: true, made: opened.id }) : session(FIRST, ['Application Opened', 'D'], false)),
          ['startSession', CONSUMED],
          ['E', SECOND, START],
          ...session(NONE, ['F', 'Application Backgrounded', 'Application Opened', 'G']),
          ...policy(mode, ['Application Opened', 'H'], { own: true, made: last.id }),
        ]);
      });

      scenario(`${title}: a day offline, and a flush`, { automatic }, async (world) => {
        const phone = new Phone(world, sdk, tracks);
        phone.install();
        phone.track('Morning');
        phone.wait(10);
        phone.background();
        phone.wait(60);
        phone.foreground();
        phone.track('Noon');
        phone.track('startSession', { sessionId: FIRST });
        phone.track('A');
        phone.wait(120);
        phone.track('B');
        phone.background();
        phone.wait(10);
        phone.start();
        phone.track('C');
        phone.wait(10);
        phone.track('endSession');
        phone.track('D');
        phone.background();
        phone.wait(60);
        phone.foreground();
        phone.track('E');
        phone.wait(60);
        phone.start();
        phone.track('F');
        phone.wait(5);
        const since = Date.now();
        assert.deepEqual(await phone.flush(), [200]);

        // With `proxy` the ids are event times by the proxy's clock, as far apart as by the phone's.
        const [batch] = world.recorder.requests.filter(bearsEvents);
        const sent = messagesOf(batch);
        const installed = messagesOf(world.plane.requests[0])[0].context.sessionId;
        const [opened] = sent;
        const made = (i) => installed + Date.parse(sent[i].originalTimestamp) - Date.parse(opened.originalTimestamp);
        if (automatic === 'proxy') {
          const at = since - (Date.parse(opened.sentAt) - Date.parse(opened.originalTimestamp));
          assert.ok(installed >= at && installed <= at + Date.now() - since + 1, `${installed} is not the time of the first event`);
        }
        const index = (label, nth = 0) => sent.map(({ event }, i) => [event, i]).filter(([event]) => event === label)[nth][1];
        await check(world, [
          ...policy(mode, ['Application Installed', 'Application Opened', 'Morning', 'Application Backgrounded'], { own: true, made: made(0) }),
          ...policy(mode, ['Application Opened', 'Noon'], { own: true, made: made(index('Application Opened', 1)) }),
          ['startSession', CONSUMED],
          ...session(FIRST, ['A', 'B', 'Application Backgrounded']),
          ...(tracks
            ? policy(mode, ['Application Opened', 'C'], { own: true, made: made(index('Application Opened', 2)) })
            : session(FIRST, ['Application Opened', 'C'], false)),
          ['endSession', CONSUMED],
          ...session(NONE, ['D', 'Application Backgrounded', 'Application Opened', 'E']),
          ...policy(mode, ['Application Opened', 'F'], { own: true, made: made(index('Application Opened', 4)) }),
        ]);
      });
    }

    scenario(`${name}, automatic ${automatic}: a session is started while the phone is offline`, { automatic }, async (world) => {
      const phone = new Phone(world, sdk, true);
      const user = { anonymousId: phone.anonymousId };
      phone.install();
      phone.track('Online');
      await phone.flush();
      const before = await world.session(user);
      phone.wait(60);
      phone.foreground();
      phone.track('Six hours ago');
      phone.wait(6 * 60);
      await world.control('startSession', { ...user, sessionId: FIRST });
      phone.track('Just before the flush');
      await phone.flush();
      // By the proxy's clock, which did not jump, its time is before the installation.
      const made = messagesOf(world.plane.requests.at(-1))[0].context.sessionId;
      const mode = { automatic, tracks: true };
      await check(world, [
        ...policy(mode, ['Application Installed', 'Application Opened', 'Online'], { own: true, made: before }),
        ...policy(mode, ['Application Opened', 'Six hours ago'], { own: true, made }),
        ['Just before the flush', FIRST, START],
      ]);
    });
  }

  scenario(`${name}: another user`, {}, async (world) => {
    const phone = new Phone(world, sdk, true);
    const { anonymousId } = phone;
    phone.install();
    await phone.flush();
    await world.control('startSession', { anonymousId, sessionId: FIRST });
    phone.identify('ann');
    phone.track('As ann');
    phone.identify('bob');
    phone.track('As bob');
    assert.deepEqual(await phone.flush(), sdk.oneUserPerBatch ? [200, 200] : [200]);
    // The new SDKs change the anonymousId, and the new one has no manual session.
    assert.equal(phone.anonymousId === anonymousId, !sdk.resets);
    await check(world, [
      ...session(AS_SENT, ['Application Installed', 'Application Opened']),
      ...session(FIRST, ['identify ann', 'As ann']),
      ...(sdk.resets ? session(AS_SENT, ['identify bob', 'As bob']) : session(FIRST, ['identify bob', 'As bob'], false)),
    ]);
    assert.equal(await world.session({ anonymousId }), FIRST);
  });

  for (const status of [503, 429, 400]) {
    scenario(`${name}: the data plane answers a flush with ${status}`, {}, async (world) => {
      const phone = new Phone(world, sdk, true);
      phone.install();
      await phone.flush();
      await world.control('startSession', { anonymousId: phone.anonymousId, sessionId: FIRST });
      phone.track('A');
      phone.track('B');
      world.plane.failOnce('A', status);
      const dropped = status === 400 && sdk.drops;
      assert.deepEqual(await phone.flush(), dropped ? [400] : [status, 200]);
      phone.track('C');
      await phone.flush();
      await check(world, [
        ...session(AS_SENT, ['Application Installed', 'Application Opened']),
        ['A', FIRST, START, status],
        ['B', FIRST, status],
        ...(dropped ? [] : session(FIRST, ['A', 'B'])),
        // If an event is refused for good, its start mark is free for the next one.
        ['C', FIRST, ...(dropped ? [START] : [])],
      ]);
    });
  }

  scenario(`${name}: a flush with a startSession in it comes again`, {}, async (world) => {
    const phone = new Phone(world, sdk, false);
    phone.install();
    await phone.flush();
    phone.track('Before');
    phone.track('startSession', { sessionId: FIRST });
    phone.track('A');
    phone.track('B');
    world.plane.failOnce('A', 503);
    assert.deepEqual(await phone.flush(), [503, 200]);
    const attempt = (status) => [['Before', NONE, status], ['startSession', CONSUMED, status], ['A', FIRST, START, status], ['B', FIRST, status]];
    await check(world, [...session(NONE, ['Application Installed', 'Application Opened']), ...attempt(503), ...attempt(200)]);
  });
}

/** The parts of a request that depend only on the SDK: ids, times and lengths are left out. */
function formOf(sdk, writeKey, pairs, body) {
  const { anonymousId } = body.batch[0];
  const values = {
    'authorization': ['the write key', `Basic ${Buffer.from(`${writeKey}:`).toString('base64')}`],
    'anonymousid': ['the anonymousId', sdk.header(anonymousId)],
    'content-length': ['a length'],
    'content-type': [], 'content-encoding': [], 'transfer-encoding': [],
  };
  const headers = pairs.map(([key, value]) => [key.toLowerCase(), value]).filter(([key]) => values[key]).map(([key, value]) => {
    const [meaning, wanted = value] = values[key];
    return [key, value === wanted && meaning ? meaning : value];
  });
  const ids = new Set(['messageId', 'originalTimestamp', 'sentAt', 'anonymousId', 'sessionId']);
  return { headers, body: JSON.stringify(body, (key, value) => (ids.has(key) ? typeof value : value), 1) };
}

for (const [name, captured] of [['Android', 'android-java'], ['Kotlin', 'kotlin'], ['iOS', 'ios-objc'], ['Swift', 'swift']]) {
  scenario(`${name}: its requests have the form that its source gives them`, {}, async (world) => {
    const sdk = SDKS[name];
    const lines = (await readFile(CAPTURES, 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
    for (const tracks of [true, false]) {
      const wanted = lines.filter(({ scenario }) => scenario === `${captured} auto=${tracks}`);
      const phone = new Phone(world, sdk, tracks);
      for (const [i, use] of [
        () => [phone.install(), phone.track('tap 1'), phone.screen('Home')],
        () => [phone.identify('u1'), phone.track('tap 2')],
        () => [phone.background(), phone.foreground(), phone.track('tap 3')],
        () => [phone.wait(6), phone.foreground(), phone.track('tap 4')],
        () => [phone.wait(1), phone.start(), phone.track('tap 5')],
        () => [phone.wait(60), phone.start(), phone.track('tap 6')],
      ].entries()) {
        use();
        await phone.flush();
        const sent = world.recorder.requests.at(-1);
        const pairs = sent.rawHeaders.flatMap((it, at, all) => (at % 2 ? [] : [[it, all[at + 1]]]));
        assert.deepEqual(
          formOf(sdk, WRITE_KEY, pairs, JSON.parse(textOf(sent))),
          formOf(sdk, 'WK_LOCAL', wanted[i].rawHeaders, wanted[i].body),
        );
      }
    }
    checkInvariants(world);
  });
}
