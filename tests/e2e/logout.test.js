// Signing out because an app asks for it: another site cannot do it, and who presses the button comes
// back to the app under the policy that is really sent.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { authorizeUrl, button, connect } from './flow.js';
import { inEachEnvironment, useChromium } from './setup.js';

const here = useChromium();

/** A site of somebody else: for a browser `localhost` is another site than 127.0.0.1. */
async function serveSite(html) {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(html);
  });
  await once(server.listen(0), 'listening');
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { origin: `http://localhost:${server.address().port}`, close };
}

/** An app that registers itself, so nobody approved it. */
async function register(environment, goodbye) {
  const response = await fetch(new URL('/oauth/register', environment.base_url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      redirect_uris: [`${goodbye}callback`],
      post_logout_redirect_uris: [goodbye],
      token_endpoint_auth_method: 'none',
    }),
  });
  assert.equal(response.status, 201);
  return (await response.json()).client_id;
}

async function isSignedIn(page, environment) {
  await page.goto(authorizeUrl(environment, { prompt: 'none' }));
  await page.waitForURL((url) => url.href.startsWith(environment.redirect_uri));
  return !new URL(page.url()).searchParams.has('error');
}

inEachEnvironment(
  here,
  'S9 S3 a form of another site signs nobody out, and the button leads to the app',
  async ({ environment, visit }) => {
    const { page, violations } = await visit();
    await connect(page, environment);
    const app = await serveSite('<h1>goodbye</h1>');
    const goodbye = `${app.origin}/`;
    const client = await register(environment, goodbye);
    const url = new URL('/oauth/logout', environment.base_url);
    const evil = await serveSite(
      `<form method="post" action="${url}"><input name="client_id" value="${client}">` +
        `<input name="post_logout_redirect_uri" value="${goodbye}"><button>Win</button></form>`,
    );
    try {
      await page.goto(evil.origin);
      await button(page, 'Win').click();
      await page.getByRole('heading', { name: 'Sign out?' }).waitFor();
      assert.ok(await isSignedIn(page, environment), 'signed out by another site');

      await page.goto(evil.origin);
      await button(page, 'Win').click();
      await button(page, 'Sign out').click();
      await page.getByRole('heading', { name: 'goodbye' }).waitFor();
      assert.ok(!(await isSignedIn(page, environment)), 'still signed in');

      // With nobody signed in the same request leads nowhere by itself.
      await page.goto(evil.origin);
      await button(page, 'Win').click();
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      assert.equal(new URL(page.url()).origin, url.origin);
      await page.getByRole('link', { name: new URL(goodbye).host }).click();
      await page.getByRole('heading', { name: 'goodbye' }).waitFor();
      assert.deepEqual(violations, []);
    } finally {
      app.close();
      evil.close();
    }
  },
);
