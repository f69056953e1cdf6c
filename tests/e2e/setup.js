// What a test begins with: a Chromium for its file, and a server and browser contexts of its own.

import { after, before, test } from 'node:test';
import { launchChromium, newVisitor } from './browser.js';
import { startGrantor } from './server.js';

const TEST_LIMIT_MS = 180_000;

/** Starts Chromium before the file's tests and ends it after them. */
export function useChromium() {
  const here = {};
  before(async () => {
    here.chromium = await launchChromium();
  });
  after(() => here.chromium?.close());
  return here;
}

/**
 * One test with a server on new data. Its body gets the server, and `visit`, which opens a browser
 * context with one page.
 */
export function onDev(here, title, body, options = {}) {
  test(title, { timeout: TEST_LIMIT_MS, ...options }, async () => {
    const server = await startGrantor();
    const contexts = [];
    const visit = async (options) => {
      const visitor = await newVisitor(here.chromium, options);
      contexts.push(visitor.context);
      return visitor;
    };
    try {
      await body({ server, visit });
    } finally {
      for (const context of contexts) await context.close();
      await server.stop();
    }
  });
}

/**
 * One test in staging and one in production. Each has a server on new data, because a consent
 * that an earlier test gave would silence the pages of the next. Its body gets the environment
 * beside what `onDev` gives.
 */
export function inEachEnvironment(here, title, body) {
  for (const name of ['staging', 'production']) {
    onDev(here, `${title} (${name})`, ({ server, visit }) =>
      body({ environment: server[name], server, visit }),
    );
  }
}
