// The page where owners make API clients of the portal: looked at as people see it, and used.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axeViolations, overflowing } from './accessibility.js';
import { newVisitor } from './browser.js';
import { startGrantor } from './server.js';
import { useChromium } from './setup.js';

const here = useChromium();
const PASSWORD = 'demo-password-for-dev-only';
const TEST_LIMIT_MS = 120_000;

for (const [what, options] of [
  ['light', { colorScheme: 'light' }],
  ['dark and 320 px wide', { colorScheme: 'dark', viewport: { width: 320, height: 640 } }],
]) {
  test(`U15 an owner makes an API client and calls the API with it, ${what}`, { timeout: TEST_LIMIT_MS }, async () => {
    const server = await startGrantor();
    const visitor = await newVisitor(here.chromium, { ...options, bypassCSP: true });
    try {
      await walk(visitor, server.ready.portal_url);
    } finally {
      await visitor.context.close();
      await server.stop();
    }
  });
}

async function walk({ page }, portal) {
  const look = async (where) => {
    const faults = [...(await overflowing(page)), ...(await axeViolations(page))];
    assert.deepEqual(faults, [], where);
  };
  await page.goto(`${portal}/account/api-clients`);
  await page.getByLabel('Email').fill('developer@demo.example');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'API clients' }).waitFor();
  await look('the page');

  // What is missing is said at its field.
  await page.getByRole('button', { name: 'Make the API client' }).click();
  await page.getByText('The name has 1 to 60 characters.').waitFor();
  await look('the page with faults');

  await page.getByLabel('Name').fill('Nightly <b>report</b>');
  await page.getByLabel('See apps, partners, requests, webhooks and test customers.').check();
  await page.getByRole('button', { name: 'Make the API client' }).click();
  await page.getByRole('heading', { name: 'The new secret' }).waitFor();
  await look('the page with a secret');
  const [id, secret] = await page.locator('code.pick').allTextContents();

  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
  const answer = await fetch(`${portal}/oauth/token`, { method: 'POST', headers: { authorization }, body: form });
  const { access_token: token, scope } = await answer.json();
  assert.equal(scope, 'programme:read');
  const apps = await fetch(`${portal}/api/v1/apps?environment=staging`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(apps.status, 200);

  if (process.env.PICTURES) {
    await page.screenshot({ path: `${process.env.PICTURES}/api-clients-${Date.now()}.png`, fullPage: true });
  }
  await page.goto(`${portal}/account/api-clients`);
  assert.ok(!(await page.content()).includes(secret), 'it is shown once');
  await page.getByRole('button', { name: 'Remove Nightly' }).click();
  await page.waitForURL(`${portal}/account/api-clients`);
  const after = await fetch(`${portal}/api/v1/apps?environment=staging`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(after.status, 401);
}
