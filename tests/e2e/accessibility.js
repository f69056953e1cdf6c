// What is measured on a page: axe's rules, what overflows, and whether focus can be seen.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const TAB_LIMIT = 40;

/**
 * The violations that axe finds, one line each; `except` names rules that are left out. The page's
 * context must have `bypassCSP`, because our policy rightly refuses the script.
 */
export async function axeViolations(page, { except = [] } = {}) {
  await page.addScriptTag({ content: axeSource });
  const { violations, passes } = await page.evaluate((options) => window.axe.run(document, options), {
    runOnly: { type: 'tag', values: RULES },
    rules: Object.fromEntries(except.map((rule) => [rule, { enabled: false }])),
  });
  assert.ok(passes.length > 10, `axe looked at the page: ${passes.length} rules passed`);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`),
  );
}

/** The elements that reach out of the window to the right, where the page can be scrolled there. */
export function overflowing(page) {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const outside = [...document.querySelectorAll('body *')].filter(
      (element) => element.getBoundingClientRect().right > clientWidth + 0.5,
    );
    return [
      `${scrollWidth} px in a window of ${clientWidth}`,
      ...outside.map(({ tagName, className }) => `${tagName.toLowerCase()}.${className}`),
    ];
  });
}

/**
 * Presses Tab until `selector` has the focus, and asserts at every stop that the focus is seen:
 * the element, or the label around it, is drawn otherwise than at rest.
 */
export async function tabTo(page, selector) {
  const target = page.locator(selector).first();
  for (let presses = 0; presses < TAB_LIMIT; presses += 1) {
    await page.keyboard.press('Tab');
    const stop = await focusAtWork(page);
    if (stop) assert.ok(stop.visible, `the focus on ${stop.what} cannot be seen`);
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  assert.fail(`Tab never reached ${selector}`);
}

/** The element in focus and whether that can be seen; null where the browser's own bar has it. */
export function focusAtWork(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const drawn = () =>
      [element, element.closest('label')]
        .filter(Boolean)
        .map((each) => {
          const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(each);
          const outline = outlineStyle === 'none' ? 'none' : `${outlineStyle} ${outlineWidth}`;
          return `${outline} ${boxShadow}`;
        })
        .join(' / ');
    const focused = drawn();
    element.blur();
    const resting = drawn();
    // A focus that follows a key press shows itself again, like the one that was taken away.
    element.focus({ preventScroll: true });
    return { what: element.outerHTML.slice(0, 120), visible: focused !== resting };
  });
}
