// The guide, letter by letter: Chromium for steps 1 and 2, Postman's own runner for 3 to 7.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { button, connect, guideUrl, keepAllBusinesses, landed, signIn } from './flow.js';
import { COLLECTION, environmentFile, exportPostman, runCollection } from './postman.js';
import { inEachEnvironment, useChromium } from './setup.js';
import {
  assertBusinesses,
  assertTokenResponse,
  basicHeader,
  callBusinesses,
  exchange,
} from './token.js';

const run = promisify(execFile);
const here = useChromium();

const isExchange = ({ method, url }) =>
  method === 'POST' &&
  url.pathname === '/oauth/token' &&
  url.searchParams.get('grant_type') === 'authorization_code';
const isBusinesses = ({ method, url }) => method === 'GET' && url.pathname === '/f/data/businesses';

inEachEnvironment(
  here,
  'U1 U13 S4 S28 the guide, followed literally, ends with a token, and no secret is logged',
  async ({ environment, server, visit }) => {
    const { page } = await visit();

    // Step 1: open the URL; a sign-in box appears.
    await page.goto(guideUrl(environment));
    await signIn(page, environment.customer);

    // Step 2: choose, accept, and copy the code from the redirect.
    const chosen = await keepAllBusinesses(page);
    await button(page, 'Allow').click();
    const { code, iss, state } = await landed(page, environment);
    assert.ok(code.length >= 22, '128 bits need 22 characters of Base64');
    assert.equal(new URL(iss).origin, new URL(environment.base_url).origin);
    assert.equal(state, undefined, 'no state was sent, so none comes back');
    assert.ok((await page.innerText('main')).includes(code), 'the page shows the code to copy');

    // Steps 3 to 7, and the API call, in Postman's runner.
    const { failures, executions } = await runCollection(
      await exportPostman(server),
      environment.name,
      { ...clientVariables(environment), code },
    );
    assert.deepEqual(failures, []);

    const exchanged = executions.find(isExchange);
    assert.equal(exchanged.headers.authorization, basicHeader(environment));
    assert.equal(exchanged.body, '', 'the POST has an empty body');
    assert.deepEqual(Object.fromEntries(exchanged.url.searchParams), {
      code,
      grant_type: 'authorization_code',
      'client-id': environment.client_id,
      redirect_uri: environment.redirect_uri,
    });
    assert.equal(exchanged.status, 200, exchanged.text);
    assert.equal(exchanged.responseHeaders['cache-control'], 'no-store');
    assert.match(exchanged.responseHeaders['content-type'], /^application\/json/);
    const token = assertTokenResponse(exchanged.text, environment);

    const called = executions.find(isBusinesses);
    assert.equal(called.status, 200, called.text);
    assert.match(called.headers.authorization, /^Bearer ./);
    assert.deepEqual(assertBusinesses(called.text, environment).sort(), chosen.sort());
    assert.ok(token.scope.split(' ').includes('financial-api'));

    const log = await server.logged('/f/data/businesses');
    for (const secret of [
      code,
      environment.client_secret,
      environment.customer.password,
      exchanged.headers.authorization,
      token.access_token,
      token.refresh_token,
    ]) {
      assert.ok(!log.includes(secret), 'a secret stands in the log');
    }
  },
);

inEachEnvironment(
  here,
  'U14 the command on the page with the code gets a token as it stands',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await connect(page, environment);
    const command = await page.locator('pre.command').innerText();
    assert.match(command, /^curl /);

    const { stdout } = await run('bash', ['-c', command]);
    // The command may print the headers too; the token response is the JSON object.
    const token = assertTokenResponse(stdout.slice(stdout.indexOf('{')), environment);
    const called = await callBusinesses(environment, token.access_token);
    assert.equal(called.status, 200);
    assertBusinesses(await called.text(), environment);
  },
);

inEachEnvironment(
  here,
  'S10 S11 a code opens one exchange, and the API refuses what is no token',
  async ({ environment, visit }) => {
    const { page } = await visit();
    const { code } = await connect(page, environment);
    assert.equal((await exchange(environment, code)).status, 200);

    const again = await exchange(environment, code);
    assert.equal(again.status, 400);
    assert.equal((await again.json()).error, 'invalid_grant');

    const refused = await callBusinesses(environment, code);
    assert.equal(refused.status, 401);
    assert.deepEqual(await refused.json(), {
      errors: [
        {
          code: 'unauthorized',
          title: 'Full authentication is required to access this resource',
        },
      ],
    });
  },
);

inEachEnvironment(
  here,
  'U13 the exported files run as they are, once secret and code are pasted in',
  async ({ environment, server, visit }) => {
    const files = await exportPostman(server);
    assert.deepEqual(
      Object.keys(files).sort(),
      [environmentFile('production'), environmentFile('staging'), COLLECTION].sort(),
    );
    assert.equal(
      files[COLLECTION].info.schema,
      'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    );
    const { values } = files[environmentFile(environment.name)];
    assert.deepEqual(Object.fromEntries(values.map(({ key, value }) => [key, value])), {
      base_url: environment.base_url,
      client_id: environment.client_id,
      client_secret: '',
      redirect_uri: environment.redirect_uri,
      code: '',
      access_token: '',
      refresh_token: '',
    });

    const { page } = await visit();
    const { code } = await connect(page, environment);
    const { failures, executions } = await runCollection(files, environment.name, {
      client_secret: environment.client_secret,
      code,
    });
    assert.deepEqual(failures, []);
    const exchanged = executions.find(isExchange);
    assert.equal(exchanged.status, 200, exchanged.text);
    assert.equal(executions.find(isBusinesses).status, 200);
  },
);

inEachEnvironment(
  here,
  'U13 the collection fails in the runner when the code is wrong, so its tests do test',
  async ({ environment, server }) => {
    const { failures } = await runCollection(await exportPostman(server), environment.name, {
      ...clientVariables(environment),
      code: 'VlWFo0',
    });
    assert.notDeepEqual(failures, []);
  },
);

function clientVariables({ client_id, client_secret, redirect_uri }) {
  return { client_id, client_secret, redirect_uri };
}
