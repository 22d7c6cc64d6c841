// What the tests and a provider say to each other: one JSON object a line, each command with one answer. TLS and ports.
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:https';

const [certificate, key, authority] = process.argv.slice(2).map((path) => readFileSync(path));

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

// Serves whatever `current` returns on a free port; gives the issuer.
export function serve(current) {
  const server = createServer({ cert: certificate, key }, (req, res) => current()(req, res));
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`https://localhost:${server.address().port}`));
  });
}

// A form sent to the provider's own endpoint, over TLS, as a client does it.
export function post(url, form) {
  const body = new URLSearchParams(form).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', ca: authority, headers, family: 4 }, (res) => {
      let text = '';
      res.on('data', (chunk) => { text += chunk; });
      res.on('end', () => (res.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`${res.statusCode} ${text}`))));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

// Tells the issuer, then answers commands until the tests hang up.
export function obey(issuer, commands) {
  say({ issuer });
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { command, ...options } = JSON.parse(line);
    try {
      say(await commands[command](options));
    } catch (error) {
      say({ error: String(error) });
    }
  });
  lines.on('close', () => process.exit(0));
}
