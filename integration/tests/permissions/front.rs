//! A real gateway in front of applications.

use std::net::SocketAddr;

use portcullis_integration::check_client::reason_of;
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::portcullis::ORIGIN;
use portcullis_integration::raw_client::http1::{Connection, request};
use portcullis_integration::raw_client::{Response, Stream, Target};
use portcullis_integration::upstream::{Protocol, Upstream};
use portcullis_integration::visitor::Visitor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ground::{Ground, Who};

/// An Envoy that asks the gate. What belongs to no application reaches an upstream, which tells what it got.
pub(crate) struct Front {
    envoy: Envoy,
    pub(crate) upstream: Upstream,
}

impl Front {
    /// Each application has what begins with its path.
    pub(crate) async fn start(ground: &Ground, variant: Variant, applications: &[(&str, SocketAddr)]) -> Self {
        let upstream = Upstream::start(Protocol::Http1).await.unwrap();
        let mut envoy = Envoy::builder(variant).unwrap().check(ground.portcullis.check_address()).upstream(&upstream);
        for (prefix, address) in applications {
            envoy = envoy.path_route(prefix, *address);
        }
        Self { envoy: envoy.start().await.unwrap(), upstream }
    }

    pub(crate) fn variant(&self) -> Variant {
        self.envoy.variant()
    }

    pub(crate) fn target(&self) -> Target {
        self.envoy.to_http1()
    }

    pub(crate) fn visitor(&self, ground: &Ground, who: Who) -> Visitor {
        ground.visitor(self.target(), who)
    }

    /// Opens a WebSocket as a script of a page of ours does; the answer where it is refused.
    pub(crate) async fn open(&self, visitor: &Visitor, path: &str) -> Result<Socket, Response> {
        let pairs: Vec<String> = visitor.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = pairs.join("; ");
        let lines = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("origin", ORIGIN),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "websocket"),
            ("sec-fetch-dest", "websocket"),
            ("cookie", &cookies),
        ];
        let mut connection = Connection::open(&self.target()).await.unwrap();
        let host = ORIGIN.trim_start_matches("https://");
        connection.send(&request("GET", host, path, &lines)).await.unwrap();
        let answer = connection.receive("GET").await.unwrap();
        if answer.status == 101 { Ok(Socket { stream: connection.into_stream() }) } else { Err(answer) }
    }
}

/// An open WebSocket (RFC 6455), for short texts.
pub(crate) struct Socket {
    stream: Box<dyn Stream>,
}

impl Socket {
    /// The text of the next frame.
    pub(crate) async fn hear(&mut self) -> String {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.unwrap();
        let mut length = usize::from(head[1]);
        assert!(length < 127, "no short frame: {head:?}");
        if length == 126 {
            length = self.stream.read_u16().await.unwrap().into();
        }
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Sends a text of at most 125 bytes in one frame, with the mask that changes nothing.
    pub(crate) async fn say(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126, "it is too long: {text}");
        let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.stream.write_all(&frame).await.unwrap();
        self.stream.flush().await.unwrap();
    }
}

/// Whether an application or the upstream answered, rather than the gateway or the gate.
pub(crate) fn is_from_behind(answer: &Response) -> bool {
    answer.headers.only("x-envoy-upstream-service-time").is_some()
}

/// Fails where the gate did not refuse for want of a permission.
pub(crate) fn assert_denied(answer: &Response, what: &str) {
    let reason = reason_of(&answer.text());
    assert_eq!((answer.status, reason.as_deref()), (403, Some("access_review_denied")), "{what}: {}", answer.text());
    assert!(!is_from_behind(answer), "{what}");
}
