// A partner developer at a real terminal: tmux is the screen and the keyboard, bash the shell, Chromium
// the customer's browser. What is asked for, shown and kept there, secrets least of all.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { button, keepAllBusinesses, signIn } from './flow.js';
import { grantorProgram, temporaryFolder } from './server.js';
import { inEachEnvironment, useChromium } from './setup.js';
import { assertBusinesses } from './token.js';

const here = useChromium();
const run = promisify(execFile);

const PATIENCE_MS = 60_000;
const PAUSE_MS = 100;

async function until(what, look) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(PAUSE_MS)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`never seen: ${what}`);
}

/** A terminal with a shell of its own, in which `xdg-open` and its like are a note in a file. */
async function openTerminal() {
  const { folder, remove } = await temporaryFolder();
  const opened = `${folder}/opened`;
  const browser = `${folder}/browser`;
  await writeFile(browser, `#!/bin/sh\nprintf %s "$1" >${opened}.new && mv ${opened}.new ${opened}\n`);
  await chmod(browser, 0o755);
  const history = `${folder}/history`;
  const env = {
    ...process.env,
    PATH: `${path.dirname(grantorProgram())}:${process.env.PATH}`,
    BROWSER: browser,
    GRANTOR_CONNECTIONS: `${folder}/connections`,
    HISTFILE: history,
    PS1: 'partner$ ',
    TMPDIR: folder,
    // No keyring of whoever runs this, and no tmux around this one.
    DBUS_SESSION_BUS_ADDRESS: '',
    TMUX: '',
  };
  delete env.GRANTOR_CLIENT_SECRET;
  const tmux = async (...args) => (await run('tmux', ['-S', `${folder}/tmux`, ...args], { env })).stdout;
  await tmux(
    ...['-f', '/dev/null', 'new-session', '-d', '-x', '150', '-y', '50'],
    ...['bash', '--norc', '--noprofile', '-i'],
  );
  // All that was ever on it, with the lines that were wrapped put together.
  const screen = () => tmux('capture-pane', '-p', '-J', '-S', '-');
  return {
    screen,
    opened: () => readFile(opened, 'utf8').catch(() => undefined),
    history: () => readFile(history, 'utf8'),
    async type(line) {
      await tmux('send-keys', '-l', line);
      await tmux('send-keys', 'Enter');
    },
    see: (words) =>
      until(words, async () => (await screen()).includes(words)).catch(async (error) => {
        throw new Error(`${error.message}\n${await screen()}`);
      }),
    ended: () => until('the end of the shell', () => tmux('list-panes').then(() => false, () => true)),
    async close() {
      await tmux('kill-server').catch(() => {});
      await remove();
    },
  };
}

/** The arguments of all processes of this machine. */
function commandLines() {
  return execFileSync('ps', ['-A', '-ww', '-o', 'args'], { encoding: 'utf8' });
}

inEachEnvironment(
  here,
  'U11 S28 from a terminal to a token: the secret is asked for, and neither shown, listed nor remembered',
  async ({ environment, visit }) => {
    const terminal = await openTerminal();
    try {
      await terminal.see('partner$');
      const redirectUri = environment.redirect_uri.replace(/:\d+/, '');
      await terminal.type(
        `grantor connect --explain --server ${environment.base_url} ` +
          `--client-id ${environment.client_id} --redirect-uri ${redirectUri}`,
      );
      await terminal.see('Client secret:');
      await terminal.type(environment.client_secret);

      const argument = await until('a browser that is opened', terminal.opened);
      const listed = commandLines() + argument;
      const { page, violations } = await visit();
      await page.goto(argument);
      await page.waitForURL((url) => url.href.startsWith(environment.base_url));
      await signIn(page, environment.customer);
      const chosen = await keepAllBusinesses(page);
      await button(page, 'Allow').click();
      await page.getByRole('heading', { name: 'The answer has arrived' }).waitFor();
      assert.deepEqual(violations, []);
      await terminal.see('Connected.');

      const shown = await terminal.screen();
      const [, state] = /[?&]state=([\w-]+)/.exec(shown);
      for (const secret of [environment.client_secret, state]) assert.ok(!listed.includes(secret));
      for (const step of [1, 2, 3, 4, 5, 6, 7]) assert.match(shown, new RegExp(`^${step}\\. `, 'm'));
      const code = new URL(page.url()).searchParams.get('code');
      for (const secret of [environment.client_secret, code]) {
        assert.ok(!shown.includes(secret), shown);
      }

      await terminal.type('clear; tmux clear-history 2>/dev/null; grantor api GET /f/data/businesses; echo status $?');
      await terminal.see('status 0');
      const body = (await terminal.screen()).split('\n').find((line) => line.startsWith('{'));
      assert.deepEqual(assertBusinesses(body, environment).sort(), chosen.sort());

      await terminal.type('exit');
      await terminal.ended();
      const remembered = await terminal.history();
      assert.match(remembered, /grantor connect/);
      assert.ok(!remembered.includes(environment.client_secret));
    } finally {
      await terminal.close();
    }
  },
);
