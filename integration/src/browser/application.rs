//! An application behind the gateway that shows a visitor what it was told.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use axum::Router;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The application; every page is about the visitor, and therefore not to be kept. `/framing` shows
/// `/framed` inside a frame, and `/worker.js` is a service worker.
#[derive(Debug)]
pub struct Application {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Application {
    /// Starts it on a free loopback port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/framing", get(framing)).route("/worker.js", get(worker)).fallback(page);
        let server = tokio::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let told = |name: &str| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        escape(&values.collect::<Vec<_>>().join(" and "))
    };
    html(&format!(
        "<h1>The application</h1>\
         <dl><dt>Address<dd id=address>{}<dt>User<dd id=user>{}<dt>Groups<dd id=groups>{}<dt>Cookies<dd id=cookies>{}</dl>",
        escape(&uri.to_string()),
        told("kubeflow-userid"),
        told("kubeflow-groups"),
        told("cookie"),
    ))
}

/// A service worker that passes everything on in the way that the query names.
async fn worker(uri: Uri) -> Response {
    let pass_on = match uri.query() {
        Some("whole") => "event.respondWith(fetch(event.request))",
        Some("signal") => "event.respondWith(fetch(event.request, { signal: new AbortController().signal }))",
        Some("copy") => "event.respondWith(fetch(new Request(event.request, { headers: event.request.headers })))",
        // What has a body cannot be asked for by its address alone.
        Some("address") => "if (event.request.method === 'GET') event.respondWith(fetch(event.request.url))",
        _ => "",
    };
    let script = format!(
        "addEventListener('install', () => skipWaiting()); \
         addEventListener('activate', (event) => event.waitUntil(clients.claim())); \
         addEventListener('fetch', (event) => {{ {pass_on} }});"
    );
    ([(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "text/javascript")], script).into_response()
}

async fn framing() -> Response {
    html(
        "<h1>The dashboard</h1><iframe id=frame src=/framed title=notebook style=\"width:100%;height:420px\"></iframe>",
    )
}

fn html(body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>Application</title><body>{body}"
    );
    ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
