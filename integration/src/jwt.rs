//! Signing keys and tokens, honest and otherwise: the header and the claims are the caller's bytes.

use anyhow::{Context, Result};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use aws_lc_rs::{digest, hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Signature algorithms of JOSE (RFC 7518 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2048 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The name in a token's header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// A private key with its `kid`.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Rsa(Box<rsa::KeyPair>),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    /// Makes a new key; its `kid` is random.
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        let pair = match algorithm {
            Algorithm::Rs256 => Pair::Rsa(Box::new(rsa::KeyPair::generate(rsa::KeySize::Rsa2048)?)),
            Algorithm::Es256 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
        };
        Ok(Self { kid: random_id(), pair })
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::Ec(_) => Algorithm::Es256,
        }
    }

    /// The public key as a JWK (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": base64url(public.modulus().big_endian_without_leading_zero()),
                    "e": base64url(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Pair::Ec(pair) => {
                // An uncompressed point: 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) })
            }
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().name().into();
        jwk
    }

    /// The public key as a PEM, for those who would misuse it as a shared secret.
    pub fn public_pem(&self) -> Result<String> {
        let der = match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der()?.as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_der()?.as_ref().to_vec(),
        };
        let lines = STANDARD.encode(der);
        let lines: Vec<&str> =
            lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }

    /// The header of an honest token.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm().name(), "kid": self.kid, "typ": "JWT" })
    }

    /// Signs claims under the honest header.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        self.sign_bytes(&serde_json::to_vec(&self.header())?, &serde_json::to_vec(claims)?)
    }

    /// Signs any bytes as header and payload.
    pub fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> Result<String> {
        let input = signing_input(header, payload);
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)?;
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, input.as_bytes())?.as_ref().to_vec(),
        };
        Ok(with_signature(&input, &signature))
    }
}

/// A token with an empty signature, or with any other bytes as one.
#[must_use]
pub fn unsigned(header: &[u8], payload: &[u8], signature: &[u8]) -> String {
    with_signature(&signing_input(header, payload), signature)
}

/// A token that is signed with HMAC-SHA-256, whatever its header says.
#[must_use]
pub fn hmac_signed(secret: &[u8], header: &[u8], payload: &[u8]) -> String {
    let input = signing_input(header, payload);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    with_signature(&input, hmac::sign(&key, input.as_bytes()).as_ref())
}

/// A token's claims, unverified.
pub fn claims(token: &str) -> Result<Value> {
    part(token, 1)
}

/// A token's header, unverified.
pub fn header(token: &str) -> Result<Value> {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Result<Value> {
    let part = token.split('.').nth(index).context("no token")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

/// `at_hash` for a token with SHA-256 (OpenID Connect Core 3.1.3.6).
#[must_use]
pub fn half_hash(value: &str) -> String {
    base64url(&digest::digest(&digest::SHA256, value.as_bytes()).as_ref()[..16])
}

/// The S256 challenge for a PKCE verifier (RFC 7636 section 4.2).
#[must_use]
pub fn pkce_challenge(verifier: &str) -> String {
    base64url(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref())
}

/// 16 random bytes, base64url.
#[must_use]
pub fn random_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    base64url(&bytes)
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    let seconds = since.expect("the clock stands after 1970").as_secs();
    seconds.try_into().expect("the clock stands before the end of time")
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn signing_input(header: &[u8], payload: &[u8]) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

fn with_signature(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", base64url(signature))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    #[test]
    fn another_library_verifies_what_is_signed() {
        for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let claims = json!({ "sub": "a", "exp": now() + 60 });
            let token = key.sign(&claims).unwrap();
            let jwk = serde_json::from_value(key.jwk()).unwrap();
            let verifier = DecodingKey::from_jwk(&jwk).unwrap();
            let name = algorithm.name().parse().unwrap();
            let read = jsonwebtoken::decode::<Value>(&token, &verifier, &Validation::new(name)).unwrap();
            assert_eq!(read.claims, claims);
            assert!(key.public_pem().unwrap().contains("PUBLIC KEY"));
        }
    }
}
