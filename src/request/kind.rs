//! Who asks: a browser that goes to a page, a script, gRPC, a WebSocket.

use super::Headers;

/// The kind of a request, which decides how a refusal looks. It decides nothing about who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A browser goes to a page at top level: it can be sent to sign in.
    Navigation,
    /// A service worker passes a navigation on as a request of its own, whose redirects lead the browser on (mode
    /// `same-origin`). A script of the same origin can make the like.
    PassedOn,
    /// A script, or a service worker in its own name, asks for a page and follows redirects itself.
    FetchedPage,
    /// A browser loads a page into a frame: sign-in must leave the frame.
    FramedNavigation,
    /// A browser submits a form at top level, by another method than GET.
    Submission,
    /// A browser loads what nobody asked for yet.
    Prefetch,
    /// A WebSocket's handshake (RFC 6455 section 4.1, RFC 8441).
    WebSocket,
    /// A gRPC call.
    Grpc,
    /// A CORS preflight (Fetch standard section 3.3): it never carries credentials.
    Preflight,
    /// Everything else.
    Script,
}

impl Kind {
    pub(super) fn of(method: &str, headers: &Headers) -> Self {
        if is_grpc(headers) {
            Self::Grpc
        } else if is_websocket(headers) {
            Self::WebSocket
        } else if is_preflight(method, headers) {
            Self::Preflight
        } else if method != "GET" {
            let shows_answer = matches!(by_destination(headers), Self::Navigation | Self::PassedOn);
            if shows_answer { Self::Submission } else { Self::Script }
        } else if is_prefetch(headers) {
            Self::Prefetch
        } else if headers.contains("origin") {
            // A navigation by GET never carries one (Fetch standard, "append a request `Origin` header").
            Self::Script
        } else {
            by_destination(headers)
        }
    }

    /// Whether a page answers this request, rather than a document for a program.
    #[must_use]
    pub const fn wants_page(self) -> bool {
        match self {
            Self::Navigation | Self::PassedOn | Self::FetchedPage | Self::FramedNavigation | Self::Submission => true,
            Self::Prefetch | Self::WebSocket | Self::Grpc | Self::Preflight | Self::Script => false,
        }
    }

    /// Whether a redirect leads the browser on.
    #[must_use]
    pub const fn follows_redirects(self) -> bool {
        matches!(self, Self::Navigation | Self::PassedOn)
    }
}

fn is_grpc(headers: &Headers) -> bool {
    // Envoy treats exactly these as gRPC; `application/grpc-web` is ordinary HTTP to it.
    headers
        .single("content-type")
        .is_some_and(|value| value == "application/grpc" || value.starts_with("application/grpc+"))
}

fn is_websocket(headers: &Headers) -> bool {
    headers.values("upgrade").any(|value| value.to_ascii_lowercase().contains("websocket"))
}

fn is_preflight(method: &str, headers: &Headers) -> bool {
    method == "OPTIONS" && headers.contains("origin") && headers.contains("access-control-request-method")
}

fn is_prefetch(headers: &Headers) -> bool {
    ["sec-purpose", "purpose", "x-moz"]
        .iter()
        .flat_map(|name| headers.values(name))
        .any(|value| value.to_ascii_lowercase().contains("prefetch"))
}

fn by_destination(headers: &Headers) -> Kind {
    if !headers.contains("sec-fetch-mode") && !headers.contains("sec-fetch-dest") {
        let told_half = headers.contains("sec-fetch-site");
        return if !told_half && looks_like_a_browser(headers) { Kind::Navigation } else { Kind::Script };
    }
    match (headers.single("sec-fetch-mode"), headers.single("sec-fetch-dest")) {
        (Some("navigate"), Some("iframe" | "frame" | "embed" | "object" | "fencedframe")) => Kind::FramedNavigation,
        // Whatever the destination: `empty` where a service worker passes the request on. No script can make one (Fetch
        // standard, the constructor of `Request`).
        (Some("navigate"), _) => Kind::Navigation,
        (Some(mode @ ("same-origin" | "cors")), Some("empty")) if asks_for_own_page(headers) => {
            if mode == "same-origin" { Kind::PassedOn } else { Kind::FetchedPage }
        }
        _ => Kind::Script,
    }
}

fn asks_for_own_page(headers: &Headers) -> bool {
    headers.single("sec-fetch-site") == Some("same-origin") && looks_like_a_browser(headers)
}

/// For browsers without Fetch Metadata.
fn looks_like_a_browser(headers: &Headers) -> bool {
    headers.values("accept").any(|value| value.to_ascii_lowercase().contains("text/html"))
        && !headers.contains("x-requested-with")
        && !headers.contains("upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: &str, lines: &[(&str, &str)]) -> Kind {
        Kind::of(method, &Headers::new(lines.iter().copied()))
    }

    #[test]
    fn what_service_workers_pass_on_gets_a_page() {
        let of = |method: &str, mode: &str, dest: &str, site: &str, accept: &str| {
            let fetch = [("sec-fetch-mode", mode), ("sec-fetch-dest", dest), ("sec-fetch-site", site)];
            kind(method, &[&fetch[..], &[("accept", accept)]].concat())
        };
        let html = "text/html,application/xhtml+xml,*/*;q=0.8";
        assert_eq!(of("GET", "same-origin", "empty", "same-origin", html), Kind::PassedOn);
        assert_eq!(of("POST", "same-origin", "empty", "same-origin", html), Kind::Submission);
        assert_eq!(of("GET", "cors", "empty", "same-origin", html), Kind::FetchedPage);
        assert_eq!(of("POST", "cors", "empty", "same-origin", html), Kind::Script);
        assert_eq!(of("GET", "same-origin", "empty", "same-origin", "*/*"), Kind::Script);
        assert_eq!(of("GET", "same-origin", "script", "same-origin", html), Kind::Script);
        for site in ["same-site", "cross-site", "none", "same-origin,same-origin"] {
            assert_eq!(of("GET", "same-origin", "empty", site, html), Kind::Script, "{site}");
            assert_eq!(of("GET", "cors", "empty", site, html), Kind::Script, "{site}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let navigate = ("sec-fetch-mode", "navigate");
        for (method, lines, expected) in [
            ("GET", &[navigate, ("sec-fetch-dest", "document")][..], Kind::Navigation),
            ("POST", &[navigate, ("sec-fetch-dest", "document")], Kind::Submission),
            ("POST", &[navigate, ("sec-fetch-dest", "iframe")], Kind::Script),
            ("GET", &[navigate, ("sec-fetch-dest", "iframe")], Kind::FramedNavigation),
            ("GET", &[navigate, ("sec-fetch-dest", "document"), ("sec-purpose", "prefetch;prerender")], Kind::Prefetch),
            ("GET", &[navigate, ("sec-fetch-dest", "document"), ("x-moz", "prefetch")], Kind::Prefetch),
            ("GET", &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("accept", "text/html")], Kind::Script),
            ("GET", &[navigate, ("sec-fetch-dest", "empty")], Kind::Navigation),
            ("GET", &[navigate], Kind::Navigation),
            ("GET", &[navigate, ("sec-fetch-dest", "empty"), ("sec-purpose", "prefetch")], Kind::Prefetch),
            ("POST", &[navigate, ("sec-fetch-dest", "empty")], Kind::Submission),
            ("GET", &[navigate, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "document")], Kind::Script),
            ("GET", &[("accept", "text/html,*/*")], Kind::Navigation),
            ("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], Kind::Script),
            ("GET", &[("accept", "text/html"), ("origin", "https://evil.example")], Kind::Script),
            ("GET", &[("accept", "text/html"), ("sec-fetch-site", "cross-site")], Kind::Script),
            ("POST", &[("accept", "text/html"), ("origin", "https://kf.example.com")], Kind::Submission),
            ("GET", &[("accept", "*/*")], Kind::Script),
            ("GET", &[], Kind::Script),
            ("GET", &[("upgrade", "websocket"), ("accept", "text/html")], Kind::WebSocket),
            ("POST", &[("content-type", "application/grpc+proto")], Kind::Grpc),
            ("POST", &[("content-type", "application/grpc-web")], Kind::Script),
            ("OPTIONS", &[("origin", "https://a"), ("access-control-request-method", "PUT")], Kind::Preflight),
            ("OPTIONS", &[("origin", "https://a")], Kind::Script),
        ] {
            assert_eq!(kind(method, lines), expected, "{method} {lines:?}");
        }
    }
}
