// A receiver for Node.js 18 or newer, without dependencies. It keeps its
// accounts in a JSON file; put your database there. Try it with
//
//     RESET_WEBHOOK_SECRET=whsec_… PORT=3000 node receiver.mjs

import { createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

const rounds = 600_000; // of PBKDF2; use what your login uses
const file = process.env.RECEIVER_DATA ?? 'accounts.json';
const secrets = (process.env.RESET_WEBHOOK_SECRET ?? '') // during a rotation the new and the old one
  .split(' ').filter(Boolean)
  .map((s) => Buffer.from(s.replace(/^whsec_/, ''), 'base64'));
if (secrets.length === 0 || secrets.some((s) => s.length < 24)) {
  console.error('RESET_WEBHOOK_SECRET is not whsec_ and base64 of at least 24 bytes');
  process.exit(1);
}

// Are the signature over the raw body and the age right?
function signed(headers, body) {
  const id = headers['webhook-id'] ?? '';
  const timestamp = headers['webhook-timestamp'] ?? '';
  if (id === '' || !/^[0-9]{1,12}$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) {
    return false;
  }
  return secrets.some((secret) => {
    const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body).digest('base64');
    const expected = Buffer.from(`v1,${mac}`);
    return (headers['webhook-signature'] ?? '').split(' ').some((text) => {
      const signature = Buffer.from(text);
      return signature.length === expected.length && timingSafeEqual(signature, expected); // in constant time
    });
  });
}

const read = () => JSON.parse(fs.readFileSync(file, 'utf8'));

// Replaces the file as a whole, and returns when the disk has it.
function write(accounts) {
  fs.writeFileSync(`${file}.new`, JSON.stringify(accounts, null, 2), { mode: 0o600 });
  sync(`${file}.new`);
  fs.renameSync(`${file}.new`, file);
  sync(path.dirname(file));
}

function sync(name) {
  const fd = fs.openSync(name, 'r');
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

// Folds ASCII letters only: with Unicode's folding, one person's login can
// match another's.
const lower = (s) => s.replace(/[A-Z]/g, (c) => c.toLowerCase());

function lookup(id, data) {
  const login = lower(data.login);
  const accounts = read()
    .filter((a) => lower(a.login) === login || lower(a.email) === login)
    .slice(0, 5)
    .map(({ id, login, email, name, locale }) => ({ id, login, email, name, locale }));
  return [200, { accounts }];
}

// Nothing in here waits, so it is one transaction. With a database, it is
// BEGIN, SELECT … FOR UPDATE, UPDATE, COMMIT.
function change(id, data) {
  const accounts = read();
  const account = accounts.find((a) => a.id === data.account.id);
  const password = data.password.value;
  if (!account) return [410];
  if (account.reset_id === id) return [204]; // applied before, but the answer was lost
  if (data.sequence < (account.reset_sequence ?? 0)) return [409]; // a newer change was applied
  if (data.password.format !== 'plain') return [400];
  if (lower(password).includes(lower(account.login))) { // the app's own rules
    return [422, { detail: 'The password must not contain your user name.' }];
  }
  const salt = randomBytes(16);
  const key = pbkdf2Sync(password, salt, rounds, 32, 'sha256');
  account.password_hash = `pbkdf2-sha256$${rounds}$${salt.toString('hex')}$${key.toString('hex')}`;
  account.reset_id = id;
  account.reset_sequence = data.sequence;
  account.sessions = []; // whoever was logged in with the old password is no longer
  write(accounts);
  console.error(`password changed: account ${account.id}, id ${id}`);
  return [204];
}

const hooks = {
  '/hooks/lookup': ['account.lookup', lookup],
  '/hooks/password-changed': ['password.changed', change],
};

async function handle(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > 20_000) return [413];
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (request.method !== 'POST' || !Object.hasOwn(hooks, request.url)) return [404];
  if (!signed(request.headers, body)) return [401];
  const message = JSON.parse(body);
  const [type, hook] = hooks[request.url];
  if (message.type === 'ping') return [204]; // somebody checks the set-up
  return message.type === type ? hook(request.headers['webhook-id'], message.data) : [400];
}

if (!fs.existsSync(file)) {
  write([{ id: '42', login: 'alice', email: 'alice@example.com', name: 'Alice', locale: 'en' }]);
}

const server = createServer((request, response) => {
  handle(request)
    .catch((error) => {
      console.error(error);
      return [500]; // the sender tries again
    })
    .then(([status, json]) => {
      if (json) response.setHeader('Content-Type', status === 422 ? 'application/problem+json' : 'application/json');
      response.writeHead(status).end(json && JSON.stringify(json));
    });
});
server.requestTimeout = 10_000;
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
