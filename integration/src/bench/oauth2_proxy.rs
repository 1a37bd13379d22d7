//! oauth2-proxy, with a session in a cookie, as Envoy and nginx ask it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use url::Url;

use super::asked::{Asked, HEADERS, Shown};
use super::case::{Case, Load, Processes};
use super::ground::PATH;
use super::h2load::{H2load, Width};
use super::probe::Probe;
use crate::ports::Port;
use crate::process::{Launch, Process};
use crate::provider::Provider;
use crate::visitor::log_in;

/// Where it says whether a request may pass.
const AUTH: &str = "/oauth2/auth";
/// What it answers with where one may.
const ACCEPTED: u16 = 202;

/// A running oauth2-proxy, with somebody who is signed in.
#[derive(Debug)]
pub(super) struct OAuth2Proxy {
    process: Process,
    port: Port,
    cookie: String,
}

impl OAuth2Proxy {
    /// Starts it before this provider, without logs, and signs in.
    pub(super) async fn start(provider: &Provider) -> Result<Self> {
        let port = Port::take()?;
        let client = provider.client();
        let secret = client.secret.context("the provider's client has a secret")?;
        let mut process = Launch::new("oauth2-proxy", crate::parts::path("oauth2-proxy")?)
            .args(["--provider=oidc", "--email-domain=*", "--upstream=static://202", "--reverse-proxy=true"])
            .args(["--skip-provider-button=true", "--set-xauthrequest=true", "--cookie-secure=false"])
            .args(["--request-logging=false", "--auth-logging=false", "--standard-logging=false"])
            .args(["--scope=openid email profile groups", "--code-challenge-method=S256"])
            .arg(format!("--oidc-issuer-url={}", provider.issuer()))
            .arg(format!("--client-id={}", client.id))
            .arg(format!("--client-secret={secret}"))
            .arg(format!("--cookie-secret={}", URL_SAFE.encode([7; 32])))
            .arg(format!("--http-address={}", port.address()))
            .arg(format!("--redirect-url=http://{}/oauth2/callback", port.address()))
            .start()?;
        process.wait_for_ok(&format!("http://{}/ping", port.address()), Duration::from_mins(1)).await?;
        let cookie = sign_in(&format!("http://{}", port.address())).await?;
        Ok(Self { process, port, cookie })
    }

    /// The case of who is signed in.
    pub(super) fn case(&self) -> Result<Case> {
        let lines = Asked::script(PATH, Shown::Cookie(&self.cookie), HEADERS).lines().to_vec();
        let (address, url) = (self.port.address(), format!("http://{}{AUTH}", self.port.address()));
        let probe = Probe::Get { client: crate::http::plain_client()?, url, lines: lines.clone(), status: ACCEPTED };
        let load = Load::Same(H2load::get(address, &address.to_string(), AUTH, lines, true));
        let case = Case::new("oauth2-proxy, session in a cookie", load, Processes::alone(self.process.id()), probe);
        Ok(case.width(Width::HTTP1))
    }
}

/// Signs in as alice, and gives the cookies.
async fn sign_in(origin: &str) -> Result<String> {
    let client = crate::http::plain_client()?;
    let begun = client.get(format!("{origin}/oauth2/start?rd=/")).send().await?;
    let own = cookies(&begun);
    let location = begun.headers().get("location").context("no redirect to the provider")?.to_str()?;
    let back = log_in(&Url::parse(location)?, "alice").await?;
    let landed = client.get(back).header("cookie", own).send().await?;
    let session = cookies(&landed);
    ensure!(session.contains("_oauth2_proxy"), "no session: {} {}", landed.status(), landed.text().await?);
    Ok(session)
}

/// What a browser sends back of what it was told to keep.
fn cookies(response: &reqwest::Response) -> String {
    let told = response.headers().get_all("set-cookie").iter().filter_map(|told| told.to_str().ok());
    // Without a value they are told to be forgotten; with one they may end in base64's padding.
    let has_value = |pair: &&str| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty());
    let pairs = told.filter_map(|told| told.split(';').next()).filter(has_value);
    pairs.collect::<Vec<_>>().join("; ")
}
