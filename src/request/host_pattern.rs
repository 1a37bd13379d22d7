//! Hosts as the configuration names them: one, or all that have one label more than a domain.

use std::fmt;

use thiserror::Error;

use super::host::HostName;

/// How many labels follow the star at least. `*.com`, `*.co.uk` and `*.github.io` are everybody's hosts: nobody's list of
/// public suffixes is asked, which would be out of date in a binary, and with three labels there is hardly one.
const MIN_LABELS: usize = 3;

/// Why a text is no [`HostPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostPatternError {
    /// It is no host name, or a star stands elsewhere than for its first label.
    #[error("it is no host name")]
    NotAHost,
    /// It could stand for hosts of strangers.
    #[error("it could stand for hosts of strangers: three labels at least follow `*.`")]
    TooWide,
}

/// One host, or each that has one label more than a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This one.
    One(HostName),
    /// `*.` and this: one label, whatever it is, and the domain.
    OneLabelBelow(HostName),
}

impl HostPattern {
    /// Reads `kubeflow.example.com` or `*.team-a.models.example.com`, in any spelling of the name.
    ///
    /// # Errors
    /// Where it is no host, or stands for too many.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        let name = |text: &str| HostName::parse(text).map_err(|_| HostPatternError::NotAHost);
        let Some(domain) = text.strip_prefix("*.") else { return Ok(Self::One(name(text)?)) };
        let domain = name(domain)?;
        let labels: Vec<&str> = domain.as_str().split('.').collect();
        // Addresses have no labels: `*.0.0.1`, `*.[::1]`.
        let is_address =
            labels.last().is_none_or(|last| last.ends_with(']') || last.bytes().all(|byte| byte.is_ascii_digit()));
        match labels.len() {
            _ if is_address => Err(HostPatternError::NotAHost),
            ..MIN_LABELS => Err(HostPatternError::TooWide),
            _ => Ok(Self::OneLabelBelow(domain)),
        }
    }

    /// Whether it stands for this host.
    #[must_use]
    pub fn matches(&self, host: &HostName) -> bool {
        match self {
            Self::One(name) => name == host,
            Self::OneLabelBelow(domain) => host.domain() == Some(domain.as_str()),
        }
    }

    /// Whether it stands for every host that `other` stands for.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::One(host) => self.matches(host),
            Self::OneLabelBelow(_) => self == other,
        }
    }

    /// Whether there is a host that both stand for.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => formatter.write_str(name.as_str()),
            Self::OneLabelBelow(domain) => write!(formatter, "*.{}", domain.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    fn matches(text: &str, host: &str) -> bool {
        pattern(text).matches(&HostName::parse(host).unwrap())
    }

    #[test]
    fn a_star_is_one_label_and_no_more() {
        let models = "*.team-a.models.example.com";
        assert!(matches(models, "iris.team-a.models.example.com"));
        assert!(matches(models, "IRIS.team-a.models.example.com."));
        for other in [
            "team-a.models.example.com",
            "a.iris.team-a.models.example.com",
            "iris.team-b.models.example.com",
            "iris-team-a.models.example.com",
            "xteam-a.models.example.com",
            "iris.team-a.models.example.com.evil.example",
        ] {
            assert!(!matches(models, other), "{other}");
        }
        assert!(matches("kf.example.com", "kf.example.com") && !matches("kf.example.com", "a.kf.example.com"));
    }

    #[test]
    fn what_could_be_a_strangers_host_is_too_wide() {
        for text in ["*.com", "*.co.uk", "*.github.io", "*.example.com", "*.localhost"] {
            assert_eq!(HostPattern::parse(text), Err(HostPatternError::TooWide), "{text}");
        }
        for text in
            ["*", "*.", "**.a.b.c", "*a.b.c.d", "a.*.b.c.d", "*.*.b.c.d", "*.a.b.c:443", "*.0.0.1", "*.[::1]", ""]
        {
            assert_eq!(HostPattern::parse(text), Err(HostPatternError::NotAHost), "{text}");
        }
    }

    #[test]
    fn patterns_are_compared_by_the_hosts_that_they_stand_for() {
        let (star, one, other) = (pattern("*.a.b.c"), pattern("x.a.b.c"), pattern("*.x.a.b.c"));
        assert!(star.covers(&one) && star.covers(&star) && !one.covers(&star) && !star.covers(&other));
        assert!(star.meets(&one) && one.meets(&star) && !star.meets(&other) && !one.meets(&other));
        assert_eq!(star.to_string(), "*.a.b.c");
    }
}
