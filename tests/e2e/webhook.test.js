// What a partner is told: a signed call at its own receiver, verified by the code of the docs.

import assert from 'node:assert/strict';
import { button } from './flow.js';
import {
  askForProduction,
  callToken,
  connectApp,
  decide,
  enterAsManager,
  makeApp,
  readApp,
  readSecret,
  signUp,
  startPartner,
} from './portal.js';
import { freePort, makeEndpoint, startReceiver } from './receiver.js';
import { onDev, useChromium } from './setup.js';

const here = useChromium();

onDev(
  here,
  'U10 what a customer ends on production arrives as a signed call, and the documented code takes it',
  async ({ server, visit }) => {
    const partner = await startPartner();
    const port = await freePort();
    let receiver;
    try {
      const { page } = await visit();
      const production = await reachProduction(page, server, partner, (await visit()).page);
      const address = `http://127.0.0.1:${port}/hooks`;
      receiver = await startReceiver(port, await makeEndpoint(page, server, address));

      const customer = (await visit()).page;
      await connectApp(customer, production, server.production.customer);
      const tokens = await partner.exchange(customer, production);
      await customer.goto(new URL('/connections', production.base_url).href);
      await customer.locator('summary').click();
      await customer.getByRole('button', { name: /^Disconnect \S/ }).click();
      await customer.getByRole('status').waitFor();

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

/** Signs up, makes an app, and has it approved for production. Returns the production app. */
async function reachProduction(page, server, partner, manager) {
  await signUp(page, server);
  await makeApp(page, server, { name: 'Told', redirectUri: partner.redirectUri });
  const request = await askForProduction(page, 'It learns when a customer leaves.');
  await enterAsManager(manager, server);
  await decide(manager, server, { request, decision: 'Approve', note: 'Welcome.' });
  await page.goto(request);
  await page.getByRole('link', { name: 'Open the production app' }).click();
  await button(page, 'Make a secret').click();
  return readApp(page, await readSecret(page));
}

/** What somebody sends who does not know the secret. */
async function sendForged(address) {
  const answer = await fetch(address, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': 'msg_forged',
      'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
      'webhook-signature': `v1,${Buffer.alloc(32).toString('base64')}`,
    },
    body: '{"type":"grant.revoked"}',
  });
  return answer.status;
}
