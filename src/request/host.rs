//! The authority of a request (RFC 3986 section 3.2), as one plain host and port.

use std::net::Ipv6Addr;

use thiserror::Error;

/// Why a text is no plain authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not one plain host name with an optional port")]
pub struct HostError;

/// A host's name in the one spelling that rules are written in: lower case, without a trailing dot, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// Reads a host without a port, in any spelling.
    ///
    /// # Errors
    /// Where it is not one plain host, or has a port.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        match Host::parse(text)? {
            Host { name, port: None } => Ok(name),
            Host { port: Some(_), .. } => Err(HostError),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its first label, where it has more than one.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, domain)| domain)
    }

    /// Every domain that it is below, the longest first.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.domain(), |domain| domain.split_once('.').map(|(_, domain)| domain))
    }
}

/// A host as requests name it; the port apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    name: HostName,
    port: Option<u16>,
}

impl Host {
    /// Reads an authority. User information, lists, spaces and anything else that is no host name are refused.
    ///
    /// # Errors
    /// Where it is not one plain host with an optional port.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let (name, port) = split_port(text)?;
        let name = if name.starts_with('[') { ipv6_name(name)? } else { domain_name(name)? };
        Ok(Self { name: HostName(name), port })
    }

    /// The host's name in lower case, without a trailing dot.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The host's name alone.
    #[must_use]
    pub const fn host_name(&self) -> &HostName {
        &self.name
    }

    /// The port, where one was given.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), HostError> {
    let colon = match text.rfind(']') {
        Some(end) => text.get(end..).and_then(|rest| rest.find(':')).map(|at| end + at),
        None => text.find(':'),
    };
    let Some(colon) = colon else { return Ok((text, None)) };
    let (name, rest) = text.split_at_checked(colon).ok_or(HostError)?;
    let port = rest.strip_prefix(':').ok_or(HostError)?;
    if port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError);
    }
    Ok((name, Some(port.parse().map_err(|_| HostError)?)))
}

fn ipv6_name(text: &str) -> Result<String, HostError> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or(HostError)?;
    let address: Ipv6Addr = inner.parse().map_err(|_| HostError)?;
    Ok(format!("[{address}]"))
}

fn domain_name(text: &str) -> Result<String, HostError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if text.len() <= 253 && text.split('.').all(label) { Ok(text.to_ascii_lowercase()) } else { Err(HostError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_one() {
        for text in ["kf.example.com", "KF.Example.COM", "kf.example.com.", "kf.example.com:443", "kf.example.com.:443"]
        {
            assert_eq!(Host::parse(text).unwrap().name(), "kf.example.com", "{text}");
        }
        assert_eq!(Host::parse("[::1]:8443").unwrap(), Host { name: HostName("[::1]".into()), port: Some(8443) });
        assert_eq!(Host::parse("127.0.0.1:80").unwrap().port(), Some(80));
    }

    #[test]
    fn what_is_not_one_plain_authority_is_refused() {
        for text in [
            "",
            ".",
            "a,evil",
            "user:pw@kf",
            "user@kf",
            "kf:",
            "kf:x",
            "kf:99999",
            "kf:1:2",
            "a b",
            "a..b",
            "a/b",
            "[::1",
            "[x]",
            "[::1]x",
            "kf\u{212a}",
            "kf\0",
            "%6bf",
            "kf..",
            "a\tb",
        ] {
            assert_eq!(Host::parse(text), Err(HostError), "{text:?}");
        }
    }
}
