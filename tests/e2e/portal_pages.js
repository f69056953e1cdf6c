// A walk through every kind of page of the partner portal.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { button, signIn } from './flow.js';
import {
  enterAsManager,
  fillAccount,
  LOGO,
  makeApp,
  PARTNER,
  portal,
  readSecret,
  sendRequest,
  uploadLogo,
} from './portal.js';

/** The six digits of this half minute (RFC 6238), of a key in Base32. */
function codeByTime(key) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const digits = [...key.replaceAll(/[^A-Z2-7]/g, '')];
  const bits = digits.map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const bytes = bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', Buffer.from(bytes)).update(step).digest();
  const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

const COLLEAGUE = { ...PARTNER, email: 'sam@newcomer.example', name: 'Sam Second' };
// As wide as a name and an address may be without a place to break.
const LONG = { name: 'W'.repeat(60), redirectUri: `https://${'long'.repeat(12)}.example/${'c'.repeat(80)}` };

/**
 * Yields each page while it is open, with its name. `visit` gives a browser to each of two people:
 * a newcomer, and the demo's manager.
 */
export async function* everyPortalPage(server, visit) {
  const page = (await visit()).page;
  yield* strangersPages(page, server);
  yield* newcomersPages(page, server);
  yield* appPages(page, server);
  yield* logPages(page, server);
  yield* webhookPages(page, server);
  const request = yield* requestPages(page, server);
  yield* managersPages((await visit()).page, server, request);

  await page.goto(request);
  yield { name: 'request, asked back', page };
  await page.getByRole('link', { name: 'Answer' }).click();
  yield { name: 'answer', page };
  await page.goto(portal(server, '/activity'));
  yield { name: 'activity', page };
  await page.goto(portal(server, '/account'));
  yield { name: 'account', page };
  const password = page.getByRole('region', { name: 'Password' });
  await password.getByLabel('Present password').fill('not the password');
  await password.getByLabel('New password').fill('too short');
  await button(password, 'Change the password').click();
  await page.locator('[aria-invalid=true]').first().waitFor();
  yield { name: 'account with an error', page };
  const factor = page.getByRole('region', { name: 'Second factor' });
  await factor.getByLabel('Present password').fill(PARTNER.password);
  await button(factor, 'Set it up').click();
  await button(page, 'Turn it on').waitFor();
  yield { name: 'second factor', page };
  yield* factorPages(page, server);
  await page.goto(portal(server, '/no-such-page'));
  yield { name: 'not found', page };
  yield* mailedPages(page, server);
}

/** From a key that waits to a sign-in with a recovery code. */
async function* factorPages(page, server) {
  const key = await page.locator('.scan-key').innerText();
  await page.getByLabel('Code').fill('no code');
  await button(page, 'Turn it on').click();
  await page.locator('[aria-invalid=true]').waitFor();
  yield { name: 'second factor with an error', page };
  await page.getByLabel('Code').fill(codeByTime(key));
  await button(page, 'Turn it on').click();
  await page.getByRole('heading', { name: 'Your second factor is on' }).waitFor();
  yield { name: 'recovery codes', page };
  const recoveryCode = await page.locator('.recovery code').first().innerText();
  await page.goto(portal(server, '/account'));
  yield { name: 'account, with a second factor', page };
  await button(page, 'Sign out').click();
  await page.goto(portal(server, '/sign-in'));
  await signIn(page, PARTNER);
  await page.getByRole('heading', { name: 'Your code' }).waitFor();
  yield { name: 'code', page };
  await page.getByLabel('Code').fill('no code');
  await button(page, 'Sign in').click();
  await page.locator('[aria-invalid=true]').waitFor();
  yield { name: 'code with an error', page };
  await page.getByLabel('Code').fill(recoveryCode);
  await button(page, 'Sign in').click();
  await page.getByRole('heading', { name: 'Apps', level: 1 }).waitFor();
}

/** Those behind the links of mails, for who is signed in. */
async function* mailedPages(page, server) {
  await page.goto(portal(server, '/mailbox'));
  await page.locator('a[href*="/invitation/"]').first().click();
  await button(page, 'Make the account').waitFor();
  yield { name: 'join, by invitation', page };
  await page.goto(portal(server, '/forgotten'));
  await page.getByLabel('Email').fill(PARTNER.email);
  await button(page, 'Send me the link').click();
  await page.getByRole('link', { name: 'Open the mailbox of dev' }).click();
  await page.locator('a[href*="/reset/"]').first().click();
  await button(page, 'Set the password').waitFor();
  yield { name: 'set a new password', page };
  await page.getByLabel('New password').fill('too short');
  await button(page, 'Set the password').click();
  await page.locator('[aria-invalid=true]').waitFor();
  yield { name: 'set a new password, with an error', page };
}

async function* strangersPages(page, server) {
  await page.goto(portal(server));
  yield { name: 'welcome', page };
  await page.goto(portal(server, '/sign-in'));
  yield { name: 'sign-in', page };
  await signIn(page, { email: 'nobody@newcomer.example', password: 'not the password' });
  await page.getByRole('alert').waitFor();
  yield { name: 'sign-in with an error', page };
  await page.goto(portal(server, '/forgotten'));
  yield { name: 'forgotten', page };
  await page.goto(portal(server, '/sign-up'));
  yield { name: 'sign-up', page };
  await button(page, 'Send me the link').click();
  await page.locator('[aria-invalid=true]').waitFor();
  yield { name: 'sign-up with an error', page };
  await page.getByLabel('Email').fill(PARTNER.email);
  await button(page, 'Send me the link').click();
  await page.getByRole('link', { name: 'Open the mailbox of dev' }).waitFor();
  yield { name: 'mail sent', page };
  await page.goto(portal(server, '/sign-up/nonsense'));
  yield { name: 'stale link', page };
  await page.goto(portal(server, '/mailbox'));
  yield { name: 'mailbox', page };
  await page.locator('a[href*="/sign-up/"]').first().click();
  yield { name: 'join', page };
  await fillAccount(page, { name: '', organisation: '', password: 'short' });
  await page.getByRole('alert').waitFor();
  yield { name: 'join with an error', page };
}

async function* newcomersPages(page, server) {
  await fillAccount(page, PARTNER);
  await page.getByRole('heading', { name: 'Your account is made' }).waitFor();
  yield { name: 'account made', page };
  await page.getByRole('link', { name: 'Sign in' }).click();
  await signIn(page, PARTNER);
  await page.getByRole('heading', { name: 'Apps', level: 1 }).waitFor();
  yield { name: 'apps', page };
  await page.goto(portal(server, '/team'));
  await page.getByLabel('Email').fill(COLLEAGUE.email);
  await button(page, 'Send the invitation').click();
  await page.getByRole('heading', { name: 'Invited' }).waitFor();
  yield { name: 'team', page };
  await button(page, 'Send the invitation').click();
  await page.locator('[aria-invalid=true]').waitFor();
  yield { name: 'team with an error', page };
}

async function* appPages(page, server) {
  await page.goto(portal(server, '/apps/new'));
  yield { name: 'make an app', page };
  await button(page, 'Make the app').click();
  await page.getByRole('alert').waitFor();
  yield { name: 'make an app with an error', page };
  await makeApp(page, server, LONG);
  yield { name: 'app', page };
  await uploadLogo(page, { ...LOGO, buffer: Buffer.from('<svg/>') });
  await page.locator('#logo-fault').waitFor();
  yield { name: 'app with an error in its logo', page };
  await uploadLogo(page, LOGO);
  await button(page, 'Remove the logo').waitFor();
  yield { name: 'app, with a logo', page };
  await button(page, 'Make a second secret').click();
  await readSecret(page);
  await page.getByRole('link', { name: 'Change' }).click();
  yield { name: 'change an app', page };
  await page.getByLabel('Name of the app').fill('');
  await button(page, 'Save').click();
  await page.getByRole('alert').waitFor();
  yield { name: 'change an app with an error', page };
  await page.goto(page.url());
  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.getByLabel('Web site').fill(`https://planner.example/${'w'.repeat(120)}`);
  await button(other, 'Save').click();
  await other.getByRole('link', { name: 'Change' }).waitFor();
  await other.close();
  await button(page, 'Save').click();
  await page.getByRole('alert').waitFor();
  yield { name: 'change an app with an error, as somebody else was faster', page };
}

async function* logPages(page, server) {
  await page.goto(portal(server, '/apps'));
  const app = await page.locator('a.line-title').first().getAttribute('href');
  await page.goto(portal(server, `${app}/log`));
  yield { name: 'request log', page };
  const wrong = new URLSearchParams({
    client_id: app.split('/').pop(),
    response_type: 'code',
    redirect_uri: `https://elsewhere.example/${'e'.repeat(120)}`,
  });
  await fetch(new URL(`/oauth/authorize?${wrong}`, server.staging.base_url));
  const line = page.locator('a.line-title').first();
  // Calls are written once a second.
  for (let tries = 0; (await line.count()) === 0; tries += 1) {
    assert.ok(tries < 40, 'the call is not in the log');
    await page.waitForTimeout(250);
    await page.reload();
  }
  await line.click();
  await page.getByRole('heading', { name: 'Registered redirect URIs' }).waitFor();
  yield { name: 'a call', page };
  await page.goto(portal(server, '/log?request_id=0123456789abcdef'));
  yield { name: 'no such call', page };
  await page.goto(portal(server, `${app}/report`));
  yield { name: 'integration report', page };
  await page.goto(portal(server, `${app}/activity`));
  yield { name: 'activity of an app', page };
}

async function* webhookPages(page, server) {
  await page.goto(portal(server, '/webhooks'));
  yield { name: 'webhooks', page };
  await page.goto(portal(server, '/webhooks/new'));
  yield { name: 'add a webhook', page };
  await button(page, 'Add the webhook').click();
  await page.getByRole('alert').waitFor();
  yield { name: 'add a webhook with an error', page };
  await page.getByLabel('Address').fill(`https://hooks.example/${'w'.repeat(120)}`);
  await page.locator('input[name=events]').first().check();
  await button(page, 'Add the webhook').click();
  await page.locator('code.pick', { hasText: /^whsec_/ }).waitFor();
  yield { name: 'webhook', page };
}

async function* requestPages(page, server) {
  await page.goto(portal(server, '/apps'));
  await page.locator('a.line-title').first().click();
  await page.getByRole('link', { name: 'Ask for production' }).click();
  yield { name: 'ask for production', page };
  await button(page, 'Send to the manager').click();
  await page.getByRole('alert').waitFor();
  yield { name: 'ask for production with an error', page };
  const request = await sendRequest(page, 'It books tables.');
  yield { name: 'request', page };
  await page.goto(portal(server, '/requests'));
  yield { name: 'requests', page };
  return request;
}

async function* managersPages(page, server, request) {
  await enterAsManager(page, server);
  yield { name: 'requests, for a manager', page };
  await page.goto(request);
  yield { name: 'request, for a manager', page };
  await button(page, 'Decline').click();
  await page.locator('[aria-invalid=true]').waitFor();
  yield { name: 'request with an error', page };
  await page.getByLabel('Note to the partner').fill('For whom is it?');
  await button(page, 'Ask back').click();
  await page.getByRole('heading', { name: 'Decide' }).waitFor({ state: 'detached' });
  for (const [name, path] of [
    ['partners', '/partners'],
    ['apps, for a manager', '/apps'],
    ['managers', '/team'],
    ['activity, for a manager', '/activity'],
  ]) {
    await page.goto(portal(server, path));
    yield { name, page };
  }
  await page.goto(portal(server, '/partners?q=newcomer'));
  await page.getByRole('link', { name: PARTNER.organisation }).click();
  yield { name: 'partner', page };
  await page.locator('section[aria-labelledby=staging] a').first().click();
  yield { name: 'app, for a manager', page };
}

export const PORTAL_PAGES_WALKED = 60;
