use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use envoy_types::ext_authz::v3::{CheckRequestExt, CheckResponseExt, DeniedHttpResponseBuilder};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use super::*;
use crate::raw_client::{http1, http2};
use crate::upstream::{Protocol, Upstream};

/// Allows what carries `x-allow`, and refuses the rest.
struct Stand;

#[tonic::async_trait]
impl Authorization for Stand {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let request = request.into_inner();
        let headers = request.get_client_headers().expect("Envoy sends headers");
        let answer = if headers.contains_key("x-allow") {
            CheckResponse::with_status(Status::ok("yes"))
        } else {
            let mut denied = DeniedHttpResponseBuilder::new();
            denied.set_body("no");
            let mut answer = CheckResponse::with_status(Status::permission_denied("no"));
            answer.set_http_response(denied);
            answer
        };
        Ok(Response::new(answer))
    }
}

async fn stand() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(AuthorizationServer::new(Stand));
    tokio::spawn(server.serve_with_incoming(incoming));
    address
}

#[tokio::test]
async fn every_variant_asks_and_shows_what_passed() {
    let address = stand().await;
    for variant in Variant::ALL {
        let http1 = Upstream::start(Protocol::Http1).await.unwrap();
        let http2 = Upstream::start(Protocol::Http2).await.unwrap();
        let envoy = Envoy::builder(variant)
            .unwrap()
            .check(CheckAddress::Tcp(address))
            .upstream(&http1)
            .upstream(&http2)
            .start()
            .await
            .unwrap();

        let target = envoy.to_http1();
        let refused = http1::get(&target, "h.test", "/", &[]).await.unwrap();
        assert_eq!((refused.status, refused.text()), (403, "no".to_owned()));
        assert!(http1.received().is_empty());

        let lines = [("X-Allow", "1"), ("X-Two", "a"), ("X-Two", "b")];
        let passed = http1::get(&target, "h.test", "/a?b", &lines).await.unwrap();
        let echo = passed.echo().unwrap();
        assert_eq!((echo.target.as_str(), echo.protocol.as_str()), ("/a?b", "HTTP/1.1"));
        assert_eq!(echo.headers.all("x-two"), ["a", "b"], "{variant}");
        assert_eq!(http1.received(), [echo]);

        let request = http2::Request::get("h.test", "/c").header("x-allow", "1").trailer("x-end", "t");
        let passed = http2::exchange(&envoy.to_http2(), &request).await.unwrap();
        let echo = passed.echo().unwrap();
        assert_eq!((echo.target.as_str(), echo.protocol.as_str()), ("/c", "HTTP/2"));
        assert_eq!(echo.trailers.only("x-end"), Some("t"), "{variant}");
        assert_eq!(envoy.stat("http.http1.ext_authz.denied").await.unwrap(), 1);
    }
}

#[tokio::test]
async fn tls_and_routes_without_a_check_work() {
    let authority = crate::pki::Authority::new("test").unwrap();
    let checked = Upstream::start(Protocol::Http1).await.unwrap();
    let free = Upstream::start(Protocol::Http1).await.unwrap();
    let envoy = Envoy::builder(Variant::NEWEST)
        .unwrap()
        .upstream(&checked)
        .tls(authority.server(&["free.test"]).unwrap())
        .host_route(HostRoute { host: "free.test".to_owned(), address: free.address(), checked: false })
        .start()
        .await
        .unwrap();
    let target = Target::tls(envoy.tls_address(), "free.test", &authority.pem()).unwrap();
    let passed = http1::get(&target, "free.test:443", "/", &[]).await.unwrap();
    assert!(passed.is_from_upstream());
    assert_eq!(free.received().len(), 1);
    // Nobody answers the checks: closed.
    let refused = http1::get(&target, "h.test", "/", &[]).await.unwrap();
    assert_eq!(refused.status, 503);
}
