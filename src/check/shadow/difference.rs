//! How what would be decided differs from what is: the words of the log, the metric and the report.

/// The target of the records that tell it.
pub const TARGET: &str = "portcullis::shadow";

/// Whose decision is foreseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Ours, at a gateway where another one decides.
    Gateway,
    /// That of a rule in shadow.
    Rule,
}

/// How what would be decided differs from what is. The first one is what breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Differs {
    /// It passes, and would be refused.
    Refused,
    /// It passes, and would under another name.
    Name,
    /// It passes, and a person would have signed in before.
    SignIn,
    /// It passes, and would be answered by an endpoint of ours.
    Answered,
    /// It is refused or sent to sign in, and would pass.
    Allowed,
    /// Not at all.
    No,
}

impl Source {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Rule => "rule",
        }
    }
}

impl Differs {
    /// Every way.
    pub const ALL: [Self; 6] = [Self::Refused, Self::Name, Self::SignIn, Self::Answered, Self::Allowed, Self::No];

    /// The word of the log and of the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Name => "name",
            Self::SignIn => "sign_in",
            Self::Answered => "answered",
            Self::Allowed => "allowed",
            Self::No => "no",
        }
    }

    /// Reads [`Differs::as_str`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|differs| differs.as_str() == word)
    }
}
