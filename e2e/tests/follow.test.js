import assert from 'node:assert/strict';

import Analytics from '@rudderstack/rudder-sdk-node';

import { Visitor } from '../lib/browser.js';
import { AS_SENT, check, NONE, START } from '../lib/check.js';
import { BACKEND_KEY, scenario, WRITE_KEY } from '../lib/world.js';

const KEYS = [WRITE_KEY, BACKEND_KEY];
const OPTIONS = ['share_sessions', 'follow_user'];

/** The website's backend: the Node.js SDK with its own source, which sends no session fields. */
function backend(world, gzip) {
  const analytics = new Analytics(BACKEND_KEY, { dataPlaneUrl: world.backendUrl, flushAt: 100, flushInterval: 600_000, logLevel: 'none', gzip });
  world.closers.push(() => clearTimeout(analytics.flushTimer));
  return {
    /** Makes events of users, and sends them in a batch. */
    async track(...messages) {
      for (const message of messages) analytics.track(message);
      await analytics.flush();
      for (const { event } of messages) await world.plane.got(event);
    },
  };
}

const anna = { userId: 'anna' };

for (const proxies of [1, 2]) {
  for (const automatic of ['sdk', 'adopt', 'proxy', 'off']) {
    const where = `follow_user, automatic ${automatic}, ${proxies === 1 ? 'one proxy' : 'two proxies with Redis'}`;
    const options = { automatic, options: OPTIONS, proxies, writeKeys: KEYS };

    scenario(`${where}: a backend's events are in the session that their user is in`, options, async (world) => {
      const shop = backend(world);
      const laptop = await (await Visitor.arrive(world, { sdk: 'v3', mode: 'xhr' })).open();
      // The SDK sends its first event at once and alone.
      await shop.track({ ...anna, event: 'Woke up' });
      await shop.track({ ...anna, event: 'Nowhere yet' });
      await laptop.send('track', 'Looked around');
      await shop.track({ ...anna, event: 'Not known yet' });
      const sdk = world.plane.accepted.find(({ event }) => event === 'Looked around').context.sessionId;
      assert.equal(Number.isSafeInteger(sdk), automatic !== 'off');
      const own = sdk ?? NONE;
      await laptop.send('identify', 'anna');
      await shop.track({ ...anna, event: 'Known' });
      assert.equal(await world.session(anna, world.backendUrl), sdk ?? null);

      const { body: { sessionId: first } } = await laptop.control('startSession');
      assert.equal(await world.session(anna, world.backendUrl), first);
      await shop.track({ ...anna, event: 'Order completed' });
      await laptop.send('track', 'Thanked');
      await shop.track({ ...anna, event: 'Paid' }, { userId: 'ben', event: 'Of another user' });
      const afternoon = new Date();

      const phone = await (await Visitor.arrive(world, { sdk: 'v3', mode: 'xhr' })).open();
      await phone.control('startSession', { sessionId: 2222222222 });
      await phone.send('track', 'On the phone');
      await shop.track({ ...anna, event: 'Whose phone is it' });
      await phone.send('identify', 'anna');
      await shop.track({ ...anna, event: 'Called' });
      await laptop.send('track', 'On the laptop again');
      await shop.track(
        { ...anna, event: 'Shipped' },
        { ...anna, event: 'Packed in the afternoon', originalTimestamp: afternoon },
        { ...anna, event: 'With an anonymousId', anonymousId: 'made up' },
        { anonymousId: 'made up', event: 'Of nobody' },
      );

      assert.deepEqual(await laptop.control('endSession'), { status: 200, body: { sessionId: null } });
      await shop.track({ ...anna, event: 'Ended' });
      await phone.send('track', 'Back on the phone');
      await shop.track({ ...anna, event: 'Delivered' });

      await check(world, [
        ['Woke up', NONE],
        ['Nowhere yet', NONE],
        automatic === 'off' ? ['Looked around', NONE] : ['Looked around', own, START],
        ['Not known yet', NONE],
        ['identify anna', own],
        ['Known', own],
        ['Order completed', first],
        ['Thanked', first, START],
        ['Paid', first],
        ['Of another user', NONE],
        ['On the phone', 2222222222, START],
        ['Whose phone is it', first],
        ['identify anna', 2222222222],
        ['Called', 2222222222],
        ['On the laptop again', first],
        ['Shipped', first],
        ['Packed in the afternoon', first],
        ['With an anonymousId', first],
        ['Of nobody', NONE],
        ['Ended', NONE],
        ['Back on the phone', 2222222222],
        ['Delivered', 2222222222],
      ]);
      if (proxies === 1 && automatic === 'sdk') await laptop.screenshot('follow');
    });

    scenario(`${where}: a computer that is shared, and ids that the application hands over`, options, async (world) => {
      const shop = backend(world, false);
      await shop.track({ ...anna, event: 'Woke up' });
      const kiosk = await (await Visitor.arrive(world, { sdk: 'v3', mode: 'xhr' })).open();
      await kiosk.send('identify', 'anna');
      const { body: { sessionId: annas } } = await kiosk.control('startSession');
      await kiosk.send('track', 'Anna looks');
      const then = new Date();
      await shop.track({ ...anna, event: 'Anna buys' });
      await kiosk.send('identify', 'ben');
      const bens = await world.session({ anonymousId: kiosk.anonymousId });
      assert.notEqual(bens, annas);
      await shop.track({ userId: 'ben', event: 'Ben buys' }, { ...anna, event: 'Anna is gone' }, { ...anna, event: 'Anna bought', originalTimestamp: then });

      // The application has read the id in the browser, and passed it on.
      const context = { sessionId: 3333333333 };
      await shop.track({ ...anna, event: 'Handed over', context }, { userId: 'ben', event: 'Manual sessions come first', context });
      // A session of the user herself, which her backend begins and ends.
      await world.control('startSession', { ...anna, channel: 'server', sessionId: 4444444444 });
      await shop.track({ ...anna, event: 'Her own' }, { ...anna, event: 'Her own again', context });
      await world.control('endSession', { ...anna, channel: 'server' });
      await shop.track({ ...anna, event: 'Her own is over' });

      await check(world, [
        ['Woke up', NONE],
        automatic === 'off' ? ['identify anna', NONE] : ['identify anna', world.plane.accepted.find(({ type }) => type === 'identify').context.sessionId, START],
        ['Anna looks', annas, START],
        ['Anna buys', annas],
        ['identify ben', bens, START],
        ['Ben buys', bens],
        ['Anna is gone', NONE],
        ['Anna bought', annas],
        ['Handed over', AS_SENT],
        ['Manual sessions come first', bens],
        ['Her own', 4444444444, START],
        ['Her own again', 4444444444],
        ['Her own is over', NONE],
      ]);
    });
  }
}
