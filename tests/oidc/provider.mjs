// oidc-provider, with one key of each algorithm. `restart` is what a restart with new keys is to those who ask: nothing else is left.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';
import { obey, post, serve } from './control.mjs';

let handler = (req, res) => { res.writeHead(503).end(); };
const issuer = await serve(() => handler);

function keys() {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: generateKeyPairSync('ed25519'),
  };
  return Object.entries(pairs).map(([alg, pair]) => (
    { ...pair.privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() }
  ));
}

function start() {
  const client = (alg) => ({
    client_id: `agent-${alg}`,
    client_secret: 'not-a-secret-of-anybody',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  });
  const provider = new Provider(issuer, {
    clients: ['RS256', 'ES256', 'EdDSA'].map(client),
    jwks: { keys: keys() },
    scopes: ['read'],
    extraTokenClaims: () => ({ groups: ['agents'] }),
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource, { clientId }) => ({
          scope: 'read',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: clientId.slice('agent-'.length) } },
        }),
      },
    },
  });
  provider.on('server_error', (ctx, error) => process.stderr.write(`${error.stack}\n`));
  handler = provider.callback();
}

start();
obey(issuer, {
  // An access token for the gateway (RFC 9068); without `resource` it is opaque.
  token: async ({ algorithm, resource }) => {
    const form = {
      grant_type: 'client_credentials',
      client_id: `agent-${algorithm}`,
      client_secret: 'not-a-secret-of-anybody',
      ...(resource ? { resource, scope: 'read' } : {}),
    };
    return { token: (await post(`${issuer}/token`, form)).access_token };
  },
  restart: () => { start(); return {}; },
});
