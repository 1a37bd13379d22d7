// Verifies assertions as a service does that knows nothing but the issuer: `jose` finds the keys by discovery.
// Reads a question from the file that is named, writes one line of JSON: the outcome of each token.
import { readFileSync } from 'node:fs';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { issuer, audience, tokens } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
const discovery = await answer.json();
if (discovery.issuer !== issuer) throw new Error(`discovery says that the issuer is ${discovery.issuer}`);
const keys = createRemoteJWKSet(new URL(discovery.jwks_uri));
const algorithms = discovery.id_token_signing_alg_values_supported;

const outcomes = {};
for (const [name, { token, expect = {} }] of Object.entries(tokens)) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer, audience, algorithms, ...expect });
    outcomes[name] = { payload, header: protectedHeader };
  } catch (error) {
    outcomes[name] = { refused: error.code };
  }
}
console.log(JSON.stringify(outcomes));
