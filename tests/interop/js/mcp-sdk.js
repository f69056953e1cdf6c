// The MCP SDK for TypeScript: an agent's client that knows the address of an API and nothing else.

import assert from 'node:assert/strict';
import {
  auth, discoverOAuthServerInfo, extractWWWAuthenticateParams, UnauthorizedError,
} from '@modelcontextprotocol/sdk/client/auth.js';
import {
  ClientCredentialsProvider, PrivateKeyJwtProvider,
} from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { withOAuth } from '@modelcontextprotocol/sdk/client/middleware.js';
import { Customer } from './customer.js';
import {
  api, done, issuer, newClient, newSigningClient, redirectUri, scope, step,
} from './program.js';

/** What an agent keeps: the SDK does everything else. */
class Agent {
  redirectUrl = redirectUri;
  #kept = {};

  constructor(method) {
    this.clientMetadata = {
      client_name: 'An agent',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: method,
    };
  }

  state = () => (this.#kept.state = crypto.randomUUID());
  clientInformation = () => this.#kept.client;
  saveClientInformation = (client) => (this.#kept.client = client);
  tokens = () => this.#kept.tokens;
  saveTokens = (tokens) => (this.#kept.tokens = tokens);
  codeVerifier = () => this.#kept.verifier;
  saveCodeVerifier = (verifier) => (this.#kept.verifier = verifier);
  invalidateCredentials = () => (this.#kept.tokens = undefined);

  async redirectToAuthorization(url) {
    assert.equal(url.searchParams.get('resource'), issuer);
    const landed = await new Customer().allow(url, redirectUri);
    assert.equal(landed.searchParams.get('state'), this.#kept.state);
    this.code = landed.searchParams.get('code');
  }
}

/** Calls the API as the SDK's transports do: with the token, or by way of authorization. */
const callApi = async (agent) => {
  const response = await withOAuth(agent, api)(fetch)(api);
  assert.equal((await response.json())._embedded.businessList.length, 2);
};

await step('the API without a token names its metadata, and that the server', async () => {
  const { resourceMetadataUrl } = extractWWWAuthenticateParams(await fetch(api));
  const found = await discoverOAuthServerInfo(api, { resourceMetadataUrl });
  assert.equal(found.authorizationServerUrl, issuer);
  assert.equal(found.authorizationServerMetadata.issuer, issuer);
});

for (const method of ['none', 'client_secret_basic', 'client_secret_post']) {
  const agent = new Agent(method);

  await step(`registration and a code with PKCE and resource (${method})`, async () => {
    // The person is away: the SDK says so, and goes on with the code later.
    await assert.rejects(callApi(agent), UnauthorizedError);
    const { code: authorizationCode } = agent;
    assert.equal(await auth(agent, { serverUrl: api, authorizationCode }), 'AUTHORIZED');
    assert.equal(agent.clientInformation().token_endpoint_auth_method, method);
    assert.equal(agent.tokens().scope, scope);
  });

  await step(`the API takes the token (${method})`, () => callApi(agent));

  await step(`refresh (${method})`, async () => {
    const before = agent.tokens();
    assert.equal(await auth(agent, { serverUrl: api }), 'AUTHORIZED');
    assert.notEqual(agent.tokens().refresh_token, before.refresh_token);
    await callApi(agent);
  });

  await step(`an access token that has gone is renewed on the way (${method})`, async () => {
    agent.saveTokens({ ...agent.tokens(), access_token: 'gone' });
    await callApi(agent);
  });
}

await step('client credentials', async () => {
  const own = newClient('--client-credentials');
  const provider = new ClientCredentialsProvider({
    clientId: own.client_id,
    clientSecret: own.client_secret,
    expectedIssuer: issuer,
  });
  assert.equal(await auth(provider, { serverUrl: api }), 'AUTHORIZED');
  assert.equal(provider.tokens().scope, scope);
});

await step('client credentials with private_key_jwt', async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const jwk = (key) => crypto.subtle.exportKey('jwk', key);
  const own = await newSigningClient(await jwk(keys.publicKey), '--client-credentials');
  const provider = new PrivateKeyJwtProvider({
    clientId: own.client_id,
    privateKey: await jwk(keys.privateKey),
    algorithm: 'ES256',
    expectedIssuer: issuer,
  });
  assert.equal(await auth(provider, { serverUrl: api }), 'AUTHORIZED');
  assert.equal(provider.tokens().scope, scope);
});

done();
