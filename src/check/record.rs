//! The one record of a check. It never holds a credential, and paths are without their query.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use super::outcome::Outcome;
use crate::{
    authn::{Authenticated, BrowserSession},
    decision::Decision,
    logging::{Line, Log},
    reason::{Disposition, Reason},
    request::{RawRequest, Request, RequestId},
};

/// The most bytes of a value from outside that a record keeps.
const MAX_OUTSIDE_BYTES: usize = 256;
/// The most bytes of one character that is escaped (`\u{10ffff}`).
const LONGEST_ESCAPE: usize = 10;

/// What the log and the metrics say of a check. It keeps what was there anyway: nothing is copied to be told.
pub struct CheckRecord {
    /// Why it was decided so.
    pub reason: Reason,
    /// The kind of our own answer; `None` where the request goes on.
    pub disposition: Option<Disposition>,
    rule: Option<Arc<str>>,
    who: Who,
    asked: Asked,
    /// What more there is to say of the reason.
    detail: Option<String>,
}

/// Who was authenticated.
#[derive(Debug, Default)]
pub(super) enum Who {
    #[default]
    Nobody,
    As(Authenticated),
    Browser(BrowserSession),
}

/// What was asked.
pub(super) enum Asked {
    Read(Request),
    Unread(Box<RawRequest>, RequestId),
}

impl CheckRecord {
    /// The record of a request that was decided so, by which rule and about whom.
    pub(super) fn new(asked: Asked, decision: &Decision, rule: Option<Arc<str>>, who: Who) -> Self {
        let (disposition, detail) = match decision {
            Decision::Allow(_) => (None, None),
            Decision::Respond(respond) => (Some(respond.disposition), respond.detail.clone()),
        };
        Self { reason: decision.reason(), disposition, rule, who, asked, detail }
    }

    /// A record of nothing but a request's id.
    #[cfg(test)]
    pub(crate) fn for_tests(request_id: &str) -> Self {
        let raw = RawRequest::new("GET", "kf", "/").header("x-request-id", request_id);
        let asked = Asked::Read(Request::parse(raw).unwrap());
        let (reason, disposition) = (Reason::Internal, Some(Disposition::Internal));
        Self { reason, disposition, rule: None, who: Who::Nobody, asked, detail: None }
    }

    /// What came of it.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        Outcome::of(self.disposition)
    }

    /// The name of the rule, where one was chosen.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Who was authenticated, by the name that services know.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        self.who.is_somebody().then(|| self.who.to_string())
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.asked.request_id()
    }

    /// What was asked.
    pub(super) fn into_asked(self) -> Asked {
        self.asked
    }

    pub(super) fn log(&self, log: &Log, elapsed: Duration) {
        log.info("portcullis::check", "check", |line| {
            self.tell(line);
            line.number("elapsed_us", u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
        });
    }

    fn tell(&self, line: &mut Line<'_>) {
        line.text("outcome", self.outcome().as_str());
        line.text("reason", self.reason.as_str());
        line.text("rule", self.rule().unwrap_or_default());
        line.shown("principal", &self.who);
        line.text("request_id", self.request_id());
        line.text("method", &outside(self.asked.method()));
        line.text("host", &outside(self.asked.host()));
        line.text("path", &outside(self.asked.path()));
        line.text("source", &outside(self.asked.source()));
        if let Some(detail) = &self.detail {
            line.text("detail", detail);
        }
    }
}

/// As in the log.
impl fmt::Debug for CheckRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CheckRecord")
            .field("outcome", &self.outcome())
            .field("reason", &self.reason)
            .field("rule", &self.rule)
            .field("principal", &self.principal())
            .field("request_id", &self.request_id())
            .field("host", &outside(self.asked.host()))
            .field("path", &outside(self.asked.path()))
            .finish_non_exhaustive()
    }
}

impl Who {
    fn is_somebody(&self) -> bool {
        match self {
            Self::Nobody => false,
            Self::As(_) => true,
            Self::Browser(browser) => browser.userid().is_some(),
        }
    }
}

impl From<Option<Authenticated>> for Who {
    fn from(who: Option<Authenticated>) -> Self {
        who.map_or(Self::Nobody, Self::As)
    }
}

/// The name that services know; nothing for nobody.
impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => Ok(()),
            Self::As(who) => write!(formatter, "{}", who.principal().shown()),
            Self::Browser(browser) => formatter.write_str(browser.userid().unwrap_or_default()),
        }
    }
}

impl Asked {
    /// A request of which nothing could be read.
    pub(super) fn nothing() -> Self {
        Self::Unread(Box::default(), RequestId::generate())
    }

    pub(super) fn request_id(&self) -> &str {
        match self {
            Self::Read(request) => request.request_id().as_str(),
            Self::Unread(_, id) => id.as_str(),
        }
    }

    pub(super) fn method(&self) -> &str {
        match self {
            Self::Read(request) => request.method(),
            Self::Unread(raw, _) => raw.method(),
        }
    }

    pub(super) fn host(&self) -> &str {
        match self {
            Self::Read(request) => request.host().name(),
            // An authority may hold a password, and so may a target that is a whole URL.
            Self::Unread(raw, _) => raw.host().rsplit('@').next().unwrap_or_default(),
        }
    }

    pub(super) fn path(&self) -> &str {
        match self {
            Self::Read(request) => request.path().raw(),
            Self::Unread(raw, _) => {
                let path = raw.path().split(['?', '#']).next();
                path.filter(|path| path.starts_with('/')).unwrap_or_default()
            }
        }
    }

    fn source(&self) -> &str {
        let source = match self {
            Self::Read(request) => request.source(),
            Self::Unread(raw, _) => raw.source(),
        };
        source.unwrap_or_default()
    }
}

/// A value from outside as a log may hold it: escaped, and cut at a character's boundary.
pub(super) fn outside(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    if let Some(plain) = text.get(..text.len().min(MAX_OUTSIDE_BYTES))
        && plain.as_bytes().iter().all(is_plain)
    {
        return plain.into();
    }
    let mut escaped = String::with_capacity(MAX_OUTSIDE_BYTES + LONGEST_ESCAPE);
    for character in text.chars() {
        let before = escaped.len();
        if matches!(character, ' '..='~') && character != '\\' {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_default());
        }
        if escaped.len() > MAX_OUTSIDE_BYTES {
            escaped.truncate(before);
            break;
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests;
