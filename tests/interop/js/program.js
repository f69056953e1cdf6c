// What every program here has: its environment, clients of its own, and steps that are counted.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

const read = (variable) => JSON.parse(readFileSync(process.env[variable], 'utf8'));

/** The environment under test, as `grantor dev --json` describes it. */
export const environment = read('INTEROP_SERVER').environments.find(
  ({ name }) => name === process.env.INTEROP_ENVIRONMENT,
);
export const issuer = environment.base_url;
export const api = new URL('/f/data/businesses', issuer);
/** Nobody needs to listen there: the walk ends where the browser would be sent to. */
export const redirectUri = 'http://127.0.0.1:9/callback';
/** What the API knows. Programs ask for it by name, and for OpenID Connect's scopes besides. */
export const scope = environment.scopes.join(' ');
const openidScope = 'openid profile email offline_access';

const features = read('INTEROP_FEATURES');
const count = { steps: 0, skipped: 0 };

/** Runs one step and returns what it returns. A step that throws ends the program. */
export async function step(title, body) {
  try {
    const result = await body();
    count.steps += 1;
    console.log(`step: ${title}`);
    return result;
  } catch (error) {
    console.log(`failed: ${title}`);
    throw error;
  }
}

/** A step for a feature of features.json; where that is off it is skipped. */
export async function stepIf(feature, title, body) {
  if (!(feature in features)) throw new Error(`features.json does not know ${feature}`);
  if (features[feature]) return step(title, body);
  count.skipped += 1;
  console.log(`skipped: ${title} (${feature} is off)`);
  return undefined;
}

/** To be called at the end of a program: what counts is what this line says. */
export function done() {
  console.log(`${count.steps} steps, ${count.skipped} skipped`);
}

/** A client of the operator's making, with further options of `grantor client create`. */
export function newClient(...options) {
  const name = `${path.basename(process.argv[1], '.js')} client`;
  const created = execFileSync(
    process.env.GRANTOR,
    [
      ...['client', 'create', '--data', process.env.INTEROP_DATA, '--json'],
      ...['--environment', environment.name, '--partner', 'Demo Partner Ltd', '--name', name],
      ...['--redirect-uri', redirectUri, '--scope', scope, '--scope', openidScope, ...options],
    ],
    { encoding: 'utf8' },
  );
  return JSON.parse(created);
}

/** A client that signs assertions instead of having a secret. */
export async function newSigningClient(publicJwk, ...options) {
  const folder = await mkdtemp(path.join(tmpdir(), 'grantor-interop-'));
  try {
    const file = path.join(folder, 'jwks.json');
    await writeFile(file, JSON.stringify({ keys: [publicJwk] }));
    return newClient('--auth', 'private_key_jwt', '--jwks', file, ...options);
  } finally {
    await rm(folder, { recursive: true });
  }
}
