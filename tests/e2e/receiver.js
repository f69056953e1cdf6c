// A partner's receiver of webhooks: the code that the docs print, and where it is told of.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { portal } from './portal.js';

const DOCUMENTED = path.join(import.meta.dirname, '../../docs/reference/webhooks.md');

/** Names an address for the events of production, and returns the secret that is shown once. */
export async function makeEndpoint(page, server, address) {
  await page.goto(portal(server, '/webhooks/new'));
  await page.locator('input[name=url]').fill(address);
  await page.locator('input[name=environment][value=production]').check();
  await page.locator('input[name=events][value="grant.revoked"]').check();
  await page.locator('main form button[type=submit]').last().click();
  const secret = page.locator('code.pick', { hasText: /^whsec_/ });
  return (await secret.innerText()).trim();
}

/** The receiver that the docs print, letter by letter, in a process of its own. */
export async function startReceiver(port, secret) {
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

export async function freePort() {
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

/** What somebody sends who does not know the secret. */
export async function sendForged(address) {
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
