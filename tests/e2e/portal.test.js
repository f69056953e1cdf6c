// The partner programme from an empty form to a customer on production, without a mail to anybody.

import assert from 'node:assert/strict';
import { button, keepAllBusinesses, signIn } from './flow.js';
import {
  askForProduction,
  callToken,
  connectApp,
  decide,
  enterAsManager,
  LOGO,
  makeApp,
  newestMail,
  PARTNER,
  portal,
  readApp,
  readSecret,
  sendRequest,
  signUp,
  startPartner,
  uploadLogo,
} from './portal.js';
import { onDev, useChromium } from './setup.js';
import { assertTokenResponse, callBusinesses } from './token.js';

const here = useChromium();
const TOO_LITTLE = 'Please say which figures the app shows, and to whom.';
const WELCOME = 'Welcome to production.';

onDev(
  here,
  'U1 U2 U3 U5 a new partner has a staging token in one sitting, and production after a decision',
  async ({ server, visit }) => {
    const partner = await startPartner();
    try {
      const { page } = await visit();
      await signUp(page, server);
      const staging = await makeApp(page, server, {
        name: 'Sales at a glance',
        redirectUri: partner.redirectUri,
      });
      const stagingPage = portal(server, `/apps/${staging.client_id}`);
      await assertConnects(visit, partner, staging, server.staging);

      await page.goto(stagingPage);
      assert.equal(await page.getByText(staging.client_secret).count(), 0, 'shown once');
      const first = await askForProduction(page, 'It shows figures.');
      assert.match(await page.locator('main').innerText(), /Waiting/);

      const manager = (await visit()).page;
      await enterAsManager(manager, server);
      await assertQueued(manager, partner);
      await decide(manager, server, { request: first, decision: 'Decline', note: TOO_LITTLE });

      await page.goto(first);
      const declined = await page.locator('main').innerText();
      assert.match(declined, /Declined/);
      assert.ok(declined.includes(TOO_LITTLE), declined);
      const mail = await newestMail(page, server, PARTNER.email);
      assert.ok(mail.includes(TOO_LITTLE) && mail.includes(first), mail);

      await page.goto(stagingPage);
      const second = await askForProduction(page, 'It shows the sales of a day to the owner.');
      assert.notEqual(second, first);
      await decide(manager, server, { request: second, decision: 'Approve', note: WELCOME });
      assert.ok((await newestMail(page, server, PARTNER.email)).includes(WELCOME));

      const production = await takeProduction(page, second);
      assert.notEqual(production.client_id, staging.client_id);
      await assertConnects(visit, partner, production, server.production);
      await assertConnects(visit, partner, staging, server.staging);
      await assertTold(page, server, production);
    } finally {
      partner.stop();
    }
  },
);

onDev(
  here,
  'U3 a manager asks back with a note, and the partner answers in the same request',
  async ({ server, visit }) => {
    const { page } = await visit();
    await signUp(page, server);
    await makeApp(page, server, { name: 'Tables', redirectUri: 'https://tables.example/cb' });
    const request = await askForProduction(page, 'It books tables.');

    const manager = (await visit()).page;
    await enterAsManager(manager, server);
    await manager.goto(request);
    // Without a note there is no decision, and the field says so.
    await button(manager, 'Approve').click();
    const note = manager.getByLabel('Note to the partner');
    assert.equal(await note.getAttribute('aria-invalid'), 'true');
    assert.match(await manager.title(), /^Error: /);
    await decide(manager, server, { request, decision: 'Ask back', note: 'For whom?' });

    await page.goto(request);
    await page.getByRole('link', { name: 'Answer' }).click();
    assert.equal(
      await page.getByLabel('What the app does for our customers').inputValue(),
      'It books tables.',
    );
    assert.equal(await sendRequest(page, 'It books tables for guests.'), request);
    await manager.goto(request);
    assert.match(await manager.locator('main').innerText(), /It books tables for guests\./);
  },
);

onDev(
  here,
  'S22 a logo is uploaded without JavaScript, and customers see it wherever the app is named',
  async ({ server, visit }) => {
    const partner = await startPartner();
    try {
      const { page } = await visit({ javaScriptEnabled: false });
      await signUp(page, server);
      const app = await makeApp(page, server, {
        name: 'Sales at a glance',
        redirectUri: partner.redirectUri,
      });
      await page.goto(portal(server, `/apps/${app.client_id}`));
      const markup = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>');
      await uploadLogo(page, { ...LOGO, buffer: markup });
      const picture = page.getByLabel('Picture');
      assert.equal(await picture.getAttribute('aria-invalid'), 'true');
      assert.match(await page.locator('#logo-fault').innerText(), /no PNG, JPEG or WebP picture/);
      await uploadLogo(page, { ...LOGO, buffer: Buffer.alloc(300 * 1024) });
      assert.match(await page.locator('#logo-fault').innerText(), /at most 256 KiB/);
      await uploadLogo(page, { ...LOGO, buffer: Buffer.alloc(8 * 1024 * 1024) });
      await page.getByRole('heading', { name: 'That is too large' }).waitFor();
      await page.goto(portal(server, `/apps/${app.client_id}`));
      await uploadLogo(page, LOGO);
      await button(page, 'Remove the logo').waitFor();
      await assertShows(page);
      await page.goto(portal(server, '/apps'));
      await assertShows(page);

      const customer = (await visit()).page;
      await customer.goto(app.sign_in);
      await assertShows(customer);
      await signIn(customer, server.staging.customer);
      await assertShows(customer);
      await keepAllBusinesses(customer);
      await assertShows(customer);
      await button(customer, 'Allow').click();
      await partner.exchange(customer, app);
      await customer.goto(new URL('/connections', server.staging.base_url).href);
      await assertShows(customer);
    } finally {
      partner.stop();
    }
  },
);

/** The logo is there, as a square, under the policy that is really sent. */
async function assertShows(page) {
  const logo = page.locator('img.logo').first();
  await logo.waitFor();
  await page.waitForLoadState('load');
  const size = await logo.evaluate((image) => [image.naturalWidth, image.naturalHeight]);
  assert.deepEqual(size, [40, 40], page.url());
}

/** A customer connects the app, the partner's server gets a token, and the token opens the API. */
async function assertConnects(visit, partner, app, environment) {
  const { page, context } = await visit();
  await connectApp(page, app, environment.customer);
  const tokens = await partner.exchange(page, app);
  assertTokenResponse(JSON.stringify(tokens), environment);
  assert.equal((await callBusinesses(environment, tokens.access_token)).status, 200);
  const refreshed = await callToken(app, {
    grant_type: 'refresh_token',
    refresh_token: tokens.refresh_token,
  });
  assert.equal(refreshed.status, 200);
  await context.close();
}

/** The queue shows the request's age and hosts; its page the reasons, the contact, the difference. */
async function assertQueued(manager, partner) {
  await manager.getByRole('link', { name: 'Production for Sales at a glance' }).waitFor();
  const queue = await manager.locator('main').innerText();
  const host = new URL(partner.redirectUri).origin;
  for (const words of [PARTNER.organisation, host]) assert.ok(queue.includes(words), queue);
  assert.match(queue, /Asked just now|Asked \d+ minutes? ago/);
  await manager.getByRole('link', { name: 'Production for Sales at a glance' }).click();
  const page = await manager.locator('main').innerText();
  for (const words of [PARTNER.email, partner.redirectUri, 'Guests order at their table.']) {
    assert.ok(page.includes(words), page);
  }
  assert.match(page, /It can change something\./);
}

/** The partner makes the secret of the approved client itself. */
async function takeProduction(page, request) {
  await page.goto(request);
  await page.getByRole('link', { name: 'Open the production app' }).click();
  assert.match(await page.locator('main').innerText(), /There is none yet/);
  await button(page, 'Make a secret').click();
  return readApp(page, await readSecret(page));
}

/** The activity tells each step, and holds no secret. */
async function assertTold(page, server, app) {
  await page.goto(portal(server, '/activity'));
  const acts = await page.locator('.line-title').allInnerTexts();
  for (const act of [
    'person joined',
    'client created',
    'request made',
    'request declined',
    'request approved',
    'secret added',
  ]) {
    assert.ok(acts.includes(act), `${act} is not among ${acts}`);
  }
  assert.ok(!(await page.content()).includes(app.client_secret));
}
