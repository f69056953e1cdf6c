// What the headers of a page must be: a strict policy, no cache, no referrer.

import assert from 'node:assert/strict';

export function origin(url) {
  return new URL(url).origin;
}

export function isPage(response) {
  return (response.headers()['content-type'] ?? '').startsWith('text/html');
}

export function directives(headers) {
  const policy = headers['content-security-policy'] ?? '';
  return Object.fromEntries(
    policy
      .split(';')
      .map((directive) => directive.trim())
      .filter(Boolean)
      .map((directive) => {
        const [name, ...sources] = directive.split(/\s+/);
        return [name, sources.join(' ')];
      }),
  );
}

export function assertStrictHeaders(url, headers) {
  const policy = directives(headers);
  assert.equal(policy['default-src'], "'none'", url);
  assert.equal(policy['frame-ancestors'], "'none'", url);
  assert.equal(policy['base-uri'], "'none'", url);
  assert.ok('form-action' in policy, `${url}: default-src does not cover form-action`);
  const sources = Object.values(policy).join(' ');
  assert.doesNotMatch(sources, /unsafe-|\*|data:|(^| )https?:( |$)/, url);
  assert.equal(headers['referrer-policy'], 'no-referrer', url);
  assert.equal(headers['x-content-type-options'], 'nosniff', url);
  assert.match(headers['cache-control'], /no-store/, url);
  assert.equal(headers['access-control-allow-origin'], undefined, url);
}
