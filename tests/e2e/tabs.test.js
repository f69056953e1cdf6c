// One browser, several tabs: neither environments nor tabs disturb each other.

import assert from 'node:assert/strict';
import { authorizeUrl, button, keepAllBusinesses, landed, signIn } from './flow.js';
import { inEachEnvironment, useChromium } from './setup.js';
import { assertTokenResponse, exchange } from './token.js';

const here = useChromium();

inEachEnvironment(
  here,
  'S18 the flows of staging and production run interleaved in one browser, begun here',
  async ({ environment, server, visit }) => {
    const { context, page } = await visit();
    const other = environment.name === 'staging' ? server.production : server.staging;
    const first = { page, environment };
    const second = { page: await context.newPage(), environment: other };
    const tabs = [first, second];

    for (const tab of tabs) await tab.page.goto(authorizeUrl(tab.environment));
    await signIn(first.page, environment.customer);
    await button(first.page, 'Continue').waitFor();

    // Signed in here is not signed in there: browsers do not tell ports apart in cookies.
    await second.page.reload();
    await button(second.page, 'Sign in').waitFor();
    await signIn(second.page, other.customer);

    for (const tab of tabs) await keepAllBusinesses(tab.page);
    for (const tab of tabs) await button(tab.page, 'Allow').click();
    for (const tab of tabs) {
      const { code } = await landed(tab.page, tab.environment);
      const answer = await exchange(tab.environment, code);
      assertTokenResponse(await answer.text(), tab.environment);
    }

    const cookies = await context.cookies();
    for (const { name } of [environment, other]) {
      const own = cookies.filter((cookie) => cookie.name.includes(name));
      assert.ok(own.length >= 1, `no cookie carries the name ${name}`);
      for (const cookie of own) {
        assert.ok(cookie.httpOnly, cookie.name);
        assert.ok(['Lax', 'Strict'].includes(cookie.sameSite), cookie.name);
      }
    }
    const nameless = cookies.filter(({ name }) => !/staging|production/.test(name));
    assert.deepEqual(nameless, [], 'a cookie of no environment would be shared by both');
  },
);

inEachEnvironment(
  here,
  'S9 a second tab with the same question does not break the first',
  async ({ environment, visit }) => {
    const { context, page } = await visit();
    const second = await context.newPage();
    await page.goto(authorizeUrl(environment, { prompt: 'consent', state: 'first' }));
    await signIn(page, environment.customer);
    await keepAllBusinesses(page);
    await button(page, 'Allow').waitFor();

    await second.goto(authorizeUrl(environment, { prompt: 'consent', state: 'second' }));
    await keepAllBusinesses(second);
    await button(second, 'Allow').waitFor();

    for (const [tab, state] of [[page, 'first'], [second, 'second']]) {
      await button(tab, 'Allow').click();
      const answer = await landed(tab, environment);
      assert.equal(answer.state, state);
      assert.ok(answer.code);
    }
  },
);

inEachEnvironment(
  here,
  'S9 S18 two tabs at the sign-in page can both sign in, and the session id changes',
  async ({ environment, visit }) => {
    const { context, page } = await visit();
    const second = await context.newPage();
    for (const tab of [page, second]) await tab.goto(authorizeUrl(environment));
    const before = await sessionValues(context);
    await signIn(page, environment.customer);
    await button(page, 'Continue').waitFor();
    const signedIn = await sessionValues(context);
    assert.ok(signedIn.length > 0);
    for (const value of signedIn) assert.ok(!before.includes(value), 'the session id is new');

    // The second tab's form is from before the first one's sign-in.
    await signIn(second, environment.customer);
    await button(second, 'Continue').waitFor();
    await keepAllBusinesses(second);
    await button(second, 'Allow').click();
    assert.ok((await landed(second, environment)).code);
  },
);

async function sessionValues(context) {
  return (await context.cookies()).map(({ value }) => value);
}
