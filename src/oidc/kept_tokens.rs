//! Which tokens of a provider's are kept in a session.

use crate::{logout::MAX_HINT_BYTES, providers::ProviderConfig, secret::SecretString, session::Tokens};

/// The tokens that something here uses; no other is kept.
pub(super) fn kept(tokens: Tokens, provider: &ProviderConfig) -> Tokens {
    let revoke = provider.logout.revoke_tokens;
    let refresh_token = tokens.refresh_token.filter(|_| revoke || provider.refresh.is_some());
    // Nothing reads it but the hint at logout.
    let is_hint = tokens.id_token.expose().len() <= MAX_HINT_BYTES;
    Tokens {
        id_token: if is_hint { tokens.id_token } else { SecretString::new(String::new()) },
        // Revoking the refresh token ends the access token too (RFC 7009 section 2.1).
        access_token: tokens.access_token.filter(|_| provider.strict.is_some() || (revoke && refresh_token.is_none())),
        refresh_token,
        ..tokens
    }
}
