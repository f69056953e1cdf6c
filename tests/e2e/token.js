// What a partner's server does: exchanges a code, calls the API, and what the answers must be.

import assert from 'node:assert/strict';

const ABOVE_DOUBLES = 2n ** 53n;
const ABOVE_64_BITS = 2n ** 63n;

export function basicHeader({ client_id, client_secret }) {
  return `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`;
}

/** Steps 3 to 7 of the guide: everything in the query of a POST with an empty body. */
export function exchange(environment, code) {
  const url = new URL('/oauth/token', environment.base_url);
  url.search = new URLSearchParams({
    code,
    grant_type: 'authorization_code',
    'client-id': environment.client_id,
    redirect_uri: environment.redirect_uri,
  });
  return fetch(url, { method: 'POST', headers: { authorization: basicHeader(environment) } });
}

/** Asserts the members of a token response (facts.md) and returns it. */
export function assertTokenResponse(text, environment) {
  const token = JSON.parse(text);
  assert.equal(typeof token.access_token, 'string', text);
  assert.equal(typeof token.refresh_token, 'string', text);
  assert.notEqual(token.access_token, token.refresh_token);
  assert.equal(token.token_type, 'bearer');
  assert.ok(token.expires_in > 3590 && token.expires_in <= 3600, `expires_in: ${text}`);
  for (const scope of token.scope.split(' ')) {
    assert.ok(environment.scopes.includes(scope), `an unknown scope: ${scope}`);
  }
  return token;
}

export function callBusinesses(environment, accessToken) {
  return fetch(new URL('/f/data/businesses', environment.base_url), {
    headers: { authorization: `Bearer ${accessToken}` },
  });
}

/** Asserts the shape of `GET /f/data/businesses` (facts.md) and returns the businesses' names. */
export function assertBusinesses(text, environment) {
  const answer = JSON.parse(text);
  const businesses = answer._embedded.businessList;
  assert.ok(businesses.length > 0, text);
  for (const business of businesses) {
    assert.deepEqual(
      Object.keys(business).sort(),
      ['businessId', 'businessLocations', 'businessName', 'currencyCode'],
    );
    assert.match(business.currencyCode, /^[A-Z]{3}$/);
    assert.ok(business.businessLocations.length > 0, text);
    for (const location of business.businessLocations) {
      assert.deepEqual(Object.keys(location).sort(), ['blID', 'blName', 'country', 'timezone']);
    }
  }
  const self = new URL(answer._links.self.href);
  assert.equal(self.origin, new URL(environment.base_url).origin);
  assert.equal(self.pathname, '/f/data/businesses');
  assertIds(text);
  return businesses.map(({ businessName }) => businessName);
}

// JSON.parse rounds what exceeds 2^53, so the ids are read from the text itself.
function assertIds(text) {
  const ids = [...text.matchAll(/"(?:businessId|blID)"\s*:\s*([^,}\]\s]+)/g)].map(([, id]) => id);
  assert.ok(ids.length >= 2, text);
  for (const id of ids) {
    assert.match(id, /^[1-9][0-9]*$/, 'an id is a plain integer');
    assert.ok(BigInt(id) < ABOVE_64_BITS, `${id} does not fit 64 bits`);
  }
  assert.ok(
    ids.some((id) => BigInt(id) > ABOVE_DOUBLES),
    'at least one demo id exceeds 2^53, or nobody would notice a rounding client',
  );
}
