// Everybody can use the pages: small windows, zoom, dark, high contrast, no script, no mouse.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axeViolations, focusAtWork, overflowing, tabTo } from './accessibility.js';
import { newVisitor } from './browser.js';
import { authorizeUrl, button, connect, everyPage, landed, PAGES_WALKED, signIn } from './flow.js';
import { inEachEnvironment, useChromium } from './setup.js';
import { assertTokenResponse, exchange } from './token.js';

const here = useChromium();

for (const colorScheme of ['light', 'dark']) {
  inEachEnvironment(
    here,
    `U15 axe finds no violation on any page, ${colorScheme}`,
    async ({ environment, visit }) => {
      const { page } = await visit({ colorScheme, bypassCSP: true });
      await assertOnEveryPage(page, environment, () => axeViolations(page));
    },
  );
}

for (const [what, options] of [
  ['320 px wide', { viewport: { width: 320, height: 640 } }],
  // A window of 1280 px leaves 640 CSS px at 200 %.
  ['at 200 % zoom', { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 }],
]) {
  inEachEnvironment(
    here,
    `U15 no page scrolls sideways ${what}, and axe finds no violation there`,
    async ({ environment, visit }) => {
      const { page } = await visit({ ...options, bypassCSP: true });
      await assertOnEveryPage(page, environment, async () => [
        ...(await overflowing(page)),
        ...(await axeViolations(page)),
      ]);
    },
  );
}

inEachEnvironment(
  here,
  'U15 every page of the docs passes axe, and none scrolls sideways, narrow and dark',
  async ({ environment, visit }) => {
    const { page } = await visit({
      colorScheme: 'dark',
      viewport: { width: 320, height: 640 },
      bypassCSP: true,
    });
    await page.goto(new URL('/docs/', environment.base_url).href);
    const links = await page
      .locator('nav.menu a')
      .evaluateAll((all) => [...new Set(all.map((link) => link.href))]);
    assert.ok(links.length > 1, 'the docs list their pages');
    const found = [];
    for (const link of links) {
      assert.equal((await page.goto(link)).status(), 200, link);
      for (const fault of [...(await overflowing(page)), ...(await axeViolations(page))]) {
        found.push(`${link}: ${fault}`);
      }
    }
    if (found.length > 0) assert.fail(found.join('\n'));
  },
);

inEachEnvironment(
  here,
  'U15 in forced colours every control keeps an edge and the focus keeps an outline',
  async ({ environment, visit }) => {
    const { page } = await visit({ forcedColors: 'active', bypassCSP: true });
    await assertOnEveryPage(page, environment, async () => [
      ...(await edgelessControls(page)),
      ...(await stubbornColours(page)),
      // axe reads the fill of text, which Chromium still reports as the page wrote it although it
      // paints the forced colour.
      ...(await axeViolations(page, { except: ['color-contrast'] })),
    ]);
    await page.goto(authorizeUrl(environment, { prompt: 'login' }));
    // Forced colours drop shadows, so only an outline can carry the focus here.
    for (const selector of ['input[name=email]', 'input[name=password]', 'button.button-main']) {
      await tabTo(page, selector);
      const outline = await page
        .locator(selector)
        .first()
        .evaluate((element) => getComputedStyle(element).outlineStyle);
      assert.notEqual(outline, 'none', selector);
    }
  },
);

inEachEnvironment(
  here,
  'U14 every page says that this is a development server, and of which environment',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await assertOnEveryPage(page, environment, async () => {
      const text = await page.locator('body').innerText();
      return [
        ...(/\bdevelopment server\b/i.test(text) ? [] : ['does not say that it is dev']),
        ...(new RegExp(environment.name, 'i').test(text) ? [] : ['does not say which environment']),
      ];
    });
    // The partner's page says so too when it gets an error in place of a code.
    await page.goto(authorizeUrl(environment, { response_type: 'token' }));
    assert.match(await page.locator('body').innerText(), /development server/i);
  },
);

inEachEnvironment(
  here,
  'U15 the whole flow works with JavaScript switched off, an error on the way included',
  async ({ environment, visit }) => {
    const { page } = await visit({ javaScriptEnabled: false });
    await page.goto(authorizeUrl(environment));
    await signIn(page, { ...environment.customer, password: 'not the password' });
    await page.getByRole('alert').waitFor();
    const { code } = await connect(page, environment);
    const answer = await exchange(environment, code);
    assertTokenResponse(await answer.text(), environment);
  },
);

inEachEnvironment(
  here,
  'U15 the whole flow works by keyboard alone, and the focus is always seen',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await page.goto(authorizeUrl(environment));
    await tabTo(page, 'input[name=email]');
    await page.keyboard.type(environment.customer.email);
    await tabTo(page, 'input[name=password]');
    await page.keyboard.type(environment.customer.password);
    await page.keyboard.press('Enter');

    await button(page, 'Continue').waitFor();
    const business = page.locator('input[name=business]').first();
    await tabTo(page, 'input[name=business]');
    await page.keyboard.press('Space');
    assert.ok(!(await business.isChecked()), 'Space unticks');
    await page.keyboard.press('Space');
    assert.ok(await business.isChecked(), 'Space ticks again');
    await tabTo(page, 'button:text-is("Continue")');
    await page.keyboard.press('Space');

    await button(page, 'Allow').waitFor();
    await tabTo(page, 'button[value=deny]');
    await page.keyboard.press('Shift+Tab');
    assert.equal(await page.evaluate(() => document.activeElement.value), 'allow');
    assert.ok((await focusAtWork(page)).visible);
    await page.keyboard.press('Enter');
    assert.ok((await landed(page, environment)).code);
  },
);

inEachEnvironment(
  here,
  'U15 Enter on a scope of the consent page decides nothing',
  async ({ environment, visit }) => {
    const visitor = await visit();
    const { page } = visitor;
    await page.goto(authorizeUrl(environment));
    await signIn(page, environment.customer);
    await button(page, 'Continue').click();
    await button(page, 'Allow').waitFor();
    const answers = visitor.documents.length;
    await tabTo(page, 'input[name=scope]');
    await page.keyboard.press('Enter');
    // A submission would have begun before the next key is handled, and the page would be gone.
    await page.keyboard.press('Space');
    assert.ok(!(await page.locator('input[name=scope]').first().isChecked()));
    assert.equal(visitor.documents.length, answers);
  },
);

inEachEnvironment(
  here,
  'U15 the sign-in fields tell the browser what they are, and what is pasted stays',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await page.goto(authorizeUrl(environment));
    const [email, password] = [page.locator('#email'), page.locator('#password')];
    assert.equal(await email.getAttribute('autocomplete'), 'username');
    assert.equal(await email.getAttribute('type'), 'email');
    assert.equal(await password.getAttribute('autocomplete'), 'current-password');
    assert.equal(await password.getAttribute('type'), 'password');
    await page.getByLabel('Email', { exact: true }).waitFor();
    await page.getByLabel('Password', { exact: true }).waitFor();

    const long = 'p'.repeat(128);
    await password.focus();
    await page.keyboard.insertText(long);
    assert.equal(await password.inputValue(), long);
  },
);

inEachEnvironment(
  here,
  'U15 an error of sign-in is tied to its fields, announced, and keeps the email',
  async ({ environment, visit }) => {
    const { page } = await visit();
    await page.goto(authorizeUrl(environment));
    assert.equal(await page.getByRole('alert').count(), 0);
    await signIn(page, { ...environment.customer, password: 'not the password' });
    const alert = page.getByRole('alert');
    const sentence = (await alert.innerText()).trim();
    assert.notEqual(sentence, '');
    for (const name of ['email', 'password']) {
      const field = page.locator(`input[name=${name}]`);
      assert.equal(await field.getAttribute('aria-invalid'), 'true');
      const describedBy = await field.getAttribute('aria-describedby');
      assert.equal((await page.locator(`#${describedBy}`).innerText()).trim(), sentence);
    }
    // An alert that is there when a page loads is not always read; the title and the focus are.
    assert.match(await page.title(), /^Error: /);
    assert.ok(await alert.evaluate((element) => element.contains(document.activeElement)));
    assert.equal(await page.locator('input[name=email]').inputValue(), environment.customer.email);
    assert.equal(await page.locator('input[name=password]').inputValue(), '');
  },
);

inEachEnvironment(
  here,
  'U15 every page has a language and a title of its own, and an unknown ui_locales falls back',
  async ({ environment, visit }) => {
    const { page } = await visit();
    const titles = new Set();
    for await (const name of everyPage(page, environment)) {
      assert.equal(await page.locator('html').getAttribute('lang'), 'en', name);
      titles.add(await page.title());
    }
    assert.equal(titles.size, PAGES_WALKED, [...titles].join('\n'));

    const answer = await page.goto(
      authorizeUrl(environment, { prompt: 'login', ui_locales: 'tlh x-nowhere' }),
    );
    assert.equal(answer.status(), 200);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    await button(page, 'Sign in').waitFor();
  },
);

test('U15 the measures see what is wrong with a bad page', async () => {
  const { context, page } = await newVisitor(here.chromium, { viewport: { width: 320, height: 640 } });
  try {
    await page.setContent(`<!doctype html><html><head><title>Bad</title></head><body>
      <style>:focus { outline: none } .faint { color: #999; background: #aaa }</style>
      <main><h1>Bad</h1><img src="x.png"><p class="faint">faint</p>
      <p><input id="unlabelled"></p><div style="width:900px">wide</div></main></body></html>`);
    const found = (await axeViolations(page)).join('\n');
    for (const rule of ['html-has-lang', 'image-alt', 'color-contrast', 'label']) {
      assert.ok(found.includes(`${rule} at`), `${rule} not in:\n${found}`);
    }
    assert.ok((await overflowing(page)).length > 1);
    await assert.rejects(tabTo(page, '#unlabelled'), /cannot be seen/);
  } finally {
    await context.close();
  }
});

/** Collects what `faults` finds on every page, and asserts that it is nothing. */
async function assertOnEveryPage(page, environment, faults) {
  const found = [];
  let walked = 0;
  for await (const name of everyPage(page, environment)) {
    walked += 1;
    for (const fault of await faults()) found.push(`${name}: ${fault}`);
  }
  if (found.length > 0) assert.fail(found.join('\n'));
  assert.equal(walked, PAGES_WALKED);
}

/** The controls without a border, whose edge would vanish with their background. */
function edgelessControls(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll('button, .button, input:not([type=hidden])')]
      .filter((element) => element.checkVisibility())
      .filter((element) => {
        const { borderTopStyle, borderTopWidth, appearance } = getComputedStyle(element);
        const bordered = borderTopStyle !== 'none' && parseFloat(borderTopWidth) > 0;
        // A native checkbox is drawn by the browser, edge and tick, and has no border of its own.
        return !bordered && !(element.type === 'checkbox' && appearance !== 'none');
      })
      .map((element) => `no edge: ${element.outerHTML.slice(0, 100)}`),
  );
}

/** The elements that keep their own colours where a person has chosen others. */
function stubbornColours(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll('body *')]
      .filter((element) => getComputedStyle(element).forcedColorAdjust === 'none')
      .map((element) => `keeps its colours: ${element.outerHTML.slice(0, 100)}`),
  );
}
