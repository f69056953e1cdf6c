// `grantor connect` with Chromium as the customer's browser: the pages of the server, and the page that
// the program itself serves where the redirect ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { button, keepAllBusinesses, signIn } from './flow.js';
import { grantorProgram, temporaryFolder } from './server.js';
import { inEachEnvironment, useChromium } from './setup.js';
import { assertBusinesses } from './token.js';

const here = useChromium();

/** Commands of a partner with connections of their own. */
async function newPartner(environment) {
  const { folder, remove } = await temporaryFolder();
  const env = {
    ...process.env,
    GRANTOR_CONNECTIONS: `${folder}/connections`,
    GRANTOR_CLIENT_SECRET: environment.client_secret,
    // No keyring of whoever runs this.
    DBUS_SESSION_BUS_ADDRESS: '',
  };
  const start = (...args) => {
    const child = spawn(grantorProgram(), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    return { child, ended: once(child, 'close').then(([code]) => ({ code, stdout })) };
  };
  return { folder, start, remove };
}

/** Starts `grantor connect` and returns its authorize URL, its words, and its end. */
async function begin(partner, environment, ...browser) {
  const { child, ended } = partner.start(
    'connect', '--explain', ...(browser.length ? browser : ['--no-browser']),
    ...['--server', environment.base_url, '--client-id', environment.client_id],
    // The demo client's own, on whichever port is free (RFC 8252 7.3).
    ...['--redirect-uri', environment.redirect_uri.replace(/:\d+/, '')],
  );
  const said = [];
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      if (line.startsWith('http')) resolve(line);
    });
    child.once('exit', () => reject(new Error(`no authorize URL\n${said.join('\n')}`)));
  });
  return { url, said, ended };
}

inEachEnvironment(
  here,
  'U11 U16 from one command to a token, with the customer in a real browser',
  async ({ environment, visit }) => {
    const partner = await newPartner(environment);
    try {
      const { page, violations } = await visit();
      const { url, said, ended } = await begin(partner, environment);
      await page.goto(url);
      await signIn(page, environment.customer);
      const chosen = await keepAllBusinesses(page);
      await button(page, 'Allow').click();
      await page.getByRole('heading', { name: 'The answer has arrived' }).waitFor();
      assert.match(page.url(), /^http:\/\/127\.0\.0\.1:\d+\//);
      assert.deepEqual(violations, []);

      const { code, stdout } = await ended;
      assert.equal(code, 0, said.join('\n'));
      const token = JSON.parse(stdout);
      for (const step of [1, 2, 3, 4, 5, 6, 7]) {
        assert.ok(said.some((line) => line.startsWith(`${step}. `)), `step ${step}`);
      }
      const explained = said.join('\n');
      const carried = new URL(page.url()).searchParams.get('code');
      for (const secret of [token.access_token, environment.client_secret, carried]) {
        assert.ok(!explained.includes(secret), explained);
      }

      const called = await partner.start('api', 'GET', '/f/data/businesses').ended;
      assert.equal(called.code, 0);
      assert.deepEqual(assertBusinesses(called.stdout, environment).sort(), chosen.sort());
    } finally {
      await partner.remove();
    }
  },
);

inEachEnvironment(
  here,
  'a customer who presses Deny sees a page that says so, and the command ends',
  async ({ environment, visit }) => {
    const partner = await newPartner(environment);
    try {
      const { page } = await visit();
      const { url, said, ended } = await begin(partner, environment);
      await page.goto(url);
      await signIn(page, environment.customer);
      await keepAllBusinesses(page);
      await button(page, 'Deny').click();
      await page.getByRole('heading', { name: 'No access was given' }).waitFor();
      assert.deepEqual(await ended, { code: 1, stdout: '' });
      assert.match(said.join('\n'), /the customer did not allow it/);
    } finally {
      await partner.remove();
    }
  },
);

inEachEnvironment(
  here,
  'S28 the browser is given a file that leads on to the authorize URL by itself',
  async ({ environment, visit }) => {
    const partner = await newPartner(environment);
    try {
      const { page } = await visit();
      const [browser, opened] = [`${partner.folder}/browser`, `${partner.folder}/opened`];
      const script = `#!/bin/sh\nprintf %s "$1" >${opened}.new && mv ${opened}.new ${opened}\n`;
      await writeFile(browser, script, { mode: 0o700 });
      const { url, said, ended } = await begin(partner, environment, '--browser', browser);
      const argument = await noted(opened);
      assert.match(argument, /^file:\/\/\/.*\.html$/);
      await page.goto(argument);
      await page.waitForURL((here) => here.protocol === 'http:');
      assert.equal(new URL(page.url()).origin, new URL(url).origin);
      await signIn(page, environment.customer);
      await keepAllBusinesses(page);
      await button(page, 'Allow').click();
      await page.getByRole('heading', { name: 'The answer has arrived' }).waitFor();
      assert.equal((await ended).code, 0, said.join('\n'));
      await assert.rejects(readFile(new URL(argument)), { code: 'ENOENT' });
    } finally {
      await partner.remove();
    }
  },
);

/** What a program wrote into a file, once it has. */
async function noted(file) {
  for (;;) {
    try {
      return await readFile(file, 'utf8');
    } catch {
      await pause(20);
    }
  }
}
