//! The request that is checked, as a browser behind a usual gateway sends it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use envoy_types::ext_authz::v3::pb::CheckRequest;
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, SocketAddress};
use prost::Message as _;

use crate::check_client::Check;
use crate::portcullis::HOST;

/// How many headers a usual request has, the four pseudo-headers among them: 2.8 KB as a message.
pub(super) const HEADERS: usize = 26;
/// `:method`, `:path`, `:authority` and `:scheme`.
const PSEUDO: usize = 4;
/// Cookies of applications.
const COOKIES: &str = "_ga=GA1.2.1234567890.1700000000; theme=dark; locale=en-GB; \
    grafana_session=5f1d2c3b0000400080000123456789ab; _xsrf=2|3f1e2d4c|a1b2c3d4e5f60718293a4b5c6d7e8f90|1700000000; \
    username-127-0-0-1-8888=2|1:0|10:1700000000|23:username-127-0-0-1-8888|44:YTFiMmMzZDRlNWY2MDcxODI5M2E0YjVjNmQ3ZTg=";
/// One of them is long: what an application keeps of a person's wishes.
const OTHER_COOKIE_BYTES: usize = 920;
/// What stands in each request, the first ones also in a short one.
const LINES: [(&str, &str); 20] = [
    ("sec-fetch-site", "same-origin"),
    ("accept", "application/json, text/plain, */*"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
    (
        "x-forwarded-client-cert",
        "By=spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway;\
         Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;\
         Subject=\"CN=front,O=Example,C=GB\";URI=spiffe://cluster.local/ns/team-a/sa/notebook-controller-service-account",
    ),
    ("x-request-id", "3f1e2d4c-a1b2-4c3d-8e5f-60718293a4b5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8,fr;q=0.7"),
    ("referer", "https://kubeflow.test/_/pipeline/?ns=team-a#/runs/details/3f1e2d4c-a1b2-4c3d-8e5f-60718293a4b5"),
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-proto", "https"),
    ("x-envoy-external-address", "192.0.2.7"),
    ("x-envoy-attempt-count", "1"),
    ("sec-ch-ua", "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("priority", "u=1, i"),
    ("cache-control", "no-cache"),
    ("pragma", "no-cache"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "congo=t61rcWkgMzE,rojo=1112131415161718"),
];

/// What the caller shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// A cookie of ours, among others.
    Cookie(&'a str),
    /// A token.
    Bearer(&'a str),
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    host: String,
    path: String,
    lines: Vec<(String, String)>,
}

impl Asked {
    /// A script's `GET`, with so many headers in all.
    #[must_use]
    pub(super) fn script(path: &str, shown: Shown<'_>, headers: usize) -> Self {
        Self::new(path, "cors", "empty", shown, headers)
    }

    /// A browser's `GET` of a page.
    #[must_use]
    pub(super) fn page(path: &str, shown: Shown<'_>, headers: usize) -> Self {
        Self::new(path, "navigate", "document", shown, headers)
    }

    fn new(path: &str, mode: &str, destination: &str, shown: Shown<'_>, headers: usize) -> Self {
        let others = format!("{COOKIES}; preferences={}", "eyJhIjox".repeat(OTHER_COOKIE_BYTES / 8));
        let mut lines = match shown {
            Shown::Nothing => vec![("cookie", others)],
            // Ours stands between the others.
            Shown::Cookie(cookie) => vec![("cookie", format!("{others}; {cookie}; last=1"))],
            Shown::Bearer(token) => vec![("authorization", format!("Bearer {token}")), ("cookie", others)],
        };
        lines.extend([("sec-fetch-mode", mode.to_owned()), ("sec-fetch-dest", destination.to_owned())]);
        lines.extend(LINES.map(|(name, value)| (name, value.to_owned())));
        let mut lines: Vec<_> = lines.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let own = headers.saturating_sub(PSEUDO);
        while lines.len() < own {
            lines.push((format!("x-application-{:02}", lines.len()), "f47ac10b-58cc-4372-a567-0e02b2c3d479".repeat(2)));
        }
        lines.truncate(own);
        Self { host: HOST.to_owned(), path: path.to_owned(), lines }
    }

    /// At another host.
    #[must_use]
    pub(super) fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// The header lines, without the pseudo-headers.
    #[must_use]
    pub(super) fn lines(&self) -> &[(String, String)] {
        &self.lines
    }

    /// As Envoy tells an ext_authz server of it.
    #[must_use]
    pub(super) fn check(&self) -> CheckRequest {
        let check = Check::get(&self.host, &self.path).scheme("https");
        let check = self.lines.iter().fold(check, |check, (name, value)| check.header(name, value));
        let mut request = check.build();
        if let Some(attributes) = &mut request.attributes {
            let source = attributes.source.get_or_insert_default();
            source.address = Some(socket("192.0.2.7", 54_321));
            attributes.destination.get_or_insert_default().address = Some(socket("10.0.0.17", 8443));
        }
        request
    }

    /// Writes the check as h2load sends it, into a new file of this folder.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let number = fs::read_dir(folder)?.count();
        let file = folder.join(format!("message-{number}"));
        fs::write(&file, framed(&self.check())?)?;
        Ok(file)
    }
}

/// A message as gRPC sends it: not compressed, its length, its bytes.
pub(super) fn framed(request: &CheckRequest) -> Result<Vec<u8>> {
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).context("a check is shorter than 4 GiB")?;
    Ok([[0].as_slice(), &length.to_be_bytes(), &message].concat())
}

fn socket(address: &str, port: u32) -> Address {
    let socket = SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Address { address: Some(AddressKind::SocketAddress(socket)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_headers_and_the_size_that_are_told() {
        let cookie = format!("__Host-portcullis={}", "x".repeat(100));
        for headers in [10, HEADERS, 80] {
            let check = Asked::script("/page", Shown::Cookie(&cookie), headers).check();
            let http = check.attributes.unwrap().request.unwrap().http.unwrap();
            assert_eq!(http.headers.len(), headers);
            assert!(http.headers["cookie"].contains(&cookie));
        }
        let length = framed(&Asked::script("/page", Shown::Cookie(&cookie), HEADERS).check()).unwrap().len();
        assert!((2500..3100).contains(&length), "{length} bytes");
    }
}
