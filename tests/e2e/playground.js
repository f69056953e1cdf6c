// The way of a new partner, from sign-up to a token in the playground.

import assert from 'node:assert/strict';
import { button, keepAllBusinesses, signIn } from './flow.js';

const PASSWORD = 'a few words to remember';

/**
 * Walks the whole way in one browser, and yields the name of each page while it is open. What the
 * partner learns on the way stands in `partner`: email, client_id, client_secret, customer.
 */
export async function* newPartner(page, server, partner) {
  const portal = (path) => new URL(path, server.ready.portal_url).href;
  await signUp(page, portal, partner);
  yield* makeApp(page, portal, partner);

  await button(page, 'Make a test customer').click();
  await page.getByRole('heading', { name: 'Its password, shown this once' }).waitFor();
  const [email, password] = await page.locator('[role=status] .pick').allInnerTexts();
  partner.customer = { email, password };
  yield 'test customers';

  await page.goto(portal(`/apps/${partner.client_id}`));
  yield 'the app';
  await page.getByRole('link', { name: 'Postman files and code' }).click();
  await page.locator('summary').first().click();
  yield 'exports';
  await page.goBack();

  await page.getByRole('link', { name: 'Open the playground' }).click();
  await button(page, 'Add this redirect URI').waitFor();
  yield 'playground, not registered';
  await button(page, 'Add this redirect URI').click();
  await page.locator('input[name=pkce]').check();
  await button(page, 'Build the address anew').click();
  yield 'playground, step 1';

  yield* tokens(page, partner);
}

async function signUp(page, portal, partner) {
  partner.email = 'new@partner.example';
  await page.goto(portal('/sign-up'));
  await page.locator('#email').fill(partner.email);
  await button(page, 'Send me the link').click();
  await page.getByRole('link', { name: 'Open the mailbox of dev' }).click();
  await page.locator('a[href*="/sign-up/"]').first().click();
  await page.locator('#name').fill('Nora New');
  await page.locator('#organisation').fill('New Partner Ltd');
  await page.locator('#password').fill(PASSWORD);
  await button(page, 'Make the account').click();
  await page.locator('main').getByRole('link', { name: 'Sign in' }).click();
  await signIn(page, { email: partner.email, password: PASSWORD });
}

async function* makeApp(page, portal, partner) {
  await page.goto(portal('/apps/new'));
  await page.locator('#name').fill('Table Planner');
  await page.locator('#redirect_uris').fill('https://new-partner.example/callback');
  await button(page, 'Make the app').click();
  await page.getByRole('status').waitFor();
  partner.client_secret = (await page.locator('#new-secret ~ .value code').innerText()).trim();
  partner.client_id = (await page.locator('.facts code.pick').first().innerText()).trim();
  yield 'the app, just made';
}

async function* tokens(page, partner) {
  await page.getByRole('link', { name: 'Open the sign-in' }).click();
  await signIn(page, partner.customer);
  partner.businesses = await keepAllBusinesses(page);
  await button(page, 'Allow').click();
  await page.getByRole('heading', { name: 'Step 2: the code is here' }).waitFor();
  yield 'playground, step 2';

  await page.locator('#secret').fill(partner.client_secret);
  await button(page, 'Step 7: send').click();
  await page.getByRole('heading', { name: 'Step 7: a working token' }).waitFor();
  partner.token = JSON.parse(await lastBody(page));
  yield 'playground, step 7';

  await button(page, 'Call the API').click();
  await page.getByRole('heading', { name: 'A call of the API', level: 1 }).waitFor();
  partner.answer = await lastBody(page);
  yield 'playground, the API';

  await button(page, 'Refresh').click();
  await page.getByRole('heading', { name: 'Refreshed' }).waitFor();
  await button(page, 'Send the former refresh token again').click();
  await page.getByRole('heading', { name: 'Used twice, and forgiven' }).waitFor();
  yield 'playground, twice';

  await button(page, 'Revoke').click();
  await page.getByRole('heading', { name: 'Revoked' }).waitFor();
  yield 'playground, revoked';
}

/** The body of the response that the page shows. */
async function lastBody(page) {
  const text = await page.locator('pre.raw').last().innerText();
  assert.match(text, /^HTTP\/1\.1 200/);
  return text.slice(text.indexOf('{'));
}

export const PAGES_OF_A_NEW_PARTNER = 11;
