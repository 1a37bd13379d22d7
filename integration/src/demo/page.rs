//! The service behind the demonstration's gateway: it shows what it received, and offers to forge.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use axum::Router;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;

/// The headers that tell an identity.
const IDENTITY: &[&str] = &["kubeflow-userid", "kubeflow-groups", "auth-method", "portcullis-assertion"];
/// The page, with `@WHO@`, `@ROWS@` and `@PATH@` to fill in.
const PAGE: &str = include_str!("page.html");

/// Serves the page on a free port of loopback.
pub(super) async fn serve() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(show)).await });
    Ok(address)
}

async fn show(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let line = |name: &str, value: &[u8]| (name.to_owned(), String::from_utf8_lossy(value).into_owned());
    let received: Vec<(String, String)> =
        headers.iter().map(|(name, value)| line(name.as_str(), value.as_bytes())).collect();
    let is_identity = |name: &str| IDENTITY.contains(&name.replace(['_', '.'], "-").as_str());
    let identity: Vec<_> = received.iter().filter(|(name, _)| is_identity(name)).cloned().collect();
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return Html(page(uri.path(), &received, &identity)).into_response();
    }
    let document = json!({ "method": method.as_str(), "path": uri.path(), "identity": identity, "headers": received });
    ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

fn page(path: &str, received: &[(String, String)], identity: &[(String, String)]) -> String {
    let who = identity.iter().find(|(name, _)| name == "kubeflow-userid").map_or("nobody", |(_, value)| value);
    let rows = received.iter().fold(String::new(), |rows, (name, value)| {
        let class = if identity.iter().any(|(ours, _)| ours == name) { " class=\"trusted\"" } else { "" };
        format!("{rows}<tr{class}><th scope=\"row\">{}</th><td>{}</td></tr>", escape(name), escape(value))
    });
    PAGE.replace("@WHO@", &escape(who)).replace("@PATH@", &escape(path)).replace("@ROWS@", &rows)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
