// oauth2-mock-server: keys come while it runs, and claims are whatever the test wants.
import { OAuth2Server } from 'oauth2-mock-server';
import { obey, serve } from './control.mjs';

const server = new OAuth2Server();
const issuer = await serve(() => server.service.requestHandler);
server.issuer.url = issuer;

obey(issuer, {
  key: async ({ algorithm }) => ({ kid: (await server.issuer.keys.generate(algorithm)).kid }),
  // A token that the key `kid` signs, with these claims in place of the usual ones; `null` takes one away.
  token: async ({ kid, claims }) => ({
    token: await server.issuer.buildToken({
      kid,
      expiresIn: 600,
      scopesOrTransform: (header, payload) => {
        Object.assign(payload, claims);
        for (const [name, value] of Object.entries(claims)) {
          if (value === null) delete payload[name];
        }
      },
    }),
  }),
});
