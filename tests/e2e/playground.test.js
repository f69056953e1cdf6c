// A new partner, from sign-up to a working token, without anybody's help.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axeViolations, overflowing } from './accessibility.js';
import { newVisitor } from './browser.js';
import { PAGES_OF_A_NEW_PARTNER, newPartner } from './playground.js';
import { COLLECTION, environmentFile, runCollection } from './postman.js';
import { startGrantor } from './server.js';
import { useChromium } from './setup.js';
import { assertBusinesses } from './token.js';

const here = useChromium();
const LIMIT = { timeout: 180_000 };

async function withServer(options, body) {
  const server = await startGrantor();
  const visitor = await newVisitor(here.chromium, options);
  try {
    await body(server, visitor);
  } finally {
    await visitor.context.close();
    await server.stop();
  }
}

test('U1 U12 a new partner has a working staging token in one sitting, with no script at all', LIMIT, () =>
  withServer({ javaScriptEnabled: false }, async (server, { page, requests, violations }) => {
    const partner = {};
    let pages = 0;
    for await (const _ of newPartner(page, server, partner)) pages += 1;
    assert.equal(pages, PAGES_OF_A_NEW_PARTNER);
    assert.match(partner.client_id, /^devp-staging-table-planner-/);
    const names = assertBusinesses(partner.answer, { ...server.staging });
    assert.deepEqual(names.sort(), partner.businesses.sort());
    // The secret and the tokens never were in an address.
    const { access_token, refresh_token } = partner.token;
    for (const secret of [partner.client_secret, access_token, refresh_token]) {
      assert.ok(!requests.some((url) => url.includes(secret)), 'a secret stands in an address');
    }
    assert.deepEqual(violations, []);
    const log = await server.logged('/oauth/revoke');
    for (const secret of [partner.client_secret, access_token, refresh_token, partner.customer.password]) {
      assert.ok(!log.includes(secret), 'a secret stands in the log');
    }
    // Nor is anything of it in what the browser keeps.
    const cookies = JSON.stringify(await page.context().cookies());
    assert.ok(!cookies.includes(partner.client_secret) && !cookies.includes(access_token));
  }));

test('U13 the downloaded collection and environment run in Postman’s own runner', LIMIT, () =>
  withServer({ acceptDownloads: true }, async (server, { page }) => {
    const partner = {};
    const walk = newPartner(page, server, partner);
    let name;
    do name = (await walk.next()).value;
    while (name !== 'playground, step 2');
    const code = new URL(page.url()).searchParams.get('code');

    const files = {};
    for (const file of [COLLECTION, environmentFile('staging'), environmentFile('production')]) {
      const path = `/apps/${partner.client_id}/exports/${file}`;
      const answer = await page.request.get(new URL(path, server.ready.portal_url).href);
      assert.equal(answer.headers()['content-disposition'], `attachment; filename="${file}"`);
      files[file] = await answer.json();
    }
    const values = Object.fromEntries(
      files[environmentFile('staging')].values.map(({ key, value }) => [key, value]),
    );
    assert.equal(values.client_id, partner.client_id);
    assert.equal(values.base_url, server.staging.base_url);
    assert.equal(values.client_secret, '');
    // The playground's code was asked for with PKCE, which the guide's collection does not know: a
    // page of its own gets one without.
    const plain = await codeWithoutPkce(page, server, partner);
    assert.notEqual(plain, code);
    const { failures, executions } = await runCollection(files, 'staging', {
      client_secret: partner.client_secret,
      redirect_uri: new URL('/playground/callback', server.ready.portal_url).href,
      code: plain,
    });
    assert.deepEqual(failures, []);
    assert.equal(executions.length, 5);
  }));

async function codeWithoutPkce(page, server, partner) {
  await page.goto(new URL(`/apps/${partner.client_id}/playground`, server.ready.portal_url).href);
  await page.getByRole('link', { name: 'Open the sign-in' }).click();
  while (!page.url().startsWith(server.ready.portal_url)) {
    await page.locator('button[type=submit]').filter({ hasText: /^(Continue|Allow)$/ }).first().click();
    await page.waitForLoadState();
  }
  return new URL(page.url()).searchParams.get('code');
}

for (const [words, options] of [
  ['320 px wide and dark', { viewport: { width: 320, height: 700 }, colorScheme: 'dark' }],
  ['1280 px wide and light', {}],
]) {
  test(`U15 axe finds nothing on the way, and nothing overflows, ${words}`, LIMIT, () =>
    withServer({ bypassCSP: true, ...options }, async (server, { page }) => {
      const partner = {};
      for await (const name of newPartner(page, server, partner)) {
        assert.deepEqual(await axeViolations(page), [], name);
        assert.deepEqual(await overflowing(page), [], name);
      }
    }));
}
