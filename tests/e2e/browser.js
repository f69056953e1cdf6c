// Chromium, and visitors: a browser context with one page, watched for what a page must not do.

import { chromium } from 'playwright-core';

const WAIT_LIMIT_MS = 15_000;

export function launchChromium() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      '--headless',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Chromium's sandbox refuses to run as root, and only there is it given up.
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ],
  });
}

/**
 * A person at a browser of their own. `options` are those of Playwright's `newContext`.
 *
 * - `violations`: every breach of a Content-Security-Policy that Chromium reported. It stays
 *   silent about some in events and about others in the console, so both are listened to.
 * - `requests`: the URL of everything that the browser asked for.
 * - `documents`: every answer that was a page or a redirect.
 */
export async function newVisitor(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(WAIT_LIMIT_MS);
  const visitor = { context, violations: [], requests: [], documents: [] };

  await context.exposeBinding('reportViolation', (_source, what) => visitor.violations.push(what));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.effectiveDirective}: ${event.blockedURI}`);
    });
  });
  context.on('console', (message) => {
    if (/content security policy/i.test(message.text())) visitor.violations.push(message.text());
  });
  context.on('request', (request) => visitor.requests.push(request.url()));
  context.on('response', (response) => {
    if (response.request().isNavigationRequest()) visitor.documents.push(response);
  });

  visitor.page = await context.newPage();
  return visitor;
}
