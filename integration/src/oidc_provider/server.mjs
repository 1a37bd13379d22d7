// The certified OpenID provider `oidc-provider`, over TLS, with one client and a few accounts.
// Whoever types an account's address signs in; the password is not looked at. Who is asked for a second factor has one.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const accounts = new Map(settings.accounts.map((account) => [account.email, account]));
const secondFactor = 'urn:example:mfa';
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(settings.issuer, {
  clients: [settings.client],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'the-only-one' }] },
  cookies: { keys: ['signs the cookies of one run of the tests'] },
  scopes: ['openid', 'email', 'profile', 'groups'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  acrValues: [secondFactor],
  // As the specification wants it: what a scope asks for is told by userinfo alone.
  conformIdTokenClaims: true,
  pkce: { required: () => true },
  ttl: {
    AccessToken: settings.access_token_lifetime,
    AuthorizationCode: 60,
    Grant: 600,
    IdToken: 300,
    Interaction: 600,
    RefreshToken: 600,
    Session: 600,
  },
  features: {
    backchannelLogout: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        const yes = '<input type="hidden" name="logout" value="yes"/><button>Sign out</button>';
        ctx.body = `<!DOCTYPE html><title>Sign out</title>${form.replace('</form>', `${yes}</form>`)}`;
      },
    },
  },
  // Each refresh token works once; one that comes again ends the whole grant.
  rotateRefreshToken: true,
  issueRefreshToken: () => true,
  // Logout tokens go to loopback, which the provider's own dispatcher refuses.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
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

// The pages say how somebody signed in, and, of accounts that signed in long ago, when.
const finished = provider.interactionFinished.bind(provider);
provider.interactionFinished = async (request, response, result, options) => {
  if (result.login) {
    const { params } = await provider.interactionDetails(request, response);
    if (params.acr_values?.split(' ').includes(secondFactor)) result.login.acr = secondFactor;
    const { signed_in_before: before } = accounts.get(result.login.accountId) ?? {};
    if (before && !params.max_age && !params.prompt) result.login.ts = Math.floor(Date.now() / 1000) - before;
  }
  return finished(request, response, result, options);
};

provider.on('backchannel.error', (_, error) => console.error(`back-channel logout: ${error} ${error.cause ?? ''}`));

const [host, port] = settings.listen.split(':');
createServer({ cert: settings.certificate, key: settings.key }, provider.callback()).listen(Number(port), host);
