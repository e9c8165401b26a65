import assert from 'node:assert/strict';

import { Visitor } from '../../lib/browser.js';
import { ADOPTED, AS_SENT, check, NONE, START } from '../../lib/check.js';
import { scenario } from '../../lib/world.js';

const SDKS = [
  ['v3', 'xhr'],
  ['v3', 'batch'],
  ['v3', 'beacon'],
  ['v1', 'xhr'],
  ['v1', 'beacon'],
];

for (const automatic of ['sdk', 'adopt', 'proxy', 'off']) {
  for (const [sdk, mode] of SDKS) {
    scenario(`JS ${sdk}, ${mode}, automatic ${automatic}: a session from start to end`, { automatic }, async (world) => {
      // Reopening a profile from disk does not depend on `automatic`, and takes time.
      const restarts = automatic === 'sdk';
      const visitor = await (restarts ? Visitor.withProfile(world, { sdk, mode }) : Visitor.arrive(world, { sdk, mode }));
      let tab = await visitor.open();
      const since = Date.now();
      await tab.send('page', 'Home');
      const { anonymousId } = tab;
      const made = await world.session({ anonymousId });
      if (automatic === 'proxy') assert.ok(made >= since - 1 && made <= Date.now(), `${made} is not the time of the first event`);
      else assert.equal(made, automatic === 'adopt' ? await tab.call('getSessionId') : null);

      const { status, body } = await tab.control('startSession');
      assert.equal(status, 200);
      const id = body.sessionId;
      assert.equal(await world.session({ anonymousId }), id);
      await tab.send('track', 'Started');
      await tab.send('track', 'Clicked', { price: 9.9 });
      await tab.reload();
      await tab.send('page', 'Reloaded');
      const second = await visitor.open();
      await second.send('track', 'In a new tab');
      if (restarts) {
        await visitor.restartBrowser();
        tab = await visitor.open();
      }
      await tab.send('track', 'Later');
      await world.restartCaddy();
      await tab.send('group', 'g1');

      assert.deepEqual(await tab.control('endSession'), { status: 200, body: { sessionId: null } });
      await tab.send('track', 'After the end');
      await tab.reload();
      await tab.send('page', 'After the end, reloaded');
      assert.equal(tab.anonymousId, anonymousId);

      const before = { sdk: AS_SENT, adopt: ADOPTED, proxy: made, off: NONE }[automatic];
      await check(world, [
        automatic === 'off' ? ['page Home', NONE] : ['page Home', before, START],
        ['Started', id, START],
        ['Clicked', id],
        ['page Reloaded', id],
        ['In a new tab', id],
        ['Later', id],
        ['group g1', id],
        ['After the end', NONE],
        ['page After the end, reloaded', NONE],
      ]);
      if (automatic === 'sdk') await tab.screenshot(`${sdk}-${mode}`);
    });
  }
}
