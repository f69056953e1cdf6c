// The whole story of the partner programme, as a partner, a manager and a customer live it: from an
// empty form to production, and to the customer who leaves.

import assert from 'node:assert/strict';
import { button } from './flow.js';
import { newPartner } from './playground.js';
import {
  askForProduction,
  callToken,
  connectApp,
  decide,
  enterAsManager,
  newestMail,
  portal,
  readApp,
  readSecret,
  startPartner,
} from './portal.js';
import { freePort, makeEndpoint, sendForged, startReceiver } from './receiver.js';
import { onDev, useChromium } from './setup.js';
import { assertTokenResponse, callBusinesses } from './token.js';

const here = useChromium();
const TOO_LITTLE = 'Please say whose tables they are.';

onDev(
  here,
  'U1 U2 U3 U5 U7 U10 U12 from an empty form to production, and to the customer who leaves',
  async ({ server, visit }) => {
    const partner = await startPartner();
    const port = await freePort();
    let receiver;
    try {
      const { page } = await visit();
      const newcomer = {};
      for await (const name of newPartner(page, server, newcomer)) assert.ok(name);
      assert.ok(newcomer.token.access_token, 'a working staging token in one sitting');
      const app = portal(server, `/apps/${newcomer.client_id}`);

      await page.goto(app);
      const first = await askForProduction(page, 'It plans tables.');
      const manager = (await visit()).page;
      await enterAsManager(manager, server);
      await assertReported(manager, first);
      await decide(manager, server, { request: first, decision: 'Decline', note: TOO_LITTLE });
      const mail = await newestMail(page, server, newcomer.email);
      assert.ok(mail.includes(TOO_LITTLE) && mail.includes(first), mail);

      // It mends what was missing: its own server takes the codes, and the text says for whom.
      await page.goto(`${app}/edit`);
      await page.getByLabel('Redirect URIs').fill(partner.redirectUri);
      await button(page, 'Save').click();
      await page.getByRole('link', { name: 'Change' }).waitFor();
      const second = await askForProduction(page, 'It plans the tables of the restaurants that ask.');
      await decide(manager, server, { request: second, decision: 'Approve', note: 'Welcome.' });

      await page.goto(second);
      await page.getByRole('link', { name: 'Open the production app' }).click();
      await button(page, 'Make a secret').click();
      const production = await readApp(page, await readSecret(page));
      assert.notEqual(production.client_id, newcomer.client_id);
      const address = `http://127.0.0.1:${port}/hooks`;
      receiver = await startReceiver(port, await makeEndpoint(page, server, address));

      const customer = (await visit()).page;
      await connectApp(customer, production, server.production.customer);
      const tokens = await partner.exchange(customer, production);
      assertTokenResponse(JSON.stringify(tokens), server.production);
      assert.equal((await callBusinesses(server.production, tokens.access_token)).status, 200);

      await customer.goto(new URL('/connections', production.base_url).href);
      await customer.locator('summary').click();
      await customer.getByRole('button', { name: /^Disconnect \S/ }).click();
      await customer.getByRole('status').waitFor();
      // The documented code takes the signed call, and none that somebody made up.
      assert.equal(await receiver.next(), 'grant.revoked');
      assert.equal(await sendForged(address), 401);
      const { refresh_token } = tokens;
      const refused = await callToken(production, { grant_type: 'refresh_token', refresh_token });
      assert.equal((await refused.json()).error, 'invalid_grant');
    } finally {
      await receiver?.stop();
      partner.stop();
    }
  },
);

/** The manager has in view what the playground's calls have shown on staging. */
async function assertReported(manager, request) {
  await manager.goto(request);
  const report = manager.locator('section[aria-labelledby=report]');
  const text = await report.innerText();
  for (const line of ['Uses state', 'Uses PKCE', 'Exchanges a code within its life']) {
    assert.ok(text.includes(line), text);
  }
  assert.match(text, /On staging the app has shown [1-9]\d* of \d+/);
}
