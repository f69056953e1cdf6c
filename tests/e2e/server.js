// A `grantor dev` of its own for each test file, and the program's other commands.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const START_LIMIT_MS = 30_000;
// The server promises to drain within ten seconds of SIGTERM (D7).
const STOP_LIMIT_MS = 12_000;

const running = new Set();

// However this process ends, no server outlives it.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => process.exit(1));
}

/** The program under test: `GRANTOR`, which tests/run sets, or what `cargo build` left. */
export function grantorProgram() {
  const program = process.env.GRANTOR || debugBuild();
  if (!existsSync(program)) {
    throw new Error(`no program at ${program}; run: cargo build -p grantor`);
  }
  return program;
}

function debugBuild(name = 'grantor') {
  const metadata = execFileSync('cargo', ['metadata', '--no-deps', '--format-version', '1'], {
    cwd: import.meta.dirname,
  });
  return path.join(JSON.parse(metadata).target_directory, 'debug', name);
}

/**
 * Starts the sample app of a partner for the demo client of an environment. Returns its address, and
 * a function that ends it.
 */
export async function startPartnerApp(environment, ...args) {
  const program = process.env.PARTNER_APP || debugBuild('partner-app');
  if (!existsSync(program)) {
    throw new Error(`no program at ${program}; run: cargo build -p partner-app`);
  }
  const port = await sparePort();
  const redirectUri = new URL(environment.redirect_uri);
  // RFC 8252 7.3: on loopback the port is the app's to choose.
  redirectUri.port = port;
  const child = spawn(
    program,
    [
      ...['--base-url', environment.base_url.replace(/\/$/, '')],
      ...['--client-id', environment.client_id],
      ...['--redirect-uri', redirectUri.href],
      ...['--listen', `127.0.0.1:${port}`],
      ...args,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, GRANTOR_CLIENT_SECRET: environment.client_secret },
    },
  );
  running.add(child);
  const ended = once(child, 'exit').then(() => running.delete(child));
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const ready = await firstLine(child, () => log);
  return {
    url: `${ready.replace('ready at ', '')}/`,
    redirectUri: redirectUri.href,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function sparePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

/** A new folder, and a function that removes it. */
export async function temporaryFolder() {
  const folder = await mkdtemp(path.join(tmpdir(), 'grantor-e2e-'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/**
 * Starts `grantor dev` on free ports and new data, and reads the line that says it is ready.
 * Environments are found by name: `server.staging`, `server.production`. `folder` is its data.
 */
export async function startGrantor() {
  const { folder, remove } = await temporaryFolder();
  const child = spawn(grantorProgram(), ['dev', '--port', '0', '--data', folder, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const ended = new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child);
      resolve(signal ?? code);
    });
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));

  const ready = JSON.parse(await firstLine(child, () => log));
  return {
    folder,
    ready,
    ...Object.fromEntries(ready.environments.map((each) => [each.name, each])),
    /** Waits until the log has a line with this text, and returns the log. */
    async logged(text) {
      while (!log.includes(text)) await once(child.stderr, 'data');
      return log;
    },
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      const how = await ended;
      clearTimeout(late);
      await remove();
      if (how === 'SIGKILL') throw new Error(`grantor dev did not end on SIGTERM\n${log}`);
    },
  };
}

function firstLine(child, log) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`grantor dev said nothing for ${START_LIMIT_MS} ms\n${log()}`)),
      START_LIMIT_MS,
    );
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(limit);
      resolve(line);
    });
    child.once('exit', (code) => {
      clearTimeout(limit);
      reject(new Error(`grantor dev ended with ${code} before it was ready\n${log()}`));
    });
  });
}

/** Runs one command of the program to its end, and returns its standard output. */
export function grantor(...args) {
  return execFileSync(grantorProgram(), args, { encoding: 'utf8', timeout: START_LIMIT_MS });
}
