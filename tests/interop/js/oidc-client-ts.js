// oidc-client-ts: an app without a server, in Chromium. Its page holds the library and nothing else;
// what it does with it is said here, step by step.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import {
  api, done, environment, issuer, newClient, scope, step, stepIf,
} from './program.js';

const WAIT_LIMIT_MS = 15_000;

async function serveApp() {
  const files = {
    html: await readFile(new URL('./oidc-client-ts.html', import.meta.url)),
    js: await readFile(
      new URL('./node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js', import.meta.url),
    ),
  };
  const server = createServer((request, response) => {
    const script = request.url.endsWith('.js');
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
    response.end(script ? files.js : files.html);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      ...['--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
      ...['--disable-background-networking', '--disable-component-update'],
      // Chromium's sandbox refuses to run as root, and only there is it given up.
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ],
  });
}

const { server, origin } = await serveApp();
const browser = await openBrowser();
const own = newClient('--public', '--redirect-uri', 'http://127.0.0.1/callback');

/** What the app configures: the base URL, and what it is itself. */
const settings = {
  authority: issuer,
  client_id: own.client_id,
  redirect_uri: `${origin}/callback`,
  post_logout_redirect_uri: `${origin}/signed-out`,
  scope,
  automaticSilentRenew: false,
};

/** A person with a browser of their own, at the app. */
async function visit() {
  const context = await browser.newContext();
  context.setDefaultTimeout(WAIT_LIMIT_MS);
  const page = await context.newPage();
  await page.goto(origin);
  return page;
}

/** Calls one method of the library's UserManager in the page. */
const call = (page, method, { bound = false, ...changes } = {}, ...values) =>
  page.evaluate(
    async ({ settings, method, bound, values }) => {
      const { UserManager, WebStorageStateStore, IndexedDbDPoPStore } = window.oidc;
      const userStore = new WebStorageStateStore({ store: window.localStorage });
      const dpop = { bind_authorization_code: true, store: new IndexedDbDPoPStore() };
      const manager = new UserManager({ ...settings, userStore, ...(bound ? { dpop } : {}) });
      const result = await manager[method](...values);
      return result && typeof result === 'object' ? { ...result } : result;
    },
    { settings: { ...settings, ...changes }, method, bound, values },
  );

/** From the app's button through our pages and back to the app: returns its user. */
async function signIn(page, changes) {
  // The page goes away under the call, which so never ends.
  call(page, 'signinRedirect', changes).catch(() => {});
  const button = (name) => page.getByRole('button', { name, exact: true });
  await page.locator('input[name=email]').fill(environment.customer.email);
  await page.locator('input[name=password]').fill(environment.customer.password);
  await button('Sign in').click();
  await button('Continue').click();
  await button('Allow').click();
  await page.waitForURL((url) => url.href.startsWith(settings.redirect_uri));
  return call(page, 'signinCallback', changes);
}

async function callApi({ access_token, proof }, expected = 200) {
  const headers = proof
    ? { authorization: `DPoP ${access_token}`, dpop: proof }
    : { authorization: `Bearer ${access_token}` };
  assert.equal((await fetch(api, { headers })).status, expected);
}

/** An app that registers itself, as nobody at the company approved it, comes back too. */
async function registerForLogout() {
  const response = await fetch(`${issuer}/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      redirect_uris: [settings.redirect_uri],
      post_logout_redirect_uris: [settings.post_logout_redirect_uri],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
    }),
  });
  return (await response.json()).client_id;
}

try {
  const page = await visit();

  const user = await step('discovery, sign-in, a code with PKCE, exchanged by a script', async () => {
    const signedIn = await signIn(page);
    assert.ok(signedIn.refresh_token);
    assert.equal(signedIn.scope, scope);
    return signedIn;
  });

  await step('the API takes the token', () => callApi(user));

  const renewed = await step('silent renewal by the refresh token', async () => {
    const next = await call(page, 'signinSilent');
    assert.notEqual(next.access_token, user.access_token);
    await callApi(next);
    return next;
  });

  await step('three tabs renew at once', async () => {
    const tabs = await Promise.all([1, 2, 3].map(() => page.context().newPage()));
    for (const tab of tabs) await tab.goto(origin);
    const users = await Promise.all(tabs.map((tab) => call(tab, 'signinSilent')));
    for (const next of users) {
      assert.notEqual(next.access_token, renewed.access_token);
      await callApi(next);
    }
  });

  await step('revocation from the browser', async () => {
    const last = await call(page, 'getUser');
    await call(page, 'revokeTokens', {}, ['access_token', 'refresh_token']);
    await callApi(last, 401);
  });

  await step('DPoP, with a key that never leaves the browser', async () => {
    const other = await visit();
    const bound = await signIn(other, { bound: true });
    assert.equal(bound.token_type, 'DPoP');
    const proof = async () =>
      other.evaluate(
        async ({ settings, url }) => {
          const { UserManager, WebStorageStateStore, IndexedDbDPoPStore } = window.oidc;
          const manager = new UserManager({
            ...settings,
            userStore: new WebStorageStateStore({ store: window.localStorage }),
            dpop: { store: new IndexedDbDPoPStore() },
          });
          return manager.dpopProof(url, await manager.getUser(), 'GET');
        },
        { settings, url: api.href },
      );
    await callApi({ ...bound, proof: await proof() });
    await callApi(bound, 401);
    const next = await call(other, 'signinSilent', { bound: true });
    await callApi({ ...next, proof: await proof() });
  });

  const openid = { scope: `openid profile email ${scope}` };

  await stepIf('openid', 'OpenID Connect: discovery, id_token, userinfo', async () => {
    const signedIn = await signIn(await visit(), { ...openid, loadUserInfo: true });
    assert.equal(signedIn.profile.iss, issuer);
    assert.equal(signedIn.profile.email, environment.customer.email);
  });

  await stepIf('logout', 'RP-initiated logout comes back to the app', async () => {
    const guest = await visit();
    const mine = { ...openid, client_id: await registerForLogout() };
    await signIn(guest, mine);
    call(guest, 'signoutRedirect', mine).catch(() => {});
    await guest.waitForURL((url) => url.href.startsWith(settings.post_logout_redirect_uri));
    assert.equal(await call(guest, 'getUser', mine), null);
    // Whoever comes back has to sign in again.
    await signIn(guest, mine);
  });
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}

done();
