//! The cross-site guard: whose page made the browser ask (Fetch Metadata; RFC 6454 for `Origin`).

use url::Url;

use super::{Headers, Host};

/// Whose page a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// This host's own page, the address bar, or an origin that the rule names.
    SameOrigin,
    /// Another site's page, or a sibling's: the cookie is not the caller's word.
    CrossOrigin,
    /// No browser said anything.
    NoBrowser,
}

impl Provenance {
    pub(super) fn of(headers: &Headers, host: &Host, own: Option<&str>, allowed: &[String]) -> Self {
        let by_origin = origin_of(headers, host, own, allowed);
        if by_origin == Some(Origin::Named) {
            return Self::SameOrigin;
        }
        let by_site = site_of(headers);
        match (by_site, by_origin) {
            (Some(false), _) | (_, Some(Origin::Foreign)) => Self::CrossOrigin,
            (None, None) => Self::NoBrowser,
            _ => Self::SameOrigin,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Own,
    Named,
    Foreign,
}

/// What `Sec-Fetch-Site` says: `same-origin` and `none` (the address bar) are this host's own; all else is not, an
/// unknown or doubled value too.
fn site_of(headers: &Headers) -> Option<bool> {
    headers.contains("sec-fetch-site").then(|| matches!(headers.single("sec-fetch-site"), Some("same-origin" | "none")))
}

fn origin_of(headers: &Headers, host: &Host, own: Option<&str>, allowed: &[String]) -> Option<Origin> {
    if !headers.contains("origin") {
        return None;
    }
    let Some(origin) = headers.single("origin") else { return Some(Origin::Foreign) };
    if allowed.iter().any(|named| named == origin) {
        return Some(Origin::Named);
    }
    // A page of ours with `Referrer-Policy: no-referrer` has its own forms sent without a name (Fetch standard, "append a
    // request `Origin` header"). Frames without an origin say `null`, too, but never `same-origin`.
    if origin == "null" && headers.single("sec-fetch-site") == Some("same-origin") {
        return Some(Origin::Own);
    }
    let ours = match own {
        Some(own) => own == origin,
        None => is_of_host(origin, host),
    };
    Some(if ours { Origin::Own } else { Origin::Foreign })
}

/// For hosts that have no configured origin: the same host and the same port, over https or http.
fn is_of_host(origin: &str, host: &Host) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let port = |given: Option<u16>| given.filter(|port| !matches!(port, 80 | 443));
    matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|name| name == host.name())
        && port(url.port()) == port(host.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance(lines: &[(&str, &str)]) -> Provenance {
        let own = Some("https://kf.example.com");
        let allowed = ["https://ide.example.com".to_owned()];
        Provenance::of(&Headers::new(lines.iter().copied()), &Host::parse("kf.example.com").unwrap(), own, &allowed)
    }

    #[test]
    fn only_this_host_s_pages_and_named_origins_are_same_origin() {
        use Provenance::{CrossOrigin, NoBrowser, SameOrigin};
        for (lines, expected) in [
            (&[][..], NoBrowser),
            (&[("sec-fetch-site", "same-origin")], SameOrigin),
            (&[("sec-fetch-site", "none")], SameOrigin),
            (&[("sec-fetch-site", "same-site")], CrossOrigin),
            (&[("sec-fetch-site", "cross-site")], CrossOrigin),
            (&[("sec-fetch-site", "same-origin,none")], CrossOrigin),
            (&[("origin", "https://kf.example.com")], SameOrigin),
            (&[("origin", "http://kf.example.com")], CrossOrigin),
            (&[("origin", "https://kf.example.com:8443")], CrossOrigin),
            (&[("origin", "null")], CrossOrigin),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], SameOrigin),
            (&[("origin", "null"), ("sec-fetch-site", "none")], CrossOrigin),
            (&[("origin", "null"), ("sec-fetch-site", "same-site")], CrossOrigin),
            (&[("origin", "null"), ("sec-fetch-site", "cross-site")], CrossOrigin),
            (&[("origin", "null"), ("sec-fetch-site", "Same-Origin")], CrossOrigin),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], CrossOrigin),
            (&[("origin", "null"), ("origin", "null"), ("sec-fetch-site", "same-origin")], CrossOrigin),
            (&[("origin", "NULL"), ("sec-fetch-site", "same-origin")], CrossOrigin),
            (&[("origin", "https://evil.example")], CrossOrigin),
            (&[("origin", "https://kf.example.com"), ("origin", "https://kf.example.com")], CrossOrigin),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], CrossOrigin),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://kf.example.com")], CrossOrigin),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://ide.example.com")], SameOrigin),
        ] {
            assert_eq!(provenance(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_host_without_a_configured_origin_is_compared_by_name_and_port() {
        let check = |origin: &str, host: &str| {
            let headers = Headers::new([("origin", origin)]);
            Provenance::of(&headers, &Host::parse(host).unwrap(), None, &[])
        };
        assert_eq!(check("https://a.example", "a.example"), Provenance::SameOrigin);
        assert_eq!(check("https://a.example:8443", "a.example:8443"), Provenance::SameOrigin);
        assert_eq!(check("https://a.example:8443", "a.example"), Provenance::CrossOrigin);
        assert_eq!(check("https://b.example", "a.example"), Provenance::CrossOrigin);
    }
}
