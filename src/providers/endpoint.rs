//! An endpoint of a provider, read once: what a browser is sent to and what our client calls are the same place.

use http::Uri;
use thiserror::Error;
use url::Url;

use crate::request::Host;

/// The longest URL, in bytes. It stands in a `Location`, with a query of ours behind it.
const MAX_BYTES: usize = 2048;

/// Why a text is no endpoint. The text itself is not told: a log holds no more of a provider's words than it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum EndpointError {
    #[error("it is no URL")]
    NotAUrl,
    #[error("it is longer than 2048 bytes")]
    TooLong,
    #[error("it is not https")]
    Scheme,
    #[error("its host is no plain host name or address")]
    Host,
    #[error("it holds a user name or a password")]
    UserInfo,
    #[error("it holds a fragment")]
    Fragment,
    #[error("it cannot be called")]
    NotAUri,
}

/// An `https:` URL with a plain host, without user information and fragment (RFC 6749 sections 3.1 and 3.2), that is a
/// URL to browsers (WHATWG) and a URI to HTTP clients (RFC 3986) at once. The one allows hosts such as `{tenant}.example`,
/// which the other refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    url: Url,
    uri: Uri,
}

impl Endpoint {
    /// Reads an endpoint; `allow_http` lets `http:` pass too.
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Self, EndpointError> {
        if text.len() > MAX_BYTES {
            return Err(EndpointError::TooLong);
        }
        Self::from_url(&Url::parse(text).map_err(|_| EndpointError::NotAUrl)?, allow_http)
    }

    /// Reads an endpoint that somebody else took for a URL; as [`Endpoint::parse`].
    pub(crate) fn from_url(url: &Url, allow_http: bool) -> Result<Self, EndpointError> {
        if url.as_str().len() > MAX_BYTES {
            return Err(EndpointError::TooLong);
        }
        match url.scheme() {
            "https" => {}
            "http" if allow_http => {}
            _ => return Err(EndpointError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let host = url.host_str().ok_or(EndpointError::Host)?;
        if Host::parse(host).is_err() {
            return Err(EndpointError::Host);
        }
        let uri: Uri = url.as_str().parse().map_err(|_| EndpointError::NotAUri)?;
        // Two readers of one text must not come to two places.
        if uri.host() != Some(host) || uri.port_u16() != url.port() {
            return Err(EndpointError::NotAUri);
        }
        Ok(Self { url: url.clone(), uri })
    }

    /// As a browser reads it.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// As our client calls it.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// URLs that no endpoint may be, each of which some reader takes for one.
    pub(crate) fn unusable() -> Vec<String> {
        let long = format!("https://idp.example.com/{}", "a".repeat(70_000));
        let host = format!("https://{}.example.com/", "a".repeat(64));
        [
            "https://{tenant}.idp.example/revoke",
            "https://idp.{region}.example/revoke",
            "https://a b/",
            "https://[fe80::1%25eth0]/",
            "https://[fe80::1%eth0]/",
            "https://idp.example.com:99999/",
            "https://idp.example.com:x/",
            "https:///",
            "https://",
            "https://?x",
            "https://user@idp.example.com/",
            "https://user:password@idp.example.com/",
            "https://idp.example.com;report-uri x/",
            "https://idp.example.com;x,y/",
            "https://a..b/",
            "https://%/",
            "https://idp.example.com/#fragment",
            "//idp.example.com/",
            "/revoke",
            "",
            "https:idp.example.com\u{0}/",
            &long,
            &host,
        ]
        .map(str::to_owned)
        .into()
    }

    #[test]
    fn what_one_reader_refuses_is_no_endpoint() {
        for text in unusable() {
            assert!(Endpoint::parse(&text, false).is_err(), "{text:.60}");
        }
        let refusal = |text| Endpoint::parse(text, false).unwrap_err();
        assert_eq!(refusal("https://{tenant}.idp.example/revoke"), EndpointError::Host);
        assert_eq!(refusal("http://idp.example.com/"), EndpointError::Scheme);
        assert_eq!(refusal("javascript:alert(1)"), EndpointError::Scheme);
        assert!(Endpoint::parse("http://idp.example.com/", true).is_ok());
    }

    #[test]
    fn an_endpoint_is_one_place_to_both_readers() {
        for (text, read) in [
            ("https://idp.example.com/a?tenant={tenant}&x=%7b", "https://idp.example.com/a?tenant={tenant}&x=%7b"),
            ("https://idp.example.com/{tenant}/revoke", "https://idp.example.com/%7Btenant%7D/revoke"),
            ("https://IDP.example.com:443", "https://idp.example.com/"),
            ("https://idp.example.com:8443/a b", "https://idp.example.com:8443/a%20b"),
            ("https://größe.example/", "https://xn--gre-6ka8i.example/"),
            ("https://[::1]:8443/", "https://[::1]:8443/"),
            ("https://192.0.2.1/", "https://192.0.2.1/"),
            ("https://keycloak_1/realms/a", "https://keycloak_1/realms/a"),
        ] {
            let endpoint = Endpoint::parse(text, false).unwrap();
            assert_eq!((endpoint.url().as_str(), endpoint.uri().to_string().as_str()), (read, read), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_an_endpoint_that_the_two_read_apart(text in "https?://\\PC{0,40}") {
            if let Ok(endpoint) = Endpoint::parse(&text, true) {
                proptest::prop_assert_eq!(endpoint.uri().to_string(), endpoint.url().as_str());
            }
        }
    }
}
