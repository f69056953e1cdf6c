// oauth4webapi: every request and every check of an answer by itself, as its callers write it.

import assert from 'node:assert/strict';
import { createLocalJWKSet, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import { Customer } from './customer.js';
import {
  api, done, environment, issuer, newClient, newSigningClient, redirectUri, scope, step, stepIf,
} from './program.js';

const insecure = { [oauth.allowInsecureRequests]: true };

const discover = async (algorithm) => {
  const at = new URL(issuer);
  const response = await oauth.discoveryRequest(at, { algorithm, ...insecure });
  return oauth.processDiscoveryResponse(at, response);
};

/** From the request to the tokens. `who` is a client with its way to prove itself. */
async function connect(as, who, settings = {}) {
  const { parameters = {}, options, pushed, customer = new Customer(), ...expected } = settings;
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const request = new URLSearchParams({
    client_id: who.client.client_id,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    ...parameters,
  });
  const url = new URL(as.authorization_endpoint);
  url.search = pushed ? await push(as, who, request) : request;
  const landed = await customer.allow(url, redirectUri);
  const answer = oauth.validateAuthResponse(as, who.client, landed, state);
  const response = await oauth.authorizationCodeGrantRequest(
    as, who.client, who.proof, answer, redirectUri, verifier, { ...insecure, ...options },
  );
  return oauth.processAuthorizationCodeResponse(as, who.client, response, expected);
}

async function push(as, { client, proof }, request) {
  const response = await oauth.pushedAuthorizationRequest(as, client, proof, request, insecure);
  const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, response);
  return new URLSearchParams({ client_id: client.client_id, request_uri });
}

async function refresh(as, { client, proof }, refreshToken, options) {
  const response = await oauth.refreshTokenGrantRequest(
    as, client, proof, refreshToken, { ...insecure, ...options },
  );
  return oauth.processRefreshTokenResponse(as, client, response);
}

async function introspect(as, { client, proof }, token) {
  const response = await oauth.introspectionRequest(as, client, proof, token, insecure);
  return oauth.processIntrospectionResponse(as, client, response);
}

async function callApi(accessToken, options) {
  const response = await oauth.protectedResourceRequest(
    accessToken, 'GET', api, undefined, undefined, { ...insecure, ...options },
  );
  assert.equal((await response.json())._embedded.businessList.length, 2);
}

const own = newClient('--client-credentials');
const who = {
  client: { client_id: own.client_id },
  proof: oauth.ClientSecretBasic(own.client_secret),
};

const as = await step('discovery by RFC 8414', () => discover('oauth2'));

await step('discovery from the API (RFC 9728)', async () => {
  const at = new URL(issuer);
  const response = await oauth.resourceDiscoveryRequest(at, insecure);
  const resource = await oauth.processResourceDiscoveryResponse(at, response);
  assert.deepEqual(resource.authorization_servers, [issuer]);
});

const first = await step('a code with PKCE, exchanged', () => connect(as, who));

await step('the API takes the token', () => callApi(first.access_token));

await step('introspection', async () => {
  const answer = await introspect(as, who, first.access_token);
  assert.equal(answer.active, true);
  assert.ok(answer.sub);
});

const second = await step('refresh', async () => {
  const tokens = await refresh(as, who, first.refresh_token);
  await callApi(tokens.access_token);
  return tokens;
});

const third = await step('eight refreshes at once', async () => {
  const all = await Promise.all(
    Array.from({ length: 8 }, () => refresh(as, who, second.refresh_token)),
  );
  for (const tokens of all) await callApi(tokens.access_token);
  assert.equal(new Set(all.map((tokens) => tokens.refresh_token)).size, 1);
  return all[0];
});

await step('revocation ends the connection', async () => {
  const response = await oauth.revocationRequest(
    as, who.client, who.proof, third.refresh_token, insecure,
  );
  await oauth.processRevocationResponse(response);
  assert.equal((await introspect(as, who, third.access_token)).active, false);
  await assert.rejects(refresh(as, who, third.refresh_token), { error: 'invalid_grant' });
  await assert.rejects(callApi(third.access_token), oauth.WWWAuthenticateChallengeError);
});

await step('client credentials', async () => {
  const response = await oauth.clientCredentialsGrantRequest(
    as, who.client, who.proof, { scope: 'orders-api' }, insecure,
  );
  const tokens = await oauth.processClientCredentialsResponse(as, who.client, response);
  assert.equal(tokens.scope, 'orders-api');
});

await step('client_secret_post', async () => {
  const posting = newClient('--auth', 'client_secret_post');
  const poster = {
    client: { client_id: posting.client_id },
    proof: oauth.ClientSecretPost(posting.client_secret),
  };
  await callApi((await connect(as, poster)).access_token);
});

for (const algorithm of ['ES256', 'PS256', 'Ed25519']) {
  await step(`private_key_jwt, signed with ${algorithm}`, async () => {
    const keys = await oauth.generateKeyPair(algorithm, { extractable: true });
    const publicJwk = await crypto.subtle.exportKey('jwk', keys.publicKey);
    const signing = await newSigningClient(publicJwk);
    const signer = {
      client: { client_id: signing.client_id },
      proof: oauth.PrivateKeyJwt(keys.privateKey),
    };
    const tokens = await connect(as, signer);
    await callApi((await refresh(as, signer, tokens.refresh_token)).access_token);
  });
}

const app = await step('dynamic registration of an app without a secret', async () => {
  const response = await oauth.dynamicClientRegistrationRequest(
    as,
    {
      client_name: 'oauth4webapi, registered by itself',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    insecure,
  );
  const client = await oauth.processDynamicClientRegistrationResponse(response);
  return { client, proof: oauth.None() };
});

await step('DPoP: code, refresh token and API bound to one key', async () => {
  const keys = await oauth.generateKeyPair('ES256');
  const options = { DPoP: oauth.DPoP(app.client, keys) };
  const parameters = { dpop_jkt: await options.DPoP.calculateThumbprint() };
  const tokens = await connect(as, app, { parameters, options });
  assert.equal(tokens.token_type, 'dpop');
  await callApi(tokens.access_token, options);
  await assert.rejects(refresh(as, app, tokens.refresh_token));
  const renewed = await refresh(as, app, tokens.refresh_token, options);
  await callApi(renewed.access_token, options);
});

await stepIf('par', 'pushed authorization request', async () => {
  const tokens = await connect(as, who, { pushed: true });
  await callApi(tokens.access_token);
});

await stepIf('device', 'device authorization', async () => {
  const device = newClient('--device');
  const client = { client_id: device.client_id };
  const proof = oauth.ClientSecretBasic(device.client_secret);
  const started = await oauth.processDeviceAuthorizationResponse(
    as,
    client,
    await oauth.deviceAuthorizationRequest(as, client, proof, { scope }, insecure),
  );
  const ask = async () => {
    const { device_code } = started;
    const response = await oauth.deviceCodeGrantRequest(as, client, proof, device_code, insecure);
    return oauth.processDeviceCodeResponse(as, client, response);
  };
  await assert.rejects(ask(), { error: 'authorization_pending' });
  await new Customer().walk(started.verification_uri, undefined, {
    user_code: started.user_code,
  });
  await new Promise((resolve) => setTimeout(resolve, (started.interval ?? 5) * 1000));
  await callApi((await ask()).access_token);
});

const signedIn = await stepIf('openid', 'OpenID Connect: discovery, id_token, userinfo', async () => {
  const openid = await discover('oidc');
  const expectedNonce = oauth.generateRandomNonce();
  const customer = new Customer();
  const tokens = await connect(openid, who, {
    parameters: { scope: `openid profile email ${scope}`, nonce: expectedNonce },
    customer,
    expectedNonce,
    requireIdToken: true,
  });
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const response = await oauth.userInfoRequest(openid, who.client, tokens.access_token, insecure);
  const person = await oauth.processUserInfoResponse(openid, who.client, claims.sub, response);
  assert.equal(person.email, environment.customer.email);
  return { openid, tokens, customer };
});

await stepIf('openid', 'the signature of the id_token, by the key set', async () => {
  const keySet = await (await fetch(signedIn.openid.jwks_uri)).json();
  const { payload } = await jwtVerify(signedIn.tokens.id_token, createLocalJWKSet(keySet), {
    issuer,
    audience: own.client_id,
  });
  assert.ok(payload.auth_time);
});

await stepIf('logout', 'RP-initiated logout', async () => {
  const url = new URL(signedIn.openid.end_session_endpoint);
  url.searchParams.set('id_token_hint', signedIn.tokens.id_token);
  await signedIn.customer.walk(url);
  // Whoever is asked for nothing else has to be signed in.
  const again = new URL(signedIn.openid.authorization_endpoint);
  again.search = new URLSearchParams({
    client_id: own.client_id,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope,
    prompt: 'none',
  });
  const landed = await signedIn.customer.walk(again, redirectUri);
  assert.equal(landed.searchParams.get('error'), 'login_required');
});

done();
