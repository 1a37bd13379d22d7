//! The signature algorithms that this product knows: one list, for every token that comes in.
//!
//! A new algorithm is one line of the list below, its kind of key in `public_key.rs` where it has one of its own, and a
//! word in `docs/configuration.md`.

use aws_lc_rs::digest;

use crate::secret;

/// What kind of key an algorithm needs: `kty`, and `crv` where there is one (RFC 7518 section 6.1, RFC 8037 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

macro_rules! algorithms {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal, $key_type:ident, $hash:ident, $library:expr;)+) => {
        /// An asymmetric JWS algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
        ///
        /// There is no `none` and no HMAC in this type, so that no list of algorithms can hold them: an issuer's public
        /// key can never serve as a shared secret.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Algorithm {
            $($(#[$doc])+ $variant,)+
        }

        impl Algorithm {
            /// Every algorithm there is: the list for an issuer that does not say what it signs with.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in a token's `alg`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The kind of key that it needs.
            pub(super) const fn key_type(self) -> KeyType {
                match self {
                    $(Self::$variant => KeyType::$key_type,)+
                }
            }

            /// The signature library's name for it; nothing where that library lacks it.
            pub(super) const fn of_library(self) -> Option<jsonwebtoken::Algorithm> {
                match self {
                    $(Self::$variant => $library,)+
                }
            }

            fn hash(self) -> &'static digest::Algorithm {
                match self {
                    $(Self::$variant => &digest::$hash,)+
                }
            }
        }
    };
}

algorithms! {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 = "RS256", Rsa, SHA256, Some(jsonwebtoken::Algorithm::RS256);
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384 = "RS384", Rsa, SHA384, Some(jsonwebtoken::Algorithm::RS384);
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512 = "RS512", Rsa, SHA512, Some(jsonwebtoken::Algorithm::RS512);
    /// RSASSA-PSS with SHA-256.
    Ps256 = "PS256", Rsa, SHA256, Some(jsonwebtoken::Algorithm::PS256);
    /// RSASSA-PSS with SHA-384.
    Ps384 = "PS384", Rsa, SHA384, Some(jsonwebtoken::Algorithm::PS384);
    /// RSASSA-PSS with SHA-512.
    Ps512 = "PS512", Rsa, SHA512, Some(jsonwebtoken::Algorithm::PS512);
    /// ECDSA on P-256 with SHA-256.
    Es256 = "ES256", P256, SHA256, Some(jsonwebtoken::Algorithm::ES256);
    /// ECDSA on P-384 with SHA-384.
    Es384 = "ES384", P384, SHA384, Some(jsonwebtoken::Algorithm::ES384);
    /// ECDSA on P-521 with SHA-512.
    Es512 = "ES512", P521, SHA512, None;
    /// Ed25519, which hashes with SHA-512.
    EdDsa = "EdDSA", Ed25519, SHA512, Some(jsonwebtoken::Algorithm::EdDSA);
}

impl Algorithm {
    /// The algorithm of this name, compared byte for byte; nothing for `none`, HMAC and what is not known.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// The algorithms that a key of this kind serves.
    pub(super) fn of_key(key_type: KeyType) -> Vec<Self> {
        Self::ALL.iter().copied().filter(|algorithm| algorithm.key_type() == key_type).collect()
    }

    /// The left half of the hash of `value` by this algorithm's hash function, in base64url: what `at_hash` and `c_hash`
    /// hold of an access token and a code (OpenID Connect Core sections 3.1.3.6 and 3.3.2.11).
    #[must_use]
    pub fn half_hash(self, value: &str) -> String {
        let hash = digest::digest(self.hash(), value.as_bytes());
        let (half, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
        secret::encode(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_none_and_hmac_are_not_known() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(*algorithm));
            assert_eq!(algorithm.of_library(), algorithm.name().parse().ok());
        }
        for name in ["none", "None", "nOnE", "NONE", "", "HS256", "HS384", "HS512", "rs256", "RS256 ", "ES521", "dir"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn half_of_a_hash_is_as_long_as_its_algorithm_says() {
        for (algorithm, bytes) in [
            (Algorithm::Rs256, 16),
            (Algorithm::Ps384, 24),
            (Algorithm::Es384, 24),
            (Algorithm::Es512, 32),
            (Algorithm::EdDsa, 32),
        ] {
            assert_eq!(secret::decode(&algorithm.half_hash("a")).unwrap().len(), bytes, "{algorithm:?}");
        }
        // The example of OpenID Connect Core, appendix A.3.
        assert_eq!(Algorithm::Rs256.half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(
            Algorithm::Rs256.half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"),
            "LDktKdoQak3Pk0cnXxCltA"
        );
    }
}
