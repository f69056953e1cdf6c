// What a partner is told: a signed call at its own receiver, verified by the code of the docs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { button } from './flow.js';
import {
  askForProduction,
  callToken,
  connectApp,
  decide,
  enterAsManager,
  makeApp,
  portal,
  readApp,
  readSecret,
  signUp,
  startPartner,
} from './portal.js';
import { onDev, useChromium } from './setup.js';

const here = useChromium();
const DOCUMENTED = path.join(import.meta.dirname, '../../docs/reference/webhooks.md');

onDev(
  here,
  'U10 what a customer ends on production arrives as a signed call, and the documented code takes it',
  async ({ server, visit }) => {
    const partner = await startPartner();
    const port = await freePort();
    let receiver;
    try {
      const { page } = await visit();
      const production = await reachProduction(page, server, partner, (await visit()).page);
      const address = `http://127.0.0.1:${port}/hooks`;
      receiver = await startReceiver(port, await makeEndpoint(page, server, address));

      const customer = (await visit()).page;
      await connectApp(customer, production, server.production.customer);
      const tokens = await partner.exchange(customer, production);
      await customer.goto(new URL('/connections', production.base_url).href);
      await customer.locator('summary').click();
      await customer.getByRole('button', { name: /^Disconnect \S/ }).click();
      await customer.getByRole('status').waitFor();

      assert.equal(await receiver.next(), 'grant.revoked');
      assert.equal(await sendForged(address), 401);
      const { refresh_token } = tokens;
      const refused = await callToken(production, { grant_type: 'refresh_token', refresh_token });
      assert.equal((await refused.json()).error, 'invalid_grant');
    } finally {
      await receiver?.stop();
      partner.stop();
    }
  },
);

/** Signs up, makes an app, and has it approved for production. Returns the production app. */
async function reachProduction(page, server, partner, manager) {
  await signUp(page, server);
  await makeApp(page, server, { name: 'Told', redirectUri: partner.redirectUri });
  const request = await askForProduction(page, 'It learns when a customer leaves.');
  await enterAsManager(manager, server);
  await decide(manager, server, { request, decision: 'Approve', note: 'Welcome.' });
  await page.goto(request);
  await page.getByRole('link', { name: 'Open the production app' }).click();
  await button(page, 'Make a secret').click();
  return readApp(page, await readSecret(page));
}

/** Names an address for the events of production, and returns the secret that is shown once. */
async function makeEndpoint(page, server, address) {
  await page.goto(portal(server, '/webhooks/new'));
  await page.locator('input[name=url]').fill(address);
  await page.locator('input[name=environment][value=production]').check();
  await page.locator('input[name=events][value="grant.revoked"]').check();
  await page.locator('main form button[type=submit]').last().click();
  const secret = page.locator('code.pick', { hasText: /^whsec_/ });
  return (await secret.innerText()).trim();
}

/** The receiver that the docs print, letter by letter, in a process of its own. */
async function startReceiver(port, secret) {
  const docs = await readFile(DOCUMENTED, 'utf8');
  const code = docs.split('```js\n')[1].split('```')[0];
  const folder = await mkdtemp(path.join(tmpdir(), 'grantor-receiver-'));
  const file = path.join(folder, 'receiver.mjs');
  await writeFile(file, code);
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, WEBHOOK_SECRET: secret, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await listening(port);
  return {
    /** The type of the next event that it believed. */
    next: async () => (await lines.next()).value,
    async stop() {
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What somebody sends who does not know the secret. */
async function sendForged(address) {
  const answer = await fetch(address, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': 'msg_forged',
      'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
      'webhook-signature': `v1,${Buffer.alloc(32).toString('base64')}`,
    },
    body: '{"type":"grant.revoked"}',
  });
  return answer.status;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function listening(port) {
  for (;;) {
    try {
      return await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
