// The Content-Security-Policy that is really sent: strict, and still the whole flow works.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { test } from 'node:test';
import { newVisitor } from './browser.js';
import { button, connect, everyPage, PAGES_WALKED, reachConsent } from './flow.js';
import { assertStrictHeaders, directives, isPage, origin } from './policy.js';
import { inEachEnvironment, useChromium } from './setup.js';

const here = useChromium();

inEachEnvironment(
  here,
  'U16 S7 every page is sent with a strict policy and breaks none of it, from home to the code',
  async ({ environment, visit }) => {
    const visitor = await visit();
    let walked = 0;
    for await (const name of everyPage(visitor.page, environment)) {
      walked += 1;
      assert.deepEqual(visitor.violations, [], name);
    }
    assert.equal(walked, PAGES_WALKED);

    const ours = new Set([environment.base_url, environment.redirect_uri].map(origin));
    for (const url of visitor.requests) {
      assert.ok(ours.has(origin(url)), `asked a third party: ${url}`);
    }
    const pages = visitor.documents.filter(isPage);
    assert.ok(pages.length >= PAGES_WALKED);
    for (const page of pages) assertStrictHeaders(page.url(), page.headers());
  },
);

inEachEnvironment(
  here,
  'U16 the consent page lets its form redirect to the app, and Allow arrives there',
  async ({ environment, visit }) => {
    const visitor = await visit();
    await reachConsent(visitor.page, environment);
    const consent = visitor.documents.filter(isPage).at(-1);
    const targets = directives(consent.headers())['form-action'].split(' ');
    assert.ok(targets.includes(origin(environment.redirect_uri)), targets.join(' '));
    // What follows Allow may go to us and to the app, and nowhere else.
    assert.deepEqual(
      targets.filter((target) => target !== "'self'" && target !== origin(environment.redirect_uri)),
      [],
    );

    const posted = visitor.page.waitForResponse(
      (response) => response.request().method() === 'POST',
    );
    await button(visitor.page, 'Allow').click();
    assert.equal((await posted).status(), 303);
    await visitor.page.waitForURL((url) => url.href.startsWith(environment.redirect_uri));
    assert.deepEqual(visitor.violations, []);
  },
);

inEachEnvironment(
  here,
  'S2 every form is answered by 303, so that no password is ever posted on',
  async ({ environment, visit }) => {
    const visitor = await visit();
    await connect(visitor.page, environment);
    const posts = visitor.documents.filter((answer) => answer.request().method() === 'POST');
    assert.equal(posts.length, 3, 'sign-in, businesses, consent');
    for (const post of posts) assert.equal(post.status(), 303, post.url());
  },
);

test('U16 the watch over violations sees a form that its policy forbids to redirect', async () => {
  const elsewhere = createServer((_request, response) => response.end('arrived'));
  const strict = createServer((request, response) => {
    if (request.method === 'POST') {
      const { port } = elsewhere.address();
      response.writeHead(303, { location: `http://127.0.0.1:${port}/` }).end();
      return;
    }
    response.setHeader('content-type', 'text/html');
    response.setHeader('content-security-policy', "default-src 'none'; form-action 'self'");
    response.end('<form method="post"><button>Allow</button></form><style>p{color:red}</style>');
  });
  for (const server of [elsewhere, strict]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const visitor = await newVisitor(here.chromium);
  try {
    await visitor.page.goto(`http://127.0.0.1:${strict.address().port}/`);
    const refused = visitor.context.waitForEvent('console', (message) =>
      message.text().includes('form-action'),
    );
    await button(visitor.page, 'Allow').click();
    await refused;
    assert.ok(visitor.violations.some((what) => what.includes('form-action')));
    assert.ok(visitor.violations.some((what) => what.includes('style-src')));
  } finally {
    await visitor.context.close();
    for (const server of [elsewhere, strict]) {
      server.closeAllConnections();
      server.close();
    }
  }
});
