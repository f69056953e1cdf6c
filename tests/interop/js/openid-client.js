// openid-client: discovery and nothing else, then everything that it knows how to do.

import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { Customer } from './customer.js';
import {
  api, done, environment, issuer, newClient, newSigningClient, redirectUri, scope, step, stepIf,
} from './program.js';

const own = newClient('--client-credentials');
const basic = () => client.ClientSecretBasic(own.client_secret);
const discover = (id, authentication, algorithm = 'oauth2') =>
  client.discovery(new URL(issuer), id, undefined, authentication, {
    algorithm,
    execute: [client.allowInsecureRequests],
  });

/** The whole flow: returns the tokens. */
async function connect(config, settings = {}) {
  const { parameters = {}, checks = {}, options, pushed, customer = new Customer() } = settings;
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const request = {
    redirect_uri: redirectUri,
    scope,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    ...parameters,
  };
  const url = pushed
    ? await client.buildAuthorizationUrlWithPAR(config, request, options)
    : client.buildAuthorizationUrl(config, request);
  const landed = await customer.allow(url, redirectUri);
  assert.deepEqual(customer.pages, ['sign_in', 'businesses', 'consent']);
  const expected = { pkceCodeVerifier, expectedState, ...checks };
  return client.authorizationCodeGrant(config, landed, expected, undefined, options);
}

async function callApi(config, accessToken, options) {
  const response = await client.fetchProtectedResource(
    config, accessToken, api, 'GET', undefined, undefined, options,
  );
  const answer = await response.json();
  assert.equal(answer._embedded.businessList.length, 2);
}

const config = await step('discovery by RFC 8414', async () => {
  const found = await discover(own.client_id, basic());
  assert.equal(found.serverMetadata().issuer, issuer);
  assert.ok(found.serverMetadata().supportsPKCE());
  return found;
});

const first = await step('a code with PKCE, exchanged', async () => {
  const tokens = await connect(config);
  assert.ok(tokens.refresh_token);
  assert.equal(tokens.scope, scope);
  return tokens;
});

await step('the API takes the token', () => callApi(config, first.access_token));

await step('introspection', async () => {
  const answer = await client.tokenIntrospection(config, first.access_token);
  assert.equal(answer.active, true);
  assert.equal(answer.client_id, own.client_id);
  assert.ok(answer.sub);
});

const second = await step('refresh', async () => {
  const tokens = await client.refreshTokenGrant(config, first.refresh_token);
  assert.notEqual(tokens.refresh_token, first.refresh_token);
  await callApi(config, tokens.access_token);
  return tokens;
});

const third = await step('eight refreshes at once', async () => {
  const all = await Promise.all(
    Array.from({ length: 8 }, () => client.refreshTokenGrant(config, second.refresh_token)),
  );
  for (const tokens of all) await callApi(config, tokens.access_token);
  assert.equal(new Set(all.map((tokens) => tokens.refresh_token)).size, 1);
  return all[0];
});

await step('revocation ends the connection', async () => {
  await client.tokenRevocation(config, third.refresh_token);
  const answer = await client.tokenIntrospection(config, third.access_token);
  assert.equal(answer.active, false);
  await assert.rejects(client.refreshTokenGrant(config, third.refresh_token), {
    error: 'invalid_grant',
  });
  await assert.rejects(callApi(config, third.access_token), (error) => {
    assert.equal(error.cause[0].parameters.error, 'invalid_token');
    return true;
  });
});

await step('client credentials', async () => {
  const tokens = await client.clientCredentialsGrant(config, { scope: 'orders-api' });
  assert.equal(tokens.scope, 'orders-api');
  const answer = await client.tokenIntrospection(config, tokens.access_token);
  assert.equal(answer.sub, own.client_id);
});

await step('private_key_jwt', async () => {
  const keys = await client.randomDPoPKeyPair('ES256', { extractable: true });
  const publicJwk = await crypto.subtle.exportKey('jwk', keys.publicKey);
  const signing = await newSigningClient(publicJwk, '--client-credentials');
  const signed = await discover(signing.client_id, client.PrivateKeyJwt(keys.privateKey));
  await client.clientCredentialsGrant(signed);
  const tokens = await connect(signed);
  const renewed = await client.refreshTokenGrant(signed, tokens.refresh_token);
  await callApi(signed, renewed.access_token);
});

const registered = await step('dynamic registration of an app without a secret', async () => {
  const made = await client.dynamicClientRegistration(
    new URL(issuer),
    {
      client_name: 'openid-client, registered by itself',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    },
    client.None(),
    { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
  );
  await callApi(made, (await connect(made)).access_token);
  return made;
});

await step('DPoP: code, refresh token and API bound to one key', async () => {
  const keys = await client.randomDPoPKeyPair('ES256');
  const options = { DPoP: client.getDPoPHandle(registered, keys) };
  const parameters = { dpop_jkt: await options.DPoP.calculateThumbprint() };
  const tokens = await connect(registered, { parameters, options });
  assert.equal(tokens.token_type, 'dpop');
  await callApi(registered, tokens.access_token, options);
  await assert.rejects(client.refreshTokenGrant(registered, tokens.refresh_token));
  const renewed = await client.refreshTokenGrant(
    registered, tokens.refresh_token, undefined, options,
  );
  await callApi(registered, renewed.access_token, options);
});

await stepIf('par', 'pushed authorization request', async () => {
  const tokens = await connect(config, { pushed: true });
  await callApi(config, tokens.access_token);
});

await stepIf('par', 'pushed with a proof of a key (DPoP)', async () => {
  const keys = await client.randomDPoPKeyPair('ES256');
  const options = { DPoP: client.getDPoPHandle(registered, keys) };
  const tokens = await connect(registered, { pushed: true, options });
  await callApi(registered, tokens.access_token, options);
});

await stepIf('par', 'a client that registered to push, and is held to it', async () => {
  const made = await client.dynamicClientRegistration(
    new URL(issuer),
    { redirect_uris: [redirectUri], require_pushed_authorization_requests: true },
    undefined,
    { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
  );
  await callApi(made, (await connect(made, { pushed: true })).access_token);
  await assert.rejects(connect(made));
});

await stepIf('par', 'the answer comes as a form', async () => {
  const tokens = await connect(config, { parameters: { response_mode: 'form_post' } });
  await callApi(config, tokens.access_token);
});

await stepIf('device', 'device authorization', async () => {
  const device = newClient('--device');
  const onDevice = await discover(device.client_id, client.ClientSecretBasic(device.client_secret));
  const started = await client.initiateDeviceAuthorization(onDevice, { scope });
  assert.ok(started.verification_uri.startsWith(issuer));
  const customer = new Customer();
  const [, tokens] = await Promise.all([
    customer.walk(started.verification_uri, undefined, { user_code: started.user_code }),
    client.pollDeviceAuthorizationGrant(onDevice, started),
  ]);
  await callApi(onDevice, tokens.access_token);
});

const openidScope = `openid profile email ${scope}`;

await stepIf('openid', 'OpenID Connect: discovery, id_token, userinfo', async () => {
  const openid = await discover(own.client_id, basic(), 'oidc');
  client.enableNonRepudiationChecks(openid);
  const expectedNonce = client.randomNonce();
  const tokens = await connect(openid, {
    parameters: { scope: openidScope, nonce: expectedNonce, max_age: '3600' },
    checks: { expectedNonce, idTokenExpected: true, maxAge: 3600 },
  });
  const claims = tokens.claims();
  assert.equal(claims.iss, issuer);
  const person = await client.fetchUserInfo(openid, tokens.access_token, claims.sub);
  assert.equal(person.email, environment.customer.email);
});

for (const algorithm of ['RS256', 'ES256', 'EdDSA']) {
  await stepIf('openid', `registration for an id_token signed with ${algorithm}`, async () => {
    const made = await client.dynamicClientRegistration(
      new URL(issuer),
      { redirect_uris: [redirectUri], id_token_signed_response_alg: algorithm },
      undefined,
      { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
    );
    const { id_token } = await connect(made, { parameters: { scope: openidScope } });
    const [header] = id_token.split('.');
    assert.equal(JSON.parse(Buffer.from(header, 'base64url')).alg, algorithm);
  });
}

await stepIf('logout', 'RP-initiated logout comes back to the app', async () => {
  const goodbye = 'http://127.0.0.1:9/goodbye';
  const made = await client.dynamicClientRegistration(
    new URL(issuer),
    { redirect_uris: [redirectUri], post_logout_redirect_uris: [goodbye] },
    undefined,
    { execute: [client.allowInsecureRequests] },
  );
  const customer = new Customer();
  const { id_token } = await connect(made, { parameters: { scope: openidScope }, customer });
  const url = client.buildEndSessionUrl(made, {
    id_token_hint: id_token,
    post_logout_redirect_uri: goodbye,
    state: 'kept',
  });
  const landed = await customer.walk(url, goodbye);
  assert.equal(landed.searchParams.get('state'), 'kept');
  customer.pages.length = 0;
  // Whoever comes back has to sign in again.
  await connect(made, { parameters: { scope: openidScope }, customer });
});

done();
