// The customer's own pages: what is connected, its end, and the password.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { axeViolations, tabTo } from './accessibility.js';
import { authorizeUrl, button, changePassword, connect, landed, signIn } from './flow.js';
import { inEachEnvironment, useChromium } from './setup.js';
import { assertTokenResponse, basicHeader, callBusinesses, exchange } from './token.js';

const here = useChromium();
const ARTIFACTS = path.join(import.meta.dirname, 'artifacts');
const NEW_PASSWORD = 'a new one, for this test alone';

const connections = (environment) => new URL('/connections', environment.base_url).href;

inEachEnvironment(
  here,
  'U10 connect, see it, disconnect it: API and refresh fail at once; connect again',
  async ({ environment, visit }) => {
    const { page } = await visit();
    const tokens = await connectDemo(page, environment);
    assert.equal((await callBusinesses(environment, tokens.access_token)).status, 200);

    await page.goto(connections(environment));
    const app = page.locator('.connected');
    const text = await app.innerText();
    for (const words of [/Verified organisation/, /Connected since/, /Last used/, /Businesses/, /Ends/]) {
      assert.match(text, words);
    }
    await app.locator('summary').click();
    await app.getByRole('button', { name: /^Disconnect \S/ }).click();
    const notice = page.getByRole('status');
    assert.match(await notice.innerText(), /is disconnected\. Access ends at once/);
    assert.match(await page.title(), /^Done: /);
    assert.ok(await notice.evaluate((element) => element === document.activeElement));
    assert.equal(await app.count(), 0);

    assert.equal((await callBusinesses(environment, tokens.access_token)).status, 401);
    const refused = await refresh(environment, tokens.refresh_token);
    assert.equal(refused.status, 400);
    assert.equal((await refused.json()).error, 'invalid_grant');

    // The customer is asked again, without a new sign-in.
    await page.goto(authorizeUrl(environment));
    await button(page, 'Continue').click();
    await button(page, 'Allow').click();
    const { code } = await landed(page, environment);
    const again = assertTokenResponse(await (await exchange(environment, code)).text(), environment);
    assert.equal((await callBusinesses(environment, again.access_token)).status, 200);
    assert.equal((await callBusinesses(environment, tokens.access_token)).status, 401);
  },
);

inEachEnvironment(
  here,
  'U15 disconnecting works with JavaScript switched off, and by keyboard alone',
  async ({ environment, visit }) => {
    const still = await visit({ javaScriptEnabled: false });
    await connectDemo(still.page, environment);
    await still.page.goto(connections(environment));
    await still.page.locator('summary').click();
    await still.page.locator('details button').click();
    await still.page.getByRole('status').waitFor();

    const { page } = await visit();
    const tokens = await connectDemo(page, environment);
    await page.goto(connections(environment));
    await tabTo(page, 'summary');
    await page.keyboard.press('Enter');
    await tabTo(page, 'details button');
    await page.keyboard.press('Enter');
    await page.getByRole('status').waitFor();
    assert.equal((await callBusinesses(environment, tokens.access_token)).status, 401);
  },
);

inEachEnvironment(
  here,
  'U10 the consent page and the home page lead to what is connected, and signing out is there',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await page.goto(environment.base_url);
    await page.getByRole('link', { name: 'Connected apps' }).click();
    await signIn(page, environment.customer);
    await page.getByText('No app is connected').waitFor();
    await page.goto(authorizeUrl(environment));
    await button(page, 'Continue').click();
    await button(page, 'Allow').waitFor();
    await page.getByRole('link', { name: 'Connected apps' }).click();
    await page.getByText('No app is connected').waitFor();
    await button(page, 'Sign out').click();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    await page.goto(connections(environment));
    await button(page, 'Sign in').waitFor();
  },
);

inEachEnvironment(
  here,
  'S18 U15 a customer changes the password; other browsers are signed out, apps stay connected',
  async ({ environment, visit }) => {
    const [{ page }, elsewhere] = [await visit({ bypassCSP: true }), await visit()];
    const tokens = await connectDemo(page, environment);
    await elsewhere.page.goto(connections(environment));
    await signIn(elsewhere.page, environment.customer);
    await elsewhere.page.locator('.connected').waitFor();

    await page.goto(new URL('/account/password', environment.base_url).href);
    for (const [id, token] of [
      ['current_password', 'current-password'],
      ['new_password', 'new-password'],
      ['new_password_again', 'new-password'],
    ]) {
      assert.equal(await page.locator(`#${id}`).getAttribute('autocomplete'), token);
    }
    await changePassword(page, ['not the password', NEW_PASSWORD, NEW_PASSWORD]);
    const alert = page.getByRole('alert');
    const field = page.locator('#current_password');
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    const describedBy = await field.getAttribute('aria-describedby');
    assert.equal(await page.locator(`#${describedBy}`).innerText(), await alert.innerText());
    assert.match(await page.title(), /^Error: /);
    assert.ok(await alert.evaluate((element) => element.contains(document.activeElement)));

    await changePassword(page, [environment.customer.password, NEW_PASSWORD, NEW_PASSWORD]);
    assert.match(await page.getByRole('status').innerText(), /Your password is changed/);
    assert.deepEqual(await axeViolations(page), []);
    await elsewhere.page.reload();
    await button(elsewhere.page, 'Sign in').waitFor();
    await signIn(elsewhere.page, { ...environment.customer, password: NEW_PASSWORD });
    await elsewhere.page.locator('.connected').waitFor();
    assert.equal((await callBusinesses(environment, tokens.access_token)).status, 200);
  },
);

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 320]) {
    inEachEnvironment(
      here,
      `U15 pictures of connected apps and of the password, ${colorScheme}, ${width} px wide`,
      async ({ environment, visit }) => {
        await mkdir(ARTIFACTS, { recursive: true });
        const { page } = await visit({ colorScheme, viewport: { width, height: 900 } });
        const picture = (name) =>
          page.screenshot({
            path: path.join(ARTIFACTS, `${environment.name}-${name}-${colorScheme}-${width}.png`),
            fullPage: true,
          });
        await connectDemo(page, environment);
        await page.goto(connections(environment));
        await page.locator('summary').click();
        await picture('connections');
        await page.goto(new URL('/account/password', environment.base_url).href);
        await picture('password');
      },
    );
  }
}

/** Connects the demo app, and gives its tokens. */
async function connectDemo(page, environment) {
  const { code } = await connect(page, environment);
  return assertTokenResponse(await (await exchange(environment, code)).text(), environment);
}

function refresh(environment, refreshToken) {
  return fetch(new URL('/oauth/token', environment.base_url), {
    method: 'POST',
    headers: { authorization: basicHeader(environment) },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
  });
}
