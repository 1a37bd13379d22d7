//! Hosts as the configuration names them: one, or those below a domain.

use std::fmt;

use thiserror::Error;

use super::host::HostName;

/// How many labels follow the star at least: `*.com` is everybody's.
const MIN_LABELS: usize = 2;
/// With so many there is hardly a public suffix: nobody's list of these is asked, which would be out of date in a binary.
const NARROW_LABELS: usize = 3;

/// Why a text is no [`HostPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostPatternError {
    /// It is no host name, or a star stands elsewhere than for its first label.
    #[error("it is no host name")]
    NotAHost,
    /// It stands for hosts of strangers.
    #[error("it stands for hosts of strangers: two labels at least follow the star")]
    TooWide,
}

/// One host, or hosts below a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This one.
    One(HostName),
    /// `*.` and this: one label, whatever it is, and the domain.
    OneLabelBelow(HostName),
    /// `**.` and this: one label or more, and the domain.
    Below(HostName),
}

impl HostPattern {
    /// Reads `kubeflow.example.com`, `*.models.example.com` or `**.svc.cluster.local`, in any spelling of the name.
    ///
    /// # Errors
    /// Where it is no host, or stands for too many.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        let name = |text: &str| HostName::parse(text).map_err(|_| HostPatternError::NotAHost);
        let (below, domain): (fn(HostName) -> Self, _) = match (text.strip_prefix("**."), text.strip_prefix("*.")) {
            (Some(domain), _) => (Self::Below, domain),
            (None, Some(domain)) => (Self::OneLabelBelow, domain),
            (None, None) => return Ok(Self::One(name(text)?)),
        };
        let domain = name(domain)?;
        // Addresses have no labels: `*.0.0.1`, `*.[::1]`.
        let last = domain.as_str().rsplit('.').next();
        let is_address = last.is_none_or(|last| last.ends_with(']') || last.bytes().all(|byte| byte.is_ascii_digit()));
        match labels(&domain) {
            _ if is_address => Err(HostPatternError::NotAHost),
            ..MIN_LABELS => Err(HostPatternError::TooWide),
            _ => Ok(below(domain)),
        }
    }

    /// Whether it may stand for hosts of strangers: of `*.co.uk` it does, of `*.example.com` not.
    #[must_use]
    pub fn may_be_wide(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::OneLabelBelow(domain) | Self::Below(domain) => labels(domain) < NARROW_LABELS,
        }
    }

    /// Whether it stands for this host.
    #[must_use]
    pub fn matches(&self, host: &HostName) -> bool {
        match self {
            Self::One(name) => name == host,
            Self::OneLabelBelow(domain) => host.domain() == Some(domain.as_str()),
            Self::Below(domain) => host.domains().any(|below| below == domain.as_str()),
        }
    }

    /// Whether it stands for every host that `other` stands for.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::One(host)) => self.matches(host),
            (Self::Below(domain), Self::OneLabelBelow(other) | Self::Below(other)) => {
                domain == other || self.matches(other)
            }
            (_, Self::OneLabelBelow(_) | Self::Below(_)) => self == other,
        }
    }

    /// Whether there is a host that both stand for.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

fn labels(domain: &HostName) -> usize {
    domain.as_str().split('.').count()
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => formatter.write_str(name.as_str()),
            Self::OneLabelBelow(domain) => write!(formatter, "*.{}", domain.as_str()),
            Self::Below(domain) => write!(formatter, "**.{}", domain.as_str()),
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
    fn two_stars_are_one_label_or_more() {
        let services = "**.svc.cluster.local";
        for host in ["iris.team-a.svc.cluster.local", "IRIS.svc.cluster.local.", "a.b.c.d.svc.cluster.local"] {
            assert!(matches(services, host), "{host}");
        }
        for other in [
            "svc.cluster.local",
            "xsvc.cluster.local",
            "team-a.xsvc.cluster.local",
            "cluster.local",
            "team-a.svc.cluster.local.evil.example",
        ] {
            assert!(!matches(services, other), "{other}");
        }
    }

    #[test]
    fn what_is_everybodys_is_too_wide_and_what_may_be_is_told() {
        for text in ["*.com", "*.localhost", "**.com", "**.local"] {
            assert_eq!(HostPattern::parse(text), Err(HostPatternError::TooWide), "{text}");
        }
        for text in [
            "*",
            "*.",
            "**",
            "**.",
            "***.a.b.c",
            "*a.b.c.d",
            "a.*.b.c.d",
            "*.*.b.c.d",
            "*.a.b.c:443",
            "*.0.0.1",
            "*.[::1]",
            "",
        ] {
            assert_eq!(HostPattern::parse(text), Err(HostPatternError::NotAHost), "{text}");
        }
        for text in ["*.co.uk", "*.example.com", "**.example.com"] {
            assert!(pattern(text).may_be_wide(), "{text}");
        }
        for text in ["example.com", "*.models.example.com", "**.svc.cluster.local"] {
            assert!(!pattern(text).may_be_wide(), "{text}");
        }
    }

    #[test]
    fn patterns_are_compared_by_the_hosts_that_they_stand_for() {
        let (star, one, other) = (pattern("*.a.b.c"), pattern("x.a.b.c"), pattern("*.x.a.b.c"));
        assert!(star.covers(&one) && star.covers(&star) && !one.covers(&star) && !star.covers(&other));
        assert!(star.meets(&one) && one.meets(&star) && !star.meets(&other) && !one.meets(&other));
        assert_eq!(star.to_string(), "*.a.b.c");
        let (wide, inner) = (pattern("**.a.b.c"), pattern("**.x.a.b.c"));
        for narrow in [&star, &one, &other, &inner, &wide] {
            assert!(wide.covers(narrow) && wide.meets(narrow) && narrow.meets(&wide), "{narrow}");
        }
        assert!(!star.covers(&wide) && !inner.covers(&wide) && !inner.meets(&star) && !inner.meets(&one));
        assert!(inner.meets(&other) && !wide.covers(&pattern("a.b.c")) && !wide.meets(&pattern("**.b.c.d")));
        assert_eq!(wide.to_string(), "**.a.b.c");
    }
}
