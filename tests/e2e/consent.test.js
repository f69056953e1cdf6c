// The consent page says what is being decided, and the token holds what was decided.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { authorizeUrl, button, landed, reachConsent } from './flow.js';
import { inEachEnvironment, useChromium } from './setup.js';
import { assertTokenResponse, exchange } from './token.js';

const here = useChromium();
const ARTIFACTS = path.join(import.meta.dirname, 'artifacts');

inEachEnvironment(
  here,
  'U9 the consent page names app, organisation, mark, account, businesses, duration and host',
  async ({ environment, visit }) => {
    const { page } = await visit();
    const businesses = await reachConsent(page, environment);

    const app = await page.locator('.app-name').innerText();
    assert.ok((await page.locator('h1').innerText()).includes(app), 'the heading names the app');
    const who = await section(page, 'Who asks');
    assert.match(who, /\bby \S/);
    assert.match(who, /Verified organisation/);
    assert.doesNotMatch(who, /not verified/i);

    assert.ok((await section(page, 'Your account')).includes(environment.customer.email));
    const connects = await section(page, 'Businesses to connect');
    for (const business of businesses) assert.ok(connects.includes(business), business);
    assert.match(await section(page, 'For how long'), /\b(days?|until|as long as)\b/i);
    const destination = await section(page, 'Where your answer goes');
    assert.ok(destination.includes(new URL(environment.redirect_uri).host), destination);
  },
);

inEachEnvironment(
  here,
  'U9 only the businesses that stayed ticked are named on the consent page',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await reachConsent(page, environment);
    await page.goto(authorizeUrl(environment));
    const labels = page.locator('label:has(input[name=business])');
    const names = await labels.locator('.choice-name').allInnerTexts();
    await labels.first().locator('input').uncheck();
    await button(page, 'Continue').click();
    const connects = await section(page, /^Business(es)? to connect$/);
    assert.ok(!connects.includes(names[0]), connects);
    for (const name of names.slice(1)) assert.ok(connects.includes(name), connects);
  },
);

inEachEnvironment(
  here,
  'U9 each scope stands on the consent page as a plain sentence, marked required or optional',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await reachConsent(page, environment);
    for (const scope of environment.scopes) {
      const line = page.locator('li', { has: code(page, scope) });
      const sentence = await line.locator('.choice-name').innerText();
      assert.match(sentence, /\S+ \S+ \S+/, `${scope} has no sentence`);
      assert.ok(!sentence.includes(scope), `the sentence of ${scope} is its name again`);
      const optional = (await line.locator('input[name=scope]').count()) === 1;
      const mark = await line.locator('.tag').innerText();
      assert.equal(mark.toLowerCase(), optional ? 'optional' : 'required');
    }
  },
);

inEachEnvironment(
  here,
  'U9 a scope that the customer unticks is not in the token',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await reachConsent(page, environment);
    const optional = page.locator('input[name=scope]').first();
    assert.ok(await optional.isChecked());
    const refused = await optional.getAttribute('value');
    await optional.uncheck();
    await button(page, 'Allow').click();
    const { code } = await landed(page, environment);

    const answer = await exchange(environment, code);
    const token = assertTokenResponse(await answer.text(), environment);
    const expected = environment.scopes.filter((scope) => scope !== refused);
    assert.deepEqual(token.scope.split(' ').sort(), expected.sort());
  },
);

for (const width of [1280, 320]) {
  inEachEnvironment(
    here,
    `U9 Deny weighs as much as Allow at ${width} px`,
    async ({ environment, visit }) => {
      const { page } = await visit({ viewport: { width, height: 900 } });
      await reachConsent(page, environment);
      const [allow, deny] = [await weight(page, 'Allow'), await weight(page, 'Deny')];
      assert.ok(allow.width > 40 && allow.height >= 24, 'the buttons can be hit');
      assert.deepEqual(deny, allow);
    },
  );
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 320]) {
    inEachEnvironment(
      here,
      `U15 pictures of sign-in and consent, ${colorScheme}, ${width} px wide`,
      async ({ environment, visit }) => {
        await mkdir(ARTIFACTS, { recursive: true });
        const { page } = await visit({ colorScheme, viewport: { width, height: 900 } });
        const picture = (name) =>
          page.screenshot({
            path: path.join(ARTIFACTS, `${environment.name}-${name}-${colorScheme}-${width}.png`),
            fullPage: true,
          });
        await page.goto(authorizeUrl(environment));
        await picture('sign-in');
        await reachConsent(page, environment);
        await picture('consent');
      },
    );
  }
}

/** The text of the section under this heading. */
function section(page, heading) {
  return page
    .locator('section', { has: page.getByRole('heading', { name: heading, exact: true }) })
    .innerText();
}

/** The code element that holds exactly this scope's name. */
function code(page, scope) {
  return page.locator('code', { hasText: new RegExp(`^${scope}$`) });
}

/** What makes a button weigh: its size, and how it is drawn. */
async function weight(page, name) {
  const { width, height } = await button(page, name).boundingBox();
  const drawn = await button(page, name).evaluate((element) => {
    const { color, backgroundColor, borderColor, fontSize, fontWeight } = getComputedStyle(element);
    return { color, backgroundColor, borderColor, fontSize, fontWeight };
  });
  return { width: Math.round(width), height: Math.round(height), ...drawn };
}
