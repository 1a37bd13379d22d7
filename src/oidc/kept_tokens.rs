//! Which tokens of a provider's are kept in a session.

use crate::{providers::ProviderConfig, session::Tokens};

/// The tokens that something here uses; no other is kept.
pub(super) fn kept(tokens: Tokens, provider: &ProviderConfig) -> Tokens {
    let revoke = provider.logout.revoke_tokens;
    let refresh_token = tokens.refresh_token.filter(|_| revoke || provider.refresh.is_some());
    Tokens {
        // Revoking the refresh token ends the access token too (RFC 7009 section 2.1).
        access_token: tokens.access_token.filter(|_| provider.strict.is_some() || (revoke && refresh_token.is_none())),
        refresh_token,
        ..tokens
    }
}
