//! Why a check was decided as it was: the closed list that logs, metrics, answers and documents share.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident => $code:literal,)+) => {
        /// The reason of a decision. Every decision has exactly one.
        ///
        /// The spelling of [`Reason::as_str`] is a contract: logs, metrics, the answer's body and the documents use it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason there is, in the order of the documents.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The reason's code, in `snake_case`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// One sentence for people: what happened.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    // Allowed.
    /// A public rule let the request pass without looking at credentials.
    Public => "public",
    /// Nobody is signed in, and the rule does not require it.
    Anonymous => "anonymous",
    /// A signed-in browser.
    Session => "session",
    /// A Kubernetes ServiceAccount token.
    ServiceAccount => "service_account",
    /// A CORS preflight that the rule lets pass.
    Preflight => "preflight",

    // Our own endpoints.
    /// The browser was sent to the identity provider to sign in.
    LoginStarted => "login_started",
    /// Sign-in completed.
    SignedIn => "signed_in",
    /// This callback had been answered before, and the browser already has a session.
    LoginResumed => "login_resumed",
    /// Sign-in was started again, because the first attempt could not be completed.
    LoginRestarted => "login_restarted",
    /// The session ended.
    SignedOut => "signed_out",
    /// The provider's page told us that a session there ended.
    FrontChannelLogout => "front_channel_logout",
    /// One of our own pages.
    Page => "page",

    // The request itself is at fault.
    /// The request has no host, path or method, or they cannot be read.
    MalformedRequest => "malformed_request",
    /// No rule names this host.
    UnknownHost => "unknown_host",
    /// The path has more than one reading.
    AmbiguousPath => "ambiguous_path",
    /// A protected header was named in the Connection header.
    ProtectedHeaderHidden => "protected_header_hidden",
    /// There is nothing at this address.
    NotFound => "not_found",
    /// This address does not answer that method.
    MethodNotAllowed => "method_not_allowed",
    /// The request comes from another site's page.
    CrossOrigin => "cross_origin",
    /// This address answers top-level navigations of a browser only.
    NotANavigation => "not_a_navigation",

    // Not authenticated.
    /// Nobody is signed in.
    NotSignedIn => "not_signed_in",
    /// The session has ended or expired.
    SessionEnded => "session_ended",
    /// The session cookie is not one of ours.
    TicketInvalid => "ticket_invalid",
    /// The Authorization header holds several values.
    AuthorizationAmbiguous => "authorization_ambiguous",
    /// Bearer tokens of this issuer are not accepted here.
    BearerNotAccepted => "bearer_not_accepted",
    /// The bearer token is no JWT that can be judged here.
    BearerNotJwt => "bearer_not_jwt",
    /// The bearer token's issuer is not configured.
    BearerIssuerUnknown => "bearer_issuer_unknown",
    /// The token is malformed or too large.
    TokenMalformed => "token_malformed",
    /// The token is not meant for this audience.
    TokenAudience => "token_audience",
    /// The token has expired.
    TokenExpired => "token_expired",
    /// The token is not valid yet.
    TokenNotYetValid => "token_not_yet_valid",
    /// The token's signature or signing key is not acceptable.
    TokenSignature => "token_signature",
    /// The API server does not accept the token.
    TokenRejected => "token_rejected",
    /// An administrator revoked the token, or closed its account.
    TokenRevoked => "token_revoked",

    // Not allowed.
    /// A rule denies this request.
    DeniedByRule => "denied_by_rule",
    /// This account is not permitted here.
    NotPermitted => "not_permitted",

    // Sign-in failed.
    /// The sign-in's state is missing, damaged or not ours.
    StateInvalid => "state_invalid",
    /// Sign-in was tried too often without completing.
    LoginLoop => "login_loop",
    /// The identity provider refused the sign-in.
    ProviderDenied => "provider_denied",
    /// The answer came from another identity provider than the one asked.
    ProviderMixUp => "provider_mix_up",
    /// The identity provider's ID token does not verify.
    IdTokenInvalid => "id_token_invalid",
    /// The identity provider's answer cannot be used.
    ProviderAnswerInvalid => "provider_answer_invalid",
    /// The identity provider's claims hold no name that can be used.
    IdentityUnusable => "identity_unusable",
    /// Too many sign-ins at once.
    TooManyLogins => "too_many_logins",
    /// Too many sign-outs at once.
    TooManyLogouts => "too_many_logouts",

    // Something that is needed does not answer.
    /// The identity provider cannot be reached.
    ProviderUnavailable => "provider_unavailable",
    /// The session store cannot be reached.
    StoreUnavailable => "store_unavailable",
    /// The list of revoked tokens cannot be read.
    RevocationsUnknown => "revocations_unknown",
    /// The Kubernetes API server cannot be reached.
    ApiServerUnavailable => "api_server_unavailable",
    /// ServiceAccount tokens cannot be told from tokens for the API server itself.
    AudienceShared => "audience_shared",
    /// Too many token reviews at once.
    TooManyReviews => "too_many_reviews",
    /// The gateway's deadline left no time to decide.
    DeadlineExceeded => "deadline_exceeded",
    /// Too much is asked at once.
    TooManyChecks => "too_many_checks",
    /// Something failed inside.
    Internal => "internal",
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_snake_case_and_each_has_a_sentence() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(reason.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{reason}");
            assert!(reason.summary().ends_with('.'), "{reason}");
        }
    }
}
