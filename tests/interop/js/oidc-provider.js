// oidc-provider: the other way round. Its server is another's, and the client is `grantor connect` with
// the commands beside it. A refresh token is used once there, and one that comes again ends everything.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import Provider from 'oidc-provider';
import { Customer } from './customer.js';
import { done, step } from './program.js';

const PROCESSES = 16;
// A secret with all that form-encoding changes (RFC 6749 2.3.1).
const CLIENT = { id: 'another client', secret: 'p+q:r/s%t and more, of 32 bytes' };

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;
const isRefresh = (ctx) => ctx.oidc.params.grant_type === 'refresh_token';
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback', 'https://mycompany.com/redirection/ikentoo'],
      grant_types: ['authorization_code', 'refresh_token'],
    },
  ],
  features: { revocation: { enabled: true } },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  // The first token ends at once, the next ones do not.
  ttl: { AccessToken: (ctx) => (isRefresh(ctx) ? 3600 : 1) },
});
let refreshes = 0;
provider.on('grant.success', (ctx) => (refreshes += Number(isRefresh(ctx))));
let toLose = 0;
provider.use(async (ctx, next) => {
  await next();
  if (ctx.path === '/token' && toLose > 0) {
    toLose -= 1;
    ctx.req.socket.destroy();
  }
});
server.on('request', provider.callback());

const folder = await mkdtemp(path.join(tmpdir(), 'grantor-interop-'));
const env = {
  ...process.env,
  GRANTOR_CONNECTIONS: folder,
  GRANTOR_CLIENT_SECRET: CLIENT.secret,
  // No keyring of whoever runs this.
  DBUS_SESSION_BUS_ADDRESS: '',
};

/** Starts a command; its end is awaited as `{ code, stdout, stderr }`. */
function grantor(...args) {
  const child = spawn(process.env.GRANTOR, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (said[name] += text));
  }
  const ended = once(child, 'close').then(([code]) => ({ code, ...said }));
  return { child, ended };
}

async function run(...args) {
  const { child, ended } = grantor(...args);
  child.stdin.end();
  return ended;
}

async function line(...args) {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, stderr);
  return stdout.trimEnd();
}

/** From the command to its end; the customer signs in on the pages of oidc-provider. */
async function connect(redirectUri, finish, ...more) {
  const { child, ended } = grantor(
    'connect', '--no-browser', '--server', issuer, '--client-id', CLIENT.id,
    '--redirect-uri', redirectUri, '--scope', 'openid', '--name', 'theirs', ...more,
  );
  let url;
  for await (const said of createInterface({ input: child.stderr })) {
    url = said;
    if (url.startsWith('http')) break;
  }
  const target = redirectUri.startsWith('https') ? redirectUri : 'http://127.0.0.1:';
  const own = new URL(url).searchParams.get('redirect_uri');
  const landed = await new Customer().walk(url, own ?? target, { login: 'robin', password: 'robin' });
  await finish(landed, child);
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

try {
  const first = await step('discovery, a code with PKCE and iss over loopback, exchanged', async () => {
    const tokens = await connect('http://127.0.0.1/callback', async (landed) => {
      assert.equal(landed.searchParams.get('iss'), issuer);
      const page = await fetch(landed);
      assert.equal(page.status, 200, await page.text());
    });
    assert.equal(tokens.scope, 'openid');
    return tokens;
  });

  const second = await step(`${PROCESSES} processes at the moment of expiry: one refresh`, async () => {
    await setTimeout(1500);
    const processes = Array.from({ length: PROCESSES }, () => line('token', 'theirs'));
    const tokens = new Set(await Promise.all(processes));
    assert.equal(refreshes, 1);
    assert.equal(tokens.size, 1);
    assert.ok(!tokens.has(first.access_token));
    return [...tokens][0];
  });

  await step('the API of theirs takes the token', async () => {
    const userinfo = JSON.parse(await line('api', 'GET', '/me'));
    assert.equal(userinfo.sub, 'robin');
  });

  await step('the next refresh uses the next refresh token', async () => {
    const third = await line('token', '--valid-for', '86400');
    assert.notEqual(third, second);
    assert.equal(refreshes, 2);
  });

  await step('an answer that is lost ends the connection here, and that is said', async () => {
    toLose = 1;
    const { code, stdout, stderr } = await run('token', '--valid-for', '86400');
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr, /the answer to a refresh was lost/);
    assert.match(stderr, /connect again/);
  });

  await step('a redirect URI elsewhere, pasted', async () => {
    const elsewhere = 'https://mycompany.com/redirection/ikentoo';
    await connect(elsewhere, async (landed, child) => child.stdin.end(`${landed.href}\n`));
    assert.match(await line('token'), /./);
  });

  await step('logout gives the refresh token back, and the API refuses', async () => {
    const token = await line('token');
    await line('logout', 'theirs');
    const answer = await fetch(new URL('/me', issuer), { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 401);
    assert.equal((await run('token', 'theirs')).code, 1);
  });

  await step('a wrong secret is named', async () => {
    env.GRANTOR_CLIENT_SECRET = 'not the secret';
    await assert.rejects(
      connect('http://127.0.0.1/callback', async (landed) => fetch(landed)),
      /the client secret is wrong/,
    );
  });
} finally {
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true });
}

done();
