// Everybody can use the portal: small windows, dark, high contrast, no script, no mouse.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { axeViolations, focusAtWork, overflowing, tabTo } from './accessibility.js';
import { button } from './flow.js';
import { assertStrictHeaders, isPage, origin } from './policy.js';
import { everyPortalPage, PORTAL_PAGES_WALKED } from './portal_pages.js';
import { fillAccount, makeApp, PARTNER, portal, signUp } from './portal.js';
import { onDev, useChromium } from './setup.js';

const here = useChromium();
const ARTIFACTS = path.join(import.meta.dirname, 'artifacts');
const NARROW = { width: 320, height: 640 };

for (const [what, options] of [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['320 px wide', { viewport: NARROW }],
  ['320 px wide and dark', { viewport: NARROW, colorScheme: 'dark' }],
  // A window of 1280 px leaves 640 CSS px at 200 %.
  ['at 200 % zoom', { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 }],
]) {
  onDev(
    here,
    `U15 axe finds no violation on any page of the portal, and none scrolls sideways, ${what}`,
    async ({ server, visit }) => {
      await mkdir(ARTIFACTS, { recursive: true });
      const open = () => visit({ ...options, bypassCSP: true });
      await assertOnEveryPage(server, open, async (page, name) => {
        const file = `portal-${what}-${name}.png`.replaceAll(/[^a-z0-9.-]+/g, '-');
        await page.screenshot({ path: path.join(ARTIFACTS, file), fullPage: true });
        return [...(await overflowing(page)), ...(await axeViolations(page))];
      });
    },
  );
}

onDev(
  here,
  'U15 in forced colours every control of the portal keeps an edge',
  async ({ server, visit }) => {
    const open = () => visit({ forcedColors: 'active' });
    await assertOnEveryPage(server, open, (page) => edgeless(page));
  },
);

onDev(
  here,
  'U15 U16 S7 every page of the portal has a title and a strict policy, breaks none of it, and says that it is dev',
  async ({ server, visit }) => {
    const visitors = [];
    const open = async () => {
      const visitor = await visit();
      visitors.push(visitor);
      return visitor;
    };
    const titles = new Map();
    await assertOnEveryPage(server, open, async (page, name) => {
      const title = await page.title();
      titles.set(title, [...(titles.get(title) ?? []), name]);
      const lang = await page.locator('html').getAttribute('lang');
      const headings = await page.locator('h1').count();
      const text = await page.locator('body').innerText();
      return [
        ...(lang === 'en' ? [] : [`lang ${lang}`]),
        ...(headings === 1 ? [] : [`${headings} first headings`]),
        ...(/\bdevelopment server\b/i.test(text) ? [] : ['does not say that it is dev']),
      ];
    });
    for (const [title, names] of titles) {
      // What follows a comma is another state of the same page, or another reader.
      const pages = new Set(names.map((name) => name.split(',')[0]));
      assert.ok(pages.size === 1, `${title}: ${names.join(', ')}`);
    }
    const ours = origin(portal(server));
    for (const { violations, requests, documents } of visitors) {
      assert.deepEqual(violations, []);
      for (const url of requests) assert.equal(origin(url), ours, `asked a third party: ${url}`);
      for (const each of documents.filter(isPage)) assertStrictHeaders(each.url(), each.headers());
    }
  },
);

onDev(
  here,
  'U15 signing up, making an app and asking for production work with JavaScript switched off',
  async ({ server, visit }) => {
    const { page } = await visit({ javaScriptEnabled: false });
    await signUp(page, server);
    const app = await makeApp(page, server, { name: 'Still', redirectUri: 'https://a.example/' });
    assert.ok(app.client_secret.length > 20);
    await page.goto(portal(server, `/apps/${app.client_id}/request`));
    await page.getByLabel('What the app does for our customers').fill('It stands still.');
    await page.locator('#reason_orders-api').fill('For orders.');
    await button(page, 'Send to the manager').click();
    await page.getByRole('heading', { name: 'What changes' }).waitFor();
  },
);

onDev(
  here,
  'U15 an app is made by keyboard alone, and the focus is always seen; faults are announced',
  async ({ server, visit }) => {
    const { page } = await visit();
    await page.goto(portal(server, '/sign-up'));
    await tabTo(page, '#email');
    await page.keyboard.type(PARTNER.email);
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'Open the mailbox of dev' }).waitFor();
    await tabTo(page, 'a[href="/mailbox"]');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /Mailbox/ }).waitFor();
    await tabTo(page, 'a[href*="/sign-up/"]');
    await page.keyboard.press('Enter');
    await page.getByLabel('Your name').waitFor();
    await fillAccount(page, PARTNER);
    await page.getByRole('heading', { name: 'Your account is made' }).waitFor();
    await tabTo(page, 'a[href="/sign-in"]');
    await page.keyboard.press('Enter');
    await page.locator('#email').waitFor();
    await tabTo(page, '#email');
    await page.keyboard.type(PARTNER.email);
    await tabTo(page, '#password');
    await page.keyboard.type(PARTNER.password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Apps', level: 1 }).waitFor();

    await tabTo(page, 'a[href="/apps/new"]');
    await page.keyboard.press('Enter');
    await page.locator('#name').waitFor();
    await tabTo(page, '#name');
    await page.keyboard.type('By keyboard');
    await page.keyboard.press('Enter');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await page.title(), /^Error: /);
    assert.ok(await alert.evaluate((element) => element.contains(document.activeElement)));
    const field = page.locator('#redirect_uris');
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    assert.match(await field.getAttribute('aria-describedby'), /redirect_uris-fault/);
    assert.equal(await page.locator('#name').inputValue(), 'By keyboard');

    await tabTo(page, '#redirect_uris');
    await page.keyboard.type('https://a.example/');
    await tabTo(page, 'button:text-is("Make the app")');
    await page.keyboard.press('Enter');
    await page.getByRole('status').waitFor();
  },
);

onDev(
  here,
  'U15 Tab reaches every control of every page of the portal, and where the focus is can be seen',
  async ({ server, visit }) => {
    await assertOnEveryPage(server, () => visit(), (page) => outOfReach(page));
  },
);

/** What the keyboard does not come to, and where it is and nobody sees it. */
async function outOfReach(page) {
  const controls = await page.evaluate(() => {
    const all = 'a[href], button, input, textarea, select, summary';
    // A name that is there for the browser's keeper of passwords is nobody's to type.
    const forNobody = (element) => element.matches('.unseen[autocomplete=username]');
    const shown = [...document.querySelectorAll(all)]
      .filter((element) => element.type !== 'hidden' && !element.disabled)
      .filter((element) => element.checkVisibility() && !forNobody(element));
    // Of the choices of one question Tab comes to one, and the arrows to the others.
    const choices = (radio) =>
      shown.filter((other) => other.type === 'radio' && other.name === radio.name);
    const stop = (radio) => choices(radio).find((each) => each.checked) ?? choices(radio)[0];
    const wanted = shown.filter((element) => element.type !== 'radio' || stop(element) === element);
    wanted.forEach((element, at) => element.setAttribute('data-control', at));
    return wanted.map((element) => element.outerHTML.slice(0, 100));
  });
  const [reached, faults] = [new Set(), []];
  for (let presses = 0; presses < 2 * controls.length + 20; presses += 1) {
    if (reached.size === controls.length) break;
    await page.keyboard.press('Tab');
    const stop = await focusAtWork(page);
    if (stop && !stop.visible) faults.push(`the focus on ${stop.what} cannot be seen`);
    const at = await page.evaluate(() => document.activeElement?.getAttribute('data-control'));
    if (at !== null && at !== undefined) reached.add(Number(at));
  }
  const missed = controls.filter((_, at) => !reached.has(at));
  return [...new Set(faults), ...missed.map((control) => `Tab never reached ${control}`)];
}

/** Collects what `faults` finds on every page, and asserts that it is nothing. */
async function assertOnEveryPage(server, open, faults) {
  const found = [];
  let walked = 0;
  for await (const { name, page } of everyPortalPage(server, open)) {
    walked += 1;
    for (const fault of await faults(page, name)) found.push(`${name}: ${fault}`);
  }
  if (found.length > 0) assert.fail(found.join('\n'));
  assert.equal(walked, PORTAL_PAGES_WALKED);
}

/** The controls without a border, whose edge would vanish with their background. */
function edgeless(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll('main button, main .button, main input, main textarea')]
      .filter((element) => element.type !== 'hidden' && element.checkVisibility())
      .filter((element) => !element.classList.contains('unseen'))
      .filter((element) => {
        const style = getComputedStyle(element);
        const { borderTopStyle, borderTopWidth, appearance, textDecorationLine } = style;
        const bordered = borderTopStyle !== 'none' && parseFloat(borderTopWidth) > 0;
        const drawn = ['checkbox', 'radio'].includes(element.type) && appearance !== 'none';
        // What looks like a link is known by the line below it.
        const lined = textDecorationLine.includes('underline');
        return !bordered && !drawn && !lined;
      })
      .map((element) => `no edge: ${element.outerHTML.slice(0, 100)}`),
  );
}
