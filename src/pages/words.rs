//! What the problem page says: closed texts, chosen by the kind of the answer and the reason.

use std::time::Duration;

use crate::{decision::Disposition, reason::Reason};

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
    if is_failed_sign_in(reason) {
        return "Sign-in did not work";
    }
    match disposition {
        Disposition::BadRequest => "This request cannot be understood",
        Disposition::Unauthorized => "Please sign in",
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
        Disposition::Unauthorized => Tone::Calm,
        Disposition::TooManyRequests | Disposition::Unavailable => Tone::Wait,
        _ => Tone::Stop,
    }
}

/// What to do next.
pub(super) const fn advice(disposition: Disposition, reason: Reason) -> &'static str {
    match reason {
        Reason::NotPermitted | Reason::DeniedByRule => {
            "If you need access, ask the people who run this site and give them the details below. If you have another \
             account that may, use that one."
        }
        Reason::CrossOrigin | Reason::NotANavigation => {
            "This was stopped so that other sites cannot act in your name. Open the address directly: type it or use a \
             bookmark."
        }
        Reason::AmbiguousPath => {
            "Check the address for stray characters such as doubled slashes, backslashes or dots, and open it again."
        }
        Reason::UnknownHost => "Check the spelling of the site's name in the address bar.",
        Reason::NotFound | Reason::MethodNotAllowed => "Check the address, or go back to where you came from.",
        Reason::StateInvalid => {
            "This happens when a sign-in took too long, was opened from a bookmark or began in another browser. Open \
             the page that you wanted again."
        }
        Reason::LoginLoop => {
            "Make sure that this browser accepts cookies for this site and that the computer's clock is right, then \
             open the page that you wanted again."
        }
        Reason::ProviderDenied => {
            "The sign-in was cancelled or is not open to this account. Try again, perhaps with another account."
        }
        Reason::IdentityUnusable => {
            "Your account lacks what is needed here, often a verified e-mail address. Ask the people who run this site, \
             and give them the details below."
        }
        Reason::ProviderMixUp | Reason::IdTokenInvalid | Reason::ProviderAnswerInvalid => {
            "Try again. If it stays so, the sign-in is set up wrongly: give the people who run this site the details \
             below."
        }
        _ => match disposition {
            Disposition::Unauthorized => "Open the page that you wanted again to sign in.",
            Disposition::TooManyRequests | Disposition::Unavailable => {
                "Nothing is wrong with your request. If it stays so, give the people who run this site the details \
                 below."
            }
            Disposition::BadRequest => {
                "Something in the browser or between here and there sent what must not be passed on. Open the address \
                 anew; if it stays so, give the people who run this site the details below."
            }
            _ => "If it stays so, give the people who run this site the details below.",
        },
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

const fn is_failed_sign_in(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::StateInvalid
            | Reason::LoginLoop
            | Reason::ProviderDenied
            | Reason::ProviderMixUp
            | Reason::IdTokenInvalid
            | Reason::ProviderAnswerInvalid
            | Reason::IdentityUnusable
    )
}
