import assert from 'node:assert/strict';

import { ADOPTED, AS_SENT, check, checkMarks, NONE, START } from '../lib/check.js';
import { Phone, SDKS } from '../lib/phone.js';
import { scenario } from '../lib/world.js';

// The SDKs' own calls, made as RudderStack's page on manual session tracking tells apps to.

/** The SDKs on RudderStack's page, and the two newer ones. React Native and Flutter contain the others. */
const ROWS = [
  ['Android', SDKS.Android], ['Kotlin', SDKS.Kotlin], ['iOS', SDKS.iOS], ['Swift', SDKS.Swift],
  ['React Native on Android', SDKS.Android], ['React Native on iOS', SDKS.iOS],
  ['Flutter on Android', SDKS.Android], ['Flutter on iOS', SDKS.iOS],
];

const first = (label) => [label, ADOPTED, START];
const next = (label) => [label, ADOPTED];
const none = (label) => [label, NONE];

/** Sends the queue, and checks that the SDK and the handler agree on the session afterwards. */
async function flush(world, phone) {
  await phone.flush();
  assert.equal(await world.session({ anonymousId: phone.anonymousId }), phone.own?.sessionId ?? null);
}

for (const [name, sdk] of ROWS) {
  const title = `Manual session tracking, ${name}, automatic session tracking`;

  scenario(`${title} enabled: startSession() disables it until the app is closed, the restart resumes it`, { automatic: 'adopt' }, async (world) => {
    const phone = new Phone(world, sdk, true);
    phone.install();
    phone.screen('Home');
    await flush(world, phone);

    phone.wait(1);
    phone.startSession();
    phone.track('Started');
    await flush(world, phone);
    phone.background();
    phone.wait(60);
    phone.foreground();
    phone.track('Back after an hour');
    await flush(world, phone);
    phone.startSession(1234567890);
    phone.track('With an id');
    phone.background();
    await flush(world, phone);
    assert.equal(phone.own.sessionId, 1234567890);

    phone.wait(1);
    phone.start();
    phone.track('Restarted');
    await flush(world, phone);
    assert.notEqual(phone.own.sessionId, 1234567890);
    // The app is still open, but was in the background for longer than the timeout.
    phone.background();
    phone.wait(60);
    phone.foreground();
    phone.track('The next automatic one');
    await flush(world, phone);

    phone.endSession();
    phone.track('Ended');
    await flush(world, phone);
    phone.background();
    phone.wait(60);
    phone.foreground();
    phone.track('Still ended');
    await flush(world, phone);
    phone.wait(60);
    phone.update();
    phone.track('Updated');
    await flush(world, phone);

    await check(world, [
      first('Application Installed'), next('Application Opened'), next('screen'),
      first('Started'), next('Application Backgrounded'), next('Application Opened'), next('Back after an hour'),
      first('With an id'), next('Application Backgrounded'),
      first('Application Opened'), next('Restarted'), next('Application Backgrounded'),
      first('Application Opened'), next('The next automatic one'),
      none('Ended'), none('Application Backgrounded'), none('Application Opened'), none('Still ended'),
      first('Application Updated'), next('Application Opened'), next('Updated'),
    ]);
    checkMarks(world);
  });

  scenario(`${title} disabled: the session is active until endSession()`, { automatic: 'adopt' }, async (world) => {
    const phone = new Phone(world, sdk, false);
    phone.install();
    await flush(world, phone);
    phone.startSession(1234567890);
    phone.track('Started');
    phone.background();
    await flush(world, phone);
    for (const minutes of [1, 60]) {
      phone.wait(minutes);
      phone.start();
      phone.track(`Restarted after ${minutes}`);
      await flush(world, phone);
    }
    phone.update();
    phone.track('Updated');
    await flush(world, phone);
    assert.equal(phone.own.sessionId, 1234567890);
    phone.endSession();
    phone.track('Ended');
    await flush(world, phone);
    phone.start();
    await flush(world, phone);

    // The app is closed before the first event: some SDKs forget the mark.
    phone.startSession(9876543210);
    phone.start();
    phone.track('Of the killed one');
    await flush(world, phone);

    await check(world, [
      none('Application Installed'), none('Application Opened'),
      first('Started'), next('Application Backgrounded'),
      next('Application Opened'), next('Restarted after 1'), next('Application Opened'), next('Restarted after 60'),
      next('Application Updated'), next('Application Opened'), next('Updated'),
      none('Ended'), none('Application Opened'),
      first('Application Opened'), next('Of the killed one'),
    ]);
    checkMarks(world);
  });
}

for (const [name, sdk] of Object.entries(SDKS)) {
  for (const tracks of [true, false]) {
    const title = `${name}, automatic adopt, the SDK's own tracking ${tracks ? 'on' : 'off'}`;

    scenario(`${title}: its calls while it is offline, another user`, { automatic: 'adopt' }, async (world) => {
      const phone = new Phone(world, sdk, tracks);
      const automatic = (label, mark) => (tracks ? [label, ADOPTED, ...(mark ? [START] : [])] : none(label));
      phone.install();
      phone.wait(10);
      phone.startSession(1234567890);
      phone.track('A');
      phone.identify('ann');
      phone.wait(60);
      phone.endSession();
      phone.track('Ended');
      phone.wait(10);
      phone.startSession();
      phone.track('B');
      phone.wait(1);
      // Kotlin and Swift begin another session with another anonymousId; the others continue.
      phone.identify('bob');
      phone.track('C');
      await flush(world, phone);
      await check(world, [
        automatic('Application Installed', true), automatic('Application Opened'),
        first('A'), next('identify ann'), none('Ended'), first('B'),
        ...(sdk.resets ? [first('identify bob')] : [next('identify bob')]), next('C'),
      ]);
      checkMarks(world);
    });
  }

  for (const status of [503, 400]) {
    scenario(`${name}, automatic adopt: the data plane answers the first events of a session with ${status}`, { automatic: 'adopt' }, async (world) => {
      const phone = new Phone(world, sdk, true);
      phone.install();
      await phone.flush();
      phone.startSession(1234567890);
      phone.track('A');
      phone.track('B');
      world.plane.failOnce('A', status);
      await phone.flush();
      phone.track('C');
      await flush(world, phone);
      const dropped = status === 400 && sdk.drops;
      await check(world, [
        first('Application Installed'), next('Application Opened'),
        [...first('A'), status], [...next('B'), status],
        ...(dropped ? [first('C')] : [first('A'), next('B'), next('C')]),
      ]);
      checkMarks(world);
    });
  }

  for (const automatic of ['sdk', 'adopt']) {
    for (const tracks of [true, false]) {
      scenario(`${name}, automatic ${automatic}, the SDK's own tracking ${tracks ? 'on' : 'off'}: a cold start after an update`, { automatic }, async (world) => {
        const phone = new Phone(world, sdk, tracks);
        phone.install();
        await phone.flush();
        await world.control('startSession', { anonymousId: phone.anonymousId, sessionId: 9876543210 });
        phone.track('A');
        phone.background();
        await phone.flush();
        phone.wait(60);
        phone.update();
        phone.track('B');
        await phone.flush();
        const own = (...labels) => {
          const id = automatic === 'sdk' ? AS_SENT : ADOPTED;
          return labels.map((label, i) => (tracks ? [label, id, ...(i === 0 ? [START] : [])] : none(label)));
        };
        await check(world, [
          ...own('Application Installed', 'Application Opened'),
          ['A', 9876543210, START],
          ['Application Backgrounded', 9876543210],
          ...(tracks
            ? own('Application Updated', 'Application Opened', 'B')
            : ['Application Updated', 'Application Opened', 'B'].map((label) => [label, 9876543210])),
        ]);
      });
    }
  }
}
