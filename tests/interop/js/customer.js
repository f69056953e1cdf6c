// The customer's part: walks the pages as a browser without scripts would, with cookies and forms.

import assert from 'node:assert/strict';
import { environment } from './program.js';

const PAGES_LIMIT = 20;

/** A person at a browser of their own. */
export class Customer {
  #cookies = new Map();
  /** The steps of the forms that were sent, in their order. */
  pages = [];

  /**
   * Opens an address and does what is asked, until a redirect leaves for `target` or a page has no
   * form. Returns the address where it ended; where a form goes to `target`, the request that the
   * browser would send.
   */
  async walk(address, target, answers = {}) {
    let request = { url: new URL(address), method: 'GET' };
    for (let page = 0; page < PAGES_LIMIT; page += 1) {
      const response = await this.#send(request);
      const location = response.headers.get('location');
      if (location) {
        const next = new URL(location, request.url);
        if (target && next.href.startsWith(target)) return next;
        request = { url: next, method: 'GET' };
        continue;
      }
      const text = await response.text();
      assert.equal(response.status, 200, `${request.url}\n${text}`);
      const form = readForm(text);
      if (!form) {
        assert.ok(!target, `no form and no redirect at ${request.url}\n${text}`);
        return request.url;
      }
      request = this.#answer(form, request.url, answers);
      if (target && request.url.href.startsWith(target)) return new Request(request.url, request);
    }
    throw new Error(`still on ${request.url} after ${PAGES_LIMIT} pages`);
  }

  /** Signs in, keeps every business, and allows. Returns what ends it: a redirect, or a form. */
  async allow(authorizationUrl, target) {
    const landed = await this.walk(authorizationUrl, target);
    const answer = landed instanceof URL ? landed.search : await landed.clone().text();
    assert.match(answer, /\bcode=/, `no code: ${answer}`);
    return landed;
  }

  #answer({ action, fields, buttons }, page, answers) {
    const body = new URLSearchParams();
    const { email, password } = environment.customer;
    const known = { email, password, ...answers };
    for (const { name, value } of fields) body.append(name, known[name] ?? value);
    const { decision = 'allow' } = answers;
    const pressed = buttons.find(({ value }) => value === decision);
    if (pressed) body.append(pressed.name, pressed.value);
    if (body.has('step')) this.pages.push(body.get('step'));
    return { url: new URL(action, page), method: 'POST', body };
  }

  async #send({ url, method, body }) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = cookie ? { cookie } : {};
    const response = await fetch(url, { method, body, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (/;\s*max-age=0/i.test(line)) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }
}

// Our own pages have one form at most, with attributes in double quotes.
function readForm(html) {
  const [form] = html.match(/<form\b[^]*?<\/form>/) ?? [];
  if (!form) return undefined;
  const attributes = (tag) =>
    Object.fromEntries(
      [...tag.matchAll(/\s([a-z-]+)(?:="([^"]*)")?/g)].map(([, name, value]) => [
        name,
        unescape(value ?? ''),
      ]),
    );
  const tags = (name) => (form.match(new RegExp(`<${name}\\b[^>]*>`, 'g')) ?? []).map(attributes);
  return {
    action: tags('form')[0].action,
    fields: tags('input')
      .filter((input) => input.name && (input.type !== 'checkbox' || 'checked' in input))
      .map(({ name, value }) => ({ name, value: value ?? '' })),
    buttons: tags('button').filter(({ name }) => name),
  };
}

const unescape = (text) =>
  text
    .replace(/&#x([0-9a-f]+);/gi, (_, hex) => String.fromCodePoint(Number.parseInt(hex, 16)))
    .replace(/&#([0-9]+);/g, (_, number) => String.fromCodePoint(Number(number)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
