// What comes back to the app: Deny, silence for who was asked before, and the prompts.

import assert from 'node:assert/strict';
import { authorizeUrl, button, connect, landed, reachConsent, signIn } from './flow.js';
import { inEachEnvironment, useChromium } from './setup.js';

const here = useChromium();

inEachEnvironment(
  here,
  'S4 U9 Deny goes back to the app with access_denied, the state and the issuer, and no code',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await reachConsent(page, environment, { state: 'kept as it was & = %' });
    await button(page, 'Deny').click();
    const answer = await landed(page, environment);
    assert.equal(answer.error, 'access_denied');
    assert.equal(answer.state, 'kept as it was & = %');
    assert.equal(new URL(answer.iss).origin, new URL(environment.base_url).origin);
    assert.equal(answer.code, undefined);

    // A denial is no consent: the next request asks again.
    await page.goto(authorizeUrl(environment));
    await page.locator('input[name=business], button[value=allow]').first().waitFor();
  },
);

inEachEnvironment(
  here,
  'S9 a customer who is signed in and has allowed the demo app is not asked again',
  async ({ environment, visit }) => {
    const { page } = await visit();
    const first = await connect(page, environment);
    await page.goto(authorizeUrl(environment, { state: 'second' }));
    const second = await landed(page, environment);
    assert.equal(second.state, 'second');
    assert.ok(second.code);
    assert.notEqual(second.code, first.code);
  },
);

inEachEnvironment(
  here,
  'S9 a stranger in another browser is asked to sign in although the customer once allowed',
  async ({ environment, visit }) => {
    await connect((await visit()).page, environment);
    const { page } = await visit();
    await page.goto(authorizeUrl(environment));
    await button(page, 'Sign in').waitFor();
  },
);

inEachEnvironment(
  here,
  'S9 prompt=consent asks again although the customer allowed before',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await connect(page, environment);
    await page.goto(authorizeUrl(environment, { prompt: 'consent' }));
    await decideAgain(page);
    assert.ok((await landed(page, environment)).code);
  },
);

inEachEnvironment(
  here,
  'S9 prompt=login asks for the password although the customer is signed in',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await connect(page, environment);
    await page.goto(authorizeUrl(environment, { prompt: 'login' }));
    await signIn(page, environment.customer);
    assert.ok((await landed(page, environment)).code);
  },
);

inEachEnvironment(
  here,
  'S4 prompt=none answers login_required, then consent_required, then a code, and shows no page',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await page.goto(authorizeUrl(environment, { prompt: 'none', state: 'a' }));
    const signedOut = await landed(page, environment);
    assert.equal(signedOut.error, 'login_required');
    assert.equal(signedOut.state, 'a');
    assert.ok(signedOut.iss);

    await reachConsent(page, environment);
    await button(page, 'Deny').click();
    await landed(page, environment);
    await page.goto(authorizeUrl(environment, { prompt: 'none', state: 'b' }));
    const undecided = await landed(page, environment);
    assert.equal(undecided.error, 'consent_required');
    assert.equal(undecided.state, 'b');

    await page.goto(authorizeUrl(environment));
    await decideAgain(page);
    await landed(page, environment);
    await page.goto(authorizeUrl(environment, { prompt: 'none', state: 'c' }));
    const silent = await landed(page, environment);
    assert.equal(silent.error, undefined);
    assert.ok(silent.code);
    assert.equal(silent.state, 'c');
  },
);

// A server may ask for the businesses anew, or remember them; the decision is asked in any case.
async function decideAgain(page) {
  if (await button(page, 'Continue').isVisible()) await button(page, 'Continue').click();
  await button(page, 'Allow').click();
}
