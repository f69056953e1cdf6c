// simple-oauth2: no discovery; its own paths (/oauth/authorize, /oauth/token, /oauth/revoke) are ours.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { AuthorizationCode, ClientCredentials } from 'simple-oauth2';
import { Customer } from './customer.js';
import { api, done, issuer, newClient, redirectUri, scope, step } from './program.js';

const own = newClient('--client-credentials');
const configuration = (client, options) => ({
  client: { id: client.client_id, secret: client.client_secret },
  auth: { tokenHost: issuer },
  options,
});

async function connect(client, proof = {}) {
  const state = randomBytes(16).toString('hex');
  const url = client.authorizeURL({ redirect_uri: redirectUri, scope, state, ...proof.challenge });
  const landed = await new Customer().allow(url, redirectUri);
  assert.equal(landed.searchParams.get('state'), state);
  const code = landed.searchParams.get('code');
  return client.getToken({ code, redirect_uri: redirectUri, ...proof.verifier });
}

function pkce() {
  const code_verifier = randomBytes(32).toString('base64url');
  const code_challenge = createHash('sha256').update(code_verifier).digest('base64url');
  return {
    challenge: { code_challenge, code_challenge_method: 'S256' },
    verifier: { code_verifier },
  };
}

async function callApi({ token }, expected = 200) {
  const headers = { authorization: `Bearer ${token.access_token}` };
  assert.equal((await fetch(api, { headers })).status, expected);
}

const client = new AuthorizationCode(configuration(own));

const first = await step('a code with PKCE, exchanged', () => connect(client, pkce()));

await step('the API takes the token', async () => {
  assert.equal(first.expired(), false);
  await callApi(first);
});

const second = await step('refresh', async () => {
  const tokens = await first.refresh();
  await callApi(tokens);
  return tokens;
});

const third = await step('eight refreshes at once', async () => {
  const all = await Promise.all(Array.from({ length: 8 }, () => second.refresh()));
  for (const tokens of all) await callApi(tokens);
  assert.equal(new Set(all.map(({ token }) => token.refresh_token)).size, 1);
  return all[0];
});

await step('a token that was stored as JSON goes on', async () => {
  const stored = client.createToken(JSON.parse(JSON.stringify(third)));
  assert.equal(stored.expired(), false);
  await callApi(stored);
});

await step('revocation of both tokens ends the connection', async () => {
  await third.revokeAll();
  await callApi(third, 401);
  await assert.rejects(third.refresh(), (error) => {
    assert.equal(error.data.payload.error, 'invalid_grant');
    return true;
  });
});

await step('the secret in the body', async () => {
  const posting = newClient('--auth', 'client_secret_post');
  const options = { authorizationMethod: 'body' };
  await callApi(await connect(new AuthorizationCode(configuration(posting, options)), pkce()));
});

await step('client credentials', async () => {
  const tokens = await new ClientCredentials(configuration(own)).getToken({ scope: 'orders-api' });
  assert.equal(tokens.token.scope, 'orders-api');
});

done();
