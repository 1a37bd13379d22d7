//! The key by which we say at a provider who we are (`private_key_jwt`, OpenID Connect Core section 9).

use std::fmt;

use aws_lc_rs::{
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{EncodingKey, Header};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Serialize;
use thiserror::Error;

use super::assertion_keys::SignError;
use crate::secret::{SecretBytes, SecretString};

/// The smallest RSA modulus, in bytes.
const MIN_RSA_BYTES: usize = 2048 / 8;

/// The file holds no private key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no private key in PKCS#8 PEM, EC P-256 or RSA of 2048 bits or more")]
pub struct ClientKeyError;

/// A private key: EC P-256 signs by ES256, RSA by RS256.
pub struct ClientKey {
    key: EncodingKey,
    header: Header,
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientKey").field("key_id", &self.header.kid).finish_non_exhaustive()
    }
}

impl ClientKey {
    /// Reads a private key in PKCS#8 PEM (RFC 5958). `key_id` is the `kid` under which the provider knows its public part.
    ///
    /// # Errors
    /// Where it is none of the kinds that sign here.
    pub fn from_pem(pem: &SecretBytes, key_id: Option<&str>) -> Result<Self, ClientKeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).map_err(|_| ClientKeyError)?;
        let der = der.secret_pkcs8_der();
        let (algorithm, key) = if EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).is_ok() {
            (jsonwebtoken::Algorithm::ES256, EncodingKey::from_ec_der(der))
        } else if rsa::KeyPair::from_pkcs8(der).is_ok_and(|pair| pair.public_modulus_len() >= MIN_RSA_BYTES) {
            let key = EncodingKey::from_rsa_pem(pem.expose()).map_err(|_| ClientKeyError)?;
            (jsonwebtoken::Algorithm::RS256, key)
        } else {
            return Err(ClientKeyError);
        };
        let mut header = Header::new(algorithm);
        header.kid = key_id.map(str::to_owned);
        Ok(Self { key, header })
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// Where the claims are no JSON, or the cryptography fails.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<SecretString, SignError> {
        jsonwebtoken::encode(&self.header, claims, &self.key).map(SecretString::new).map_err(|_| SignError)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::{Algorithm, AssertionKey, peek};

    #[test]
    fn a_key_signs_by_the_algorithm_of_its_kind_and_under_its_name() {
        let pem = SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
        for name in [None, Some("k1")] {
            let key = ClientKey::from_pem(&pem, name).unwrap();
            let token = peek(key.sign(&json!({"iss": "us"})).unwrap().expose()).unwrap();
            let told = (token.algorithm(), token.key_id(), token.issuer());
            assert_eq!(told, (Some(Algorithm::Es256), name, Some("us")));
        }
        for bad in ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(ClientKey::from_pem(&SecretBytes::new(bad.into()), None).is_err(), "{bad:?}");
        }
    }
}
