// The certified OpenID provider `oidc-provider`, over TLS, with one client and a few accounts.
// Whoever types an account's address signs in; the password is not looked at.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const accounts = new Map(settings.accounts.map((account) => [account.email, account]));
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(settings.issuer, {
  clients: [settings.client],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'the-only-one' }] },
  cookies: { keys: ['signs the cookies of one run of the tests'] },
  scopes: ['openid', 'email', 'profile', 'groups'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  // As the specification wants it: what a scope asks for is told by userinfo alone.
  conformIdTokenClaims: true,
  pkce: { required: () => true },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 600, IdToken: 300, Interaction: 600, Session: 600 },
  async findAccount(_, email) {
    const account = accounts.get(email);
    return account && { accountId: email, claims: () => account.claims };
  },
  // The client belongs to the house: nobody is asked for consent.
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const known = session.grantIdFor(client.clientId);
    if (known) return provider.Grant.find(known);
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid email profile groups');
    await grant.save();
    return grant;
  },
});

const [host, port] = settings.listen.split(':');
createServer({ cert: settings.certificate, key: settings.key }, provider.callback()).listen(Number(port), host);
