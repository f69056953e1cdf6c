// The steps of the browser flow, as a person takes them.

import assert from 'node:assert/strict';

/** Step 1 of the guide, letter by letter: three parameters, pasted in as they are. */
export function guideUrl(environment) {
  const base = environment.base_url.replace(/\/$/, '');
  return (
    `${base}/oauth/authorize?client_id=${environment.client_id}` +
    `&response_type=code&redirect_uri=${environment.redirect_uri}`
  );
}

/** The same with more parameters, or others: `undefined` leaves one out. */
export function authorizeUrl(environment, changes = {}) {
  const url = new URL(guideUrl(environment));
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.href;
}

export const button = (page, name) => page.getByRole('button', { name, exact: true });

export async function signIn(page, { email, password }) {
  await page.locator('input[name=email]').fill(email);
  await page.locator('input[name=password]').fill(password);
  await button(page, 'Sign in').click();
}

/** Leaves every business ticked, which is how they come, and goes on. Returns their names. */
export async function keepAllBusinesses(page) {
  await button(page, 'Continue').waitFor();
  const boxes = await page.locator('input[name=business]').all();
  assert.ok(boxes.length >= 2, 'the demo customer has two businesses to choose from');
  for (const box of boxes) assert.ok(await box.isChecked(), 'a business comes ticked');
  const names = await page.locator('label:has(input[name=business]) .choice-name').allInnerTexts();
  await button(page, 'Continue').click();
  return names;
}

/** From the authorize URL to the consent page. Returns the names of the businesses. */
export async function reachConsent(page, environment, changes) {
  await page.goto(authorizeUrl(environment, changes));
  await signIn(page, environment.customer);
  const businesses = await keepAllBusinesses(page);
  await button(page, 'Allow').waitFor();
  return businesses;
}

/** Waits for the redirect URI's page and returns what the redirect carried. */
export async function landed(page, environment) {
  await page.waitForURL((url) => url.href.startsWith(environment.redirect_uri));
  return Object.fromEntries(new URL(page.url()).searchParams);
}

/** The whole flow: returns what the redirect carried. */
export async function connect(page, environment, changes) {
  await reachConsent(page, environment, changes);
  await button(page, 'Allow').click();
  return landed(page, environment);
}

/**
 * Walks through every kind of page, and yields the name of each while it is open. Ends at the
 * partner's page with a code.
 */
export async function* everyPage(page, environment) {
  await page.goto(environment.base_url);
  yield 'home';

  await page.getByRole('link', { name: 'Read the docs' }).click();
  await page.locator('main.prose').waitFor();
  yield 'docs';

  await page.goto(new URL('/no-such-page', environment.base_url).href);
  yield 'not found';

  await page.goto(authorizeUrl(environment, { redirect_uri: `${environment.redirect_uri}/other` }));
  yield 'wrong redirect URI';

  await page.goto(authorizeUrl(environment));
  await button(page, 'Sign in').waitFor();
  yield 'sign-in';

  await signIn(page, { ...environment.customer, password: 'not the password' });
  await page.getByRole('alert').waitFor();
  yield 'sign-in with an error';

  yield* forgottenPages(page, environment);
  await page.goto(authorizeUrl(environment));

  await signIn(page, environment.customer);
  await button(page, 'Continue').waitFor();
  yield 'businesses';

  for (const box of await page.locator('input[name=business]').all()) await box.uncheck();
  await button(page, 'Continue').click();
  await page.getByRole('alert').waitFor();
  yield 'businesses with an error';

  for (const box of await page.locator('input[name=business]').all()) await box.check();
  await button(page, 'Continue').click();
  await button(page, 'Allow').waitFor();
  yield 'consent';

  yield* devicePages(page, environment);
  yield* accountPages(page, environment);

  await page.goto(new URL('/oauth/logout', environment.base_url).href);
  await button(page, 'Sign out').waitFor();
  yield 'sign out';

  await button(page, 'Sign out').click();
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  yield 'signed out';

  await connect(page, environment, { prompt: 'consent' });
  yield 'the code';
}

/** Those of a device without a browser, for who is signed in. */
async function* devicePages(page, environment) {
  const device = await beginDevice(environment);
  await page.goto(device.verification_uri_complete);
  await button(page, 'Continue').waitFor();
  yield 'device code';

  await page.locator('input[name=user_code]').fill('BCDF-GHJK');
  await button(page, 'Continue').click();
  await page.getByRole('alert').waitFor();
  yield 'device code with an error';

  await page.locator('input[name=user_code]').fill(device.user_code);
  await button(page, 'Continue').click();
  await button(page, 'Allow').waitFor();
  yield 'device';

  await button(page, 'Allow').click();
  await page.getByRole('heading', { name: 'Your device is connected' }).waitFor();
  yield 'device connected';
  await redeemDevice(environment, device);
}

/** The customer's own pages, for who is signed in and has connected the demo app. */
async function* accountPages(page, environment) {
  await page.goto(new URL('/connections', environment.base_url).href);
  await page.locator('summary').click();
  yield 'connected apps';

  await page.goto(new URL('/connections/disconnect-all', environment.base_url).href);
  await button(page, 'Disconnect all').waitFor();
  yield 'disconnect all';

  await page.getByRole('link', { name: 'Keep them' }).click();
  await page.locator('summary').click();
  await page.locator('details button').click();
  await page.getByRole('status').waitFor();
  yield 'an app disconnected';

  await page.getByRole('link', { name: 'Password' }).click();
  await button(page, 'Change the password').waitFor();
  yield 'password';

  await changePassword(page, [environment.customer.password, 'too short', 'too short']);
  await page.getByRole('alert').waitFor();
  yield 'password with an error';
}

/** Those of a customer who forgot the password; it stays as it is. */
async function* forgottenPages(page, environment) {
  await page.getByRole('link', { name: 'Forgotten your password?' }).click();
  await button(page, 'Send me the link').waitFor();
  yield 'forgotten';

  await page.getByLabel('Email').fill('a..b@example.com');
  await button(page, 'Send me the link').click();
  await page.getByRole('alert').waitFor();
  yield 'forgotten with an error';

  await page.getByLabel('Email').fill(environment.customer.email);
  await button(page, 'Send me the link').click();
  // The mailbox is a page of another site: what is walked here asks none.
  const mailbox = await page.getByRole('link', { name: 'Open the mailbox of dev' }).getAttribute('href');
  const mails = await (await fetch(mailbox)).text();
  const [link] = mails.match(new RegExp(`${environment.base_url}/account/reset/[\\w-]+`));
  await page.goto(link);
  await button(page, 'Set the password').waitFor();
  yield 'a new password';

  await page.locator('#new_password').fill('too short');
  await page.locator('#new_password_again').fill('too short');
  await button(page, 'Set the password').click();
  await page.getByRole('alert').waitFor();
  yield 'a new password with an error';

  await page.goto(new URL('/account/reset/nonsense', environment.base_url).href);
  await page.getByRole('link', { name: 'Ask for another' }).waitFor();
  yield 'stale link';
}

/** Fills the form for a new password, and sends it. */
export async function changePassword(page, [current, next, again]) {
  await page.locator('#current_password').fill(current);
  await page.locator('#new_password').fill(next);
  await page.locator('#new_password_again').fill(again);
  await button(page, 'Change the password').click();
}

/** As a device of the demo client begins. */
export async function beginDevice(environment) {
  const answer = await asDemoClient(environment, '/oauth/device_authorization');
  assert.equal(answer.status, 200);
  return answer.json();
}

/** As a device gets its tokens. */
async function redeemDevice(environment, { device_code }) {
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
  const body = new URLSearchParams({ grant_type, device_code });
  const answer = await asDemoClient(environment, '/oauth/token', body);
  assert.equal(answer.status, 200);
}

function asDemoClient(environment, path, body) {
  const pair = `${environment.client_id}:${environment.client_secret}`;
  return fetch(new URL(path, environment.base_url), {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
    body,
  });
}

export const PAGES_WALKED = 26;
