//! What the problem page says: closed texts, chosen by the kind of the answer and the reason.

use std::time::Duration;

use crate::reason::{Disposition, Reason};

/// The colour of a page, named after the class that its body carries in `style.css`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something to do first.
    Calm,
    /// Something to wait for.
    Wait,
    /// A refusal.
    Stop,
}

impl Tone {
    /// The class.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Wait => "wait",
            Self::Stop => "stop",
        }
    }
}

/// The heading: the kind of the answer, unless the reason tells more.
pub(super) const fn heading(disposition: Disposition, reason: Reason) -> &'static str {
    match words(reason) {
        Words::SignIn(_) => return "Sign-in did not work",
        Words::NotSetUp(_) => return "Sign-in is not set up",
        Words::Advice(_) | Words::OfKind => {}
    }
    match disposition {
        Disposition::BadRequest => "This request cannot be understood",
        Disposition::Unauthorized | Disposition::InvalidToken => "Please sign in",
        Disposition::Forbidden => "Not allowed",
        Disposition::NotFound => "Nothing here",
        Disposition::MethodNotAllowed => "This does not work that way",
        Disposition::Misdirected => "Unknown address",
        Disposition::TooManyRequests => "Too much at once",
        Disposition::Unavailable => "Not available right now",
        // The rest are no refusals: a problem page for one of them is a fault of ours.
        Disposition::Internal | Disposition::Ok | Disposition::Created | Disposition::Found | Disposition::SeeOther => {
            "Something went wrong"
        }
    }
}

/// The tone that fits the heading.
pub(super) const fn tone(disposition: Disposition) -> Tone {
    match disposition {
        Disposition::Unauthorized | Disposition::InvalidToken => Tone::Calm,
        Disposition::TooManyRequests | Disposition::Unavailable => Tone::Wait,
        Disposition::BadRequest
        | Disposition::Forbidden
        | Disposition::NotFound
        | Disposition::MethodNotAllowed
        | Disposition::Misdirected
        | Disposition::Internal
        | Disposition::Ok
        | Disposition::Created
        | Disposition::Found
        | Disposition::SeeOther => Tone::Stop,
    }
}

/// What to do next.
pub(super) const fn advice(disposition: Disposition, reason: Reason) -> &'static str {
    match words(reason) {
        Words::Advice(advice) | Words::SignIn(advice) | Words::NotSetUp(advice) => advice,
        Words::OfKind => advice_of(disposition),
    }
}

/// What to do next where only the kind of the answer is known.
const fn advice_of(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Unauthorized | Disposition::InvalidToken => "Open the page that you wanted again to sign in.",
        Disposition::TooManyRequests | Disposition::Unavailable => {
            "Nothing is wrong with your request. If it stays so, give the people who run this site the details below."
        }
        Disposition::BadRequest => {
            "Something in the browser or between here and there sent what must not be passed on. Open the address \
             anew; if it stays so, give the people who run this site the details below."
        }
        Disposition::Forbidden
        | Disposition::NotFound
        | Disposition::MethodNotAllowed
        | Disposition::Misdirected
        | Disposition::Internal
        | Disposition::Ok
        | Disposition::Created
        | Disposition::Found
        | Disposition::SeeOther => "If it stays so, give the people who run this site the details below.",
    }
}

/// What a reason has to say of its own.
enum Words {
    /// Nothing: the kind of the answer tells what to do.
    OfKind,
    /// What to do.
    Advice(&'static str),
    /// What to do about a sign-in that failed.
    SignIn(&'static str),
    /// What to do where nobody can sign in.
    NotSetUp(&'static str),
}

/// The words of a reason. A new one does not compile until somebody chose them.
const fn words(reason: Reason) -> Words {
    match reason {
        Reason::ResourceMissing | Reason::ResourceAmbiguous => Words::Advice(
            "Go back to where you came from and try again from there. If that does not help, give the details below to \
             the people who run this site.",
        ),
        Reason::AccessReviewDenied => Words::Advice(
            "Ask whoever owns the namespace for the role, and try again a few seconds after you have it. If you have \
             another account that may, use that one.",
        ),
        Reason::NotPermitted | Reason::DeniedByRule => Words::Advice(
            "If you need access, ask the people who run this site and give them the details below. If you have another \
             account that may, use that one.",
        ),
        Reason::CrossOrigin | Reason::NotANavigation => Words::Advice(
            "This was stopped so that other sites cannot act in your name. Open the address directly: type it or use a \
             bookmark.",
        ),
        Reason::AmbiguousPath => Words::Advice(
            "Check the address for stray characters such as doubled slashes, backslashes or dots, and open it again.",
        ),
        Reason::UnknownHost => Words::Advice("Check the spelling of the site's name in the address bar."),
        Reason::NotFound | Reason::MethodNotAllowed => {
            Words::Advice("Check the address, or go back to where you came from.")
        }
        Reason::StateInvalid => Words::SignIn(
            "This happens when a sign-in took too long, was opened from a bookmark or began in another browser. Open \
             the page that you wanted again.",
        ),
        Reason::LoginLoop => Words::SignIn(
            "Make sure that this browser accepts cookies for this site and that the computer's clock is right, then \
             open the page that you wanted again.",
        ),
        Reason::ProviderDenied => Words::SignIn(
            "The sign-in was cancelled or is not open to this account. Try again, perhaps with another account.",
        ),
        Reason::IdentityUnusable => Words::SignIn(
            "Your account lacks what is needed here, often a verified e-mail address. Ask the people who run this site, \
             and give them the details below.",
        ),
        Reason::ProviderMixUp | Reason::IdTokenInvalid | Reason::ProviderAnswerInvalid => Words::SignIn(
            "Try again. If it stays so, the sign-in is set up wrongly: give the people who run this site the details \
             below.",
        ),
        Reason::SignInNotSetUp => Words::NotSetUp(
            "This site and its sign-in service do not fit together at present. It is not about your account, nor about how \
             you sign in. Tell the people who run this site, and give them the details below.",
        ),
        Reason::Public
        | Reason::Anonymous
        | Reason::Session
        | Reason::ServiceAccount
        | Reason::FurtherAudience
        | Reason::Preflight
        | Reason::LoginStarted
        | Reason::SignedIn
        | Reason::LoginResumed
        | Reason::LoginRestarted
        | Reason::SignedOut
        | Reason::FrontChannelLogout
        | Reason::Page
        | Reason::MalformedRequest
        | Reason::ProtectedHeaderHidden
        | Reason::NotSignedIn
        | Reason::SessionEnded
        | Reason::TicketInvalid
        | Reason::AuthorizationAmbiguous
        | Reason::BearerNotAccepted
        | Reason::BearerNotJwt
        | Reason::BearerIssuerUnknown
        | Reason::TokenMalformed
        | Reason::TokenAudience
        | Reason::TokenExpired
        | Reason::TokenNotYetValid
        | Reason::TokenSignature
        | Reason::TokenRejected
        | Reason::TokenRevoked
        | Reason::TooManyLogins
        | Reason::TooManyLogouts
        | Reason::ProviderUnavailable
        | Reason::StoreUnavailable
        | Reason::RevocationsUnknown
        | Reason::ApiServerUnavailable
        | Reason::AudienceShared
        | Reason::TooManyReviews
        | Reason::DeadlineExceeded
        | Reason::TooManyChecks
        | Reason::Internal => Words::OfKind,
    }
}

/// When to try again, for people.
pub(super) fn wait(retry_after: Duration) -> String {
    match retry_after.as_secs() {
        0 | 1 => "Try again in a moment.".to_owned(),
        seconds @ 2..120 => format!("Try again in {seconds} seconds."),
        seconds => format!("Try again in {} minutes.", seconds.div_ceil(60)),
    }
}
