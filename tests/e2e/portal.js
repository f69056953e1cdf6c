// The steps of the partner portal, as a partner and its manager take them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { button, keepAllBusinesses, signIn } from './flow.js';
import { basicHeader } from './token.js';

export const MANAGER = 'manager@demo.example';
export const PARTNER = {
  email: 'robin@newcomer.example',
  name: 'Robin Newcomer',
  organisation: 'Newcomer Ltd',
  password: 'four words for robin',
};

/** A picture of 40 by 20 pixels. */
export const LOGO = {
  name: 'logo.png',
  mimeType: 'image/png',
  buffer: Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAACgAAAAUCAIAAABwJOjsAAAAJElEQVR42mPgj/EaEMQwavGoxaMWj1o8avGo' +
      'xaMWj1o8ciwGAGPzNb9HoAr7AAAAAElFTkSuQmCC',
    'base64',
  ),
};

/** The URL of a page of the portal. */
export const portal = (server, path = '/') => new URL(path, server.ready.portal_url).href;

/** Signs in to the portal, and waits for the page behind it. */
export async function enter(page, server, { email, password }) {
  await page.goto(portal(server, '/sign-in'));
  await signIn(page, { email, password });
  await button(page, 'Sign out').waitFor();
}

/** The demo's manager signs in. */
export function enterAsManager(page, server) {
  return enter(page, server, { email: MANAGER, password: server.staging.customer.password });
}

/** A new partner signs up by the link in the mail, and signs in. */
export async function signUp(page, server, partner = PARTNER) {
  await page.goto(portal(server));
  await page.getByRole('link', { name: 'Sign up' }).click();
  await page.getByLabel('Email').fill(partner.email);
  await button(page, 'Send me the link').click();
  await page.getByRole('link', { name: 'Open the mailbox of dev' }).click();
  await page.locator('a[href*="/sign-up/"]').first().click();
  await fillAccount(page, partner);
  await page.getByRole('link', { name: 'Sign in' }).click();
  await signIn(page, partner);
  await page.getByRole('heading', { name: 'Apps', level: 1 }).waitFor();
}

/** Fills the form behind the link of a mail, and sends it. */
export async function fillAccount(page, partner) {
  await page.getByLabel('Your name').fill(partner.name);
  const organisation = page.getByLabel('Your organisation');
  if (await organisation.isVisible()) await organisation.fill(partner.organisation);
  await page.getByLabel('Password').fill(partner.password);
  await button(page, 'Make the account').click();
}

/** Makes an app on staging, and returns what a partner's server keeps of it. */
export async function makeApp(page, server, { name, redirectUri }) {
  await page.goto(portal(server, '/apps/new'));
  await page.getByLabel('Name of the app').fill(name);
  await page.getByLabel('Redirect URIs').fill(redirectUri);
  await button(page, 'Make the app').click();
  assert.match(await page.getByRole('status').innerText(), /works now/);
  return readApp(page, await readSecret(page));
}

/** What the page of an app shows. */
export async function readApp(page, client_secret) {
  const value = (label) =>
    page.locator('dl.facts > div', { hasText: label }).locator('code.pick').innerText();
  return {
    client_id: await value('Client id'),
    base_url: await value('Base URL'),
    client_secret,
    sign_in: await page.getByRole('link', { name: 'Open its sign-in' }).getAttribute('href'),
  };
}

/** Uploads a file as the logo of the app whose page is open. */
export async function uploadLogo(page, file) {
  await page.getByLabel('Picture').setInputFiles(file);
  await page.getByRole('button', { name: /^(Add|Change) the logo$/ }).click();
}

/** The secret that a page shows this once. */
export function readSecret(page) {
  return page.locator('section[aria-labelledby=new-secret] code.pick').innerText();
}

/** The customer connects an app, from its own link to the redirect URI. */
export async function connectApp(page, app, customer) {
  await page.goto(app.sign_in);
  await signIn(page, customer);
  await keepAllBusinesses(page);
  await button(page, 'Allow').click();
}

/** Asks for production on the page of an app. Returns the address of the request. */
export async function askForProduction(page, message) {
  await page.getByRole('link', { name: 'Ask for production' }).click();
  return sendRequest(page, message);
}

/** Fills the open form of a request, and sends it. Returns the address of the request. */
export async function sendRequest(page, message) {
  await page.getByLabel('What the app does for our customers').fill(message);
  await page.locator('#reason_orders-api').fill('Guests order at their table.');
  await button(page, 'Send to the manager').click();
  await page.getByRole('heading', { name: 'What changes' }).waitFor();
  return page.url();
}

/** A manager opens a request from the queue, and decides with a note. */
export async function decide(page, server, { request, decision, note }) {
  await page.goto(portal(server, '/requests'));
  await page.locator(`a[href="${new URL(request).pathname}"]`).click();
  await page.getByLabel('Note to the partner').fill(note);
  await button(page, decision).click();
  await page.getByRole('heading', { name: 'Decide' }).waitFor({ state: 'detached' });
}

/** The text of the newest mail to an address, in the mailbox of dev. */
export async function newestMail(page, server, email) {
  await page.goto(portal(server, '/mailbox'));
  return page.locator('section.panel', { hasText: email }).first().innerText();
}

/** Calls the token endpoint of an app's environment. */
export function callToken(app, parameters) {
  return fetch(new URL('/oauth/token', app.base_url), {
    method: 'POST',
    headers: { authorization: basicHeader(app) },
    body: new URLSearchParams(parameters),
  });
}

/**
 * The partner's own server: it waits for a code at its redirect URI. `exchange` gives the token
 * response for the code that came.
 */
export async function startPartner() {
  const codes = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://127.0.0.1');
    if (url.pathname === '/callback') codes.push(url.searchParams.get('code'));
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end('<!doctype html><html lang="en"><title>Connected</title><h1>Connected</h1>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const redirectUri = `http://127.0.0.1:${server.address().port}/callback`;
  return {
    redirectUri,
    async exchange(page, app) {
      await page.getByRole('heading', { name: 'Connected' }).waitFor();
      const answer = await callToken(app, {
        grant_type: 'authorization_code',
        code: codes.pop(),
        redirect_uri: redirectUri,
      });
      assert.equal(answer.status, 200);
      return answer.json();
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
