// The sample app of a partner, as a customer meets it: Connect, the businesses, and what comes when
// the connection is over.

import assert from 'node:assert/strict';
import { button, keepAllBusinesses, signIn } from './flow.js';
import { startPartnerApp } from './server.js';
import { inEachEnvironment, useChromium } from './setup.js';

const here = useChromium();

/** One test with the app beside the server. */
function withApp(title, args, body) {
  inEachEnvironment(here, title, async ({ environment, visit }) => {
    const app = await startPartnerApp(environment, ...args);
    try {
      await body({ environment, visit, app });
    } finally {
      await app.stop();
    }
  });
}

const heading = (page, name) => page.getByRole('heading', { name, exact: true }).waitFor();

async function connectAccount(page, environment, app) {
  await page.goto(app.url);
  await button(page, 'Connect').click();
  await signIn(page, environment.customer);
  const names = await keepAllBusinesses(page);
  await button(page, 'Allow').click();
  await heading(page, 'Your businesses');
  return names;
}

async function disconnect(page, environment) {
  await page.goto(new URL('/connections', environment.base_url).href);
  await page.locator('summary').click();
  await page.locator('details button').click();
  await page.getByRole('status').waitFor();
}

withApp(
  'U10 connect in the sample app, see the businesses, disconnect, be asked to reconnect, and do so',
  [],
  async ({ environment, visit, app }) => {
    const { page } = await visit();
    const names = await connectAccount(page, environment, app);
    const list = await page.locator('main ul').innerText();
    for (const name of names) assert.ok(list.includes(name), list);
    // Neither the code nor a token stays with the browser.
    assert.equal(page.url(), app.url);
    assert.doesNotMatch(await page.content(), /gr_(code|access|refresh)_/);

    await disconnect(page, environment);
    await page.goto(app.url);
    await heading(page, 'Reconnect required');
    await button(page, 'Connect').click();
    await button(page, 'Continue').click();
    await button(page, 'Allow').click();
    await heading(page, 'Your businesses');
    await page.reload();
    await heading(page, 'Your businesses');
  },
);

withApp(
  'D11 many pages at once refresh one after the other, and the connection lives',
  // Longer than an access token lives: each page refreshes.
  ['--refresh-early-seconds', '100000'],
  async ({ environment, visit, app }) => {
    const { page, context } = await visit();
    await connectAccount(page, environment, app);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => context.request.get(app.url)),
    );
    for (const answer of answers) {
      assert.match(await answer.text(), /<h1>Your businesses<\/h1>/);
    }
    await page.reload();
    await heading(page, 'Your businesses');
    await disconnect(page, environment);
    await page.goto(app.url);
    await heading(page, 'Reconnect required');
  },
);

withApp(
  'U9 whoever denies is told so, and nothing is connected',
  [],
  async ({ environment, visit, app }) => {
    const { page } = await visit();
    await page.goto(app.url);
    await button(page, 'Connect').click();
    await signIn(page, environment.customer);
    await keepAllBusinesses(page);
    await button(page, 'Deny').click();
    await page.getByText('You did not connect the app').waitFor();
    await button(page, 'Connect').waitFor();
  },
);

withApp(
  'an answer with a foreign state, with another issuer or a second time connects nothing',
  [],
  async ({ environment, visit, app }) => {
    const [{ page }, stranger] = [await visit(), await visit()];
    // Somebody's own answer, kept from reaching the app, for the browser of another.
    let answer;
    await stranger.page.route('**/oauth/authorize**', async (route) => {
      const response = await route.fetch({ maxRedirects: 0 });
      const target = response.headers().location;
      if (!target?.startsWith(app.redirectUri)) return route.fulfill({ response });
      answer = target;
      return route.fulfill({ body: 'caught' });
    });
    await stranger.page.goto(app.url);
    await button(stranger.page, 'Connect').click();
    await signIn(stranger.page, environment.customer);
    await keepAllBusinesses(stranger.page);
    await button(stranger.page, 'Allow').click();
    await stranger.page.getByText('caught').waitFor();

    await page.goto(app.url);
    await page.goto(answer);
    await page.getByText('belongs to no request of this browser').waitFor();

    const url = new URL(answer);
    url.searchParams.set('iss', 'https://elsewhere.example');
    await stranger.page.goto(url.href);
    await stranger.page.getByText('Another server answered').waitFor();
    // The attempt is over with that.
    await stranger.page.goto(answer);
    await stranger.page.getByText('belongs to no request of this browser').waitFor();
    await button(stranger.page, 'Connect').waitFor();
  },
);
