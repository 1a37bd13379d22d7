//! Why a check was decided as it was: the closed list that logs, metrics, answers and documents share.
//!
//! A reason's row says all that follows from it: its code, what it says to people, the kinds of answers that it gives, and
//! whether it is worth coming back. What else an answer needs (page, problem, gRPC code) derives from that.

mod disposition;

use std::{fmt, time::Duration};

pub use disposition::Disposition;

/// To come back changes nothing.
const NEVER: Option<Duration> = None;
/// When to come back where there was no place.
const SOON: Option<Duration> = Some(Duration::from_secs(1));
/// When to come back where something that is needed does not answer.
const LATER: Option<Duration> = Some(Duration::from_secs(5));
/// When to come back where only an operator can help.
const MUCH_LATER: Option<Duration> = Some(Duration::from_mins(1));

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident => $code:literal, [$($kind:ident),*], $retry:expr;)+) => {
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

            /// The kinds of answers that this reason gives, the usual one first; none where it lets a request pass.
            #[must_use]
            pub const fn dispositions(self) -> &'static [Disposition] {
                match self { $(Self::$variant => &[$(Disposition::$kind),*],)+ }
            }

            /// When to come back, where the same request may then be decided otherwise.
            #[must_use]
            pub const fn retry_after(self) -> Option<Duration> {
                match self { $(Self::$variant => $retry,)+ }
            }
        }
    };
}

// The kinds of answers: the usual one, then those that a place of ours may give instead. None: the request passes.
reasons! {
    // Allowed.
    /// A public rule let the request pass without looking at credentials.
    Public => "public", [], NEVER;
    /// Nobody is signed in, and the rule does not require it.
    Anonymous => "anonymous", [], NEVER;
    /// A signed-in browser.
    Session => "session", [], NEVER;
    /// A Kubernetes ServiceAccount token.
    ServiceAccount => "service_account", [], NEVER;
    /// A Kubernetes ServiceAccount token that is meant for another service, which the rule takes until a day.
    FurtherAudience => "further_audience", [], NEVER;
    /// A CORS preflight that the rule lets pass.
    Preflight => "preflight", [], NEVER;

    // Our own endpoints.
    /// The browser was sent to the identity provider to sign in.
    LoginStarted => "login_started", [Found], NEVER;
    /// Sign-in completed.
    SignedIn => "signed_in", [SeeOther, Ok], NEVER;
    /// This callback had been answered before, and the browser already has a session.
    LoginResumed => "login_resumed", [SeeOther, Ok], NEVER;
    /// Sign-in was started again, because the first attempt could not be completed.
    LoginRestarted => "login_restarted", [Found], NEVER;
    /// The session ended.
    SignedOut => "signed_out", [SeeOther, Created], NEVER;
    /// The provider's page told us that a session there ended.
    FrontChannelLogout => "front_channel_logout", [Ok], NEVER;
    /// One of our own pages.
    Page => "page", [Ok], NEVER;

    // The request itself is at fault.
    /// The request has no host, path or method, or they cannot be read.
    MalformedRequest => "malformed_request", [BadRequest], NEVER;
    /// No rule names this host.
    UnknownHost => "unknown_host", [Misdirected], NEVER;
    /// The path has more than one reading.
    AmbiguousPath => "ambiguous_path", [BadRequest], NEVER;
    /// The request does not name what the rule asks Kubernetes about, such as its namespace.
    ResourceMissing => "resource_missing", [BadRequest], NEVER;
    /// The request names what the rule asks Kubernetes about twice, differently, or as no such name.
    ResourceAmbiguous => "resource_ambiguous", [BadRequest], NEVER;
    /// A protected header was named in the Connection header.
    ProtectedHeaderHidden => "protected_header_hidden", [BadRequest], NEVER;
    /// There is nothing at this address.
    NotFound => "not_found", [NotFound], NEVER;
    /// This address does not answer that method.
    MethodNotAllowed => "method_not_allowed", [MethodNotAllowed], NEVER;
    /// The request comes from another site's page.
    CrossOrigin => "cross_origin", [Forbidden, Unauthorized], NEVER;
    /// This address answers top-level navigations of a browser only.
    NotANavigation => "not_a_navigation", [BadRequest], NEVER;

    // Not authenticated.
    /// Nobody is signed in.
    NotSignedIn => "not_signed_in", [Unauthorized], NEVER;
    /// The session has ended or expired.
    SessionEnded => "session_ended", [Unauthorized, Forbidden], NEVER;
    /// The session cookie is not one of ours.
    TicketInvalid => "ticket_invalid", [Unauthorized, BadRequest], NEVER;
    /// The Authorization header holds several values.
    AuthorizationAmbiguous => "authorization_ambiguous", [InvalidToken], NEVER;
    /// Bearer tokens of this issuer are not accepted here.
    BearerNotAccepted => "bearer_not_accepted", [InvalidToken], NEVER;
    /// The bearer token is no JWT that can be judged here.
    BearerNotJwt => "bearer_not_jwt", [InvalidToken], NEVER;
    /// The bearer token's issuer is not configured.
    BearerIssuerUnknown => "bearer_issuer_unknown", [InvalidToken], NEVER;
    /// The token is malformed or too large.
    TokenMalformed => "token_malformed", [InvalidToken], NEVER;
    /// The token is not meant for this audience.
    TokenAudience => "token_audience", [InvalidToken], NEVER;
    /// The token has expired.
    TokenExpired => "token_expired", [InvalidToken], NEVER;
    /// The token is not valid yet.
    TokenNotYetValid => "token_not_yet_valid", [InvalidToken], NEVER;
    /// The token's signature or signing key is not acceptable.
    TokenSignature => "token_signature", [InvalidToken], NEVER;
    /// The API server does not accept the token.
    TokenRejected => "token_rejected", [InvalidToken], NEVER;
    /// An administrator revoked the token, or closed its account.
    TokenRevoked => "token_revoked", [InvalidToken], NEVER;

    // Not allowed.
    /// A rule denies this request.
    DeniedByRule => "denied_by_rule", [Forbidden], NEVER;
    /// This account is not permitted here.
    NotPermitted => "not_permitted", [Forbidden], NEVER;
    /// Kubernetes does not permit this account what the request would do.
    AccessReviewDenied => "access_review_denied", [Forbidden], NEVER;

    // Sign-in failed.
    /// The sign-in's state is missing, damaged or not ours.
    StateInvalid => "state_invalid", [BadRequest], NEVER;
    /// Sign-in was tried too often without completing.
    LoginLoop => "login_loop", [BadRequest], NEVER;
    /// The identity provider refused the sign-in.
    ProviderDenied => "provider_denied", [Forbidden], NEVER;
    /// The answer came from another identity provider than the one asked.
    ProviderMixUp => "provider_mix_up", [Forbidden], NEVER;
    /// The identity provider's ID token does not verify.
    IdTokenInvalid => "id_token_invalid", [Forbidden], NEVER;
    /// The identity provider's answer cannot be used.
    ProviderAnswerInvalid => "provider_answer_invalid", [Unavailable], LATER;
    /// Sign-in is not set up, here or at the identity provider.
    SignInNotSetUp => "sign_in_not_set_up", [Unavailable], MUCH_LATER;
    /// The identity provider's claims hold no name that can be used.
    IdentityUnusable => "identity_unusable", [Forbidden], NEVER;
    /// Too many sign-ins at once.
    TooManyLogins => "too_many_logins", [TooManyRequests], LATER;
    /// Too many sign-outs at once.
    TooManyLogouts => "too_many_logouts", [TooManyRequests], LATER;

    // Something that is needed does not answer.
    /// The identity provider cannot be reached.
    ProviderUnavailable => "provider_unavailable", [Unavailable], LATER;
    /// The session store cannot be reached.
    StoreUnavailable => "store_unavailable", [Unavailable], LATER;
    /// The list of revoked tokens cannot be read.
    RevocationsUnknown => "revocations_unknown", [Unavailable], LATER;
    /// The Kubernetes API server cannot be reached.
    ApiServerUnavailable => "api_server_unavailable", [Unavailable], LATER;
    /// ServiceAccount tokens cannot be told from tokens for the API server itself.
    AudienceShared => "audience_shared", [Unavailable], MUCH_LATER;
    /// The Kubernetes API server is asked too much at once.
    TooManyReviews => "too_many_reviews", [Unavailable], SOON;
    /// The gateway's deadline left no time to decide.
    DeadlineExceeded => "deadline_exceeded", [Unavailable], LATER;
    /// Too much is asked at once.
    TooManyChecks => "too_many_checks", [Unavailable], LATER;
    /// Something failed inside.
    Internal => "internal", [Internal], NEVER;
}

impl Reason {
    /// The kind of the answer that this reason usually gives. To refuse by a reason that lets pass is a fault of ours.
    #[must_use]
    pub const fn disposition(self) -> Disposition {
        match self.dispositions() {
            [usual, ..] => *usual,
            [] => Disposition::Internal,
        }
    }
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

    #[test]
    fn what_does_not_last_is_worth_coming_back_for_and_nothing_else() {
        for reason in Reason::ALL {
            let passing = matches!(reason.disposition(), Disposition::Unavailable | Disposition::TooManyRequests);
            assert_eq!(reason.retry_after().is_some(), passing, "{reason}");
        }
    }
}
