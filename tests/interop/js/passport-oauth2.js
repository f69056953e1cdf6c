// passport-oauth2: a site with Express, sessions and a sign-in by way of our pages.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import OAuth2Strategy from 'passport-oauth2';
import { Customer } from './customer.js';
import { api, done, issuer, newClient, scope, step } from './program.js';

// It sends the secret in the body, and cannot do otherwise.
const own = newClient('--auth', 'client_secret_post', '--redirect-uri', 'http://127.0.0.1/callback');

/** What the site learned about who signed in last. */
let connection;

async function startSite() {
  const site = express();
  const listener = site.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const origin = `http://127.0.0.1:${listener.address().port}`;
  const strategy = new OAuth2Strategy(
    {
      authorizationURL: `${issuer}/oauth/authorize`,
      tokenURL: `${issuer}/oauth/token`,
      clientID: own.client_id,
      clientSecret: own.client_secret,
      callbackURL: `${origin}/callback`,
      scope,
      pkce: true,
      state: true,
    },
    (accessToken, refreshToken, parameters, profile, verified) => {
      connection = { accessToken, refreshToken, parameters };
      verified(null, { profile });
    },
  );
  // As a strategy for this server would: whom the token speaks for, asked at the API.
  strategy._oauth2.useAuthorizationHeaderforGET(true);
  strategy.userProfile = (accessToken, loaded) => {
    strategy._oauth2.get(api.href, accessToken, (error, body) => {
      loaded(error, error ? undefined : JSON.parse(body)._embedded.businessList);
    });
  };
  passport.use(strategy);
  passport.serializeUser((user, next) => next(null, user));
  passport.deserializeUser((user, next) => next(null, user));
  site.use(session({ secret: 'for this program alone', resave: false, saveUninitialized: false }));
  site.use(passport.session());
  site.get('/sign-in', passport.authenticate('oauth2'));
  site.get('/callback', passport.authenticate('oauth2', { successRedirect: '/inside' }));
  site.get('/inside', (request, response) => response.json(request.user.profile));
  site.use((error, _request, response, _next) => {
    response.status(500).json({ code: error.code, message: error.message });
  });
  return { listener, origin, strategy };
}

const { listener, origin, strategy } = await startSite();

const refresh = (refreshToken) =>
  new Promise((resolve, reject) => {
    const parameters = { grant_type: 'refresh_token' };
    strategy._oauth2.getOAuthAccessToken(refreshToken, parameters, (error, access, next) =>
      error ? reject(error) : resolve({ access, next }),
    );
  });

await step('sign-in by way of the site: session, state, PKCE, exchange, API', async () => {
  const customer = new Customer();
  const ended = await customer.walk(`${origin}/sign-in`);
  assert.equal(ended.href, `${origin}/inside`);
  assert.deepEqual(customer.pages, ['sign_in', 'businesses', 'consent']);
  assert.equal(connection.parameters.scope, scope);
});

await step('a customer who denies is sent back, and the site says so', async () => {
  const customer = new Customer();
  const ended = await customer.walk(`${origin}/sign-in`, `${origin}/callback`, {
    decision: 'deny',
  });
  assert.equal(ended.searchParams.get('error'), 'access_denied');
  assert.equal((await fetch(ended)).status, 401);
});

await step('a callback with a state that is not the browser\'s is refused', async () => {
  const target = `${origin}/callback`;
  const landed = await new Customer().walk(`${origin}/sign-in`, target);
  assert.equal((await fetch(landed)).status, 403);
});

const second = await step('refresh', () => refresh(connection.refreshToken));

await step('eight refreshes at once', async () => {
  const all = await Promise.all(Array.from({ length: 8 }, () => refresh(second.next)));
  assert.equal(new Set(all.map(({ next }) => next)).size, 1);
  for (const { access } of all) {
    const headers = { authorization: `Bearer ${access}` };
    assert.equal((await fetch(api, { headers })).status, 200);
  }
});

listener.close();
listener.closeAllConnections();
done();
