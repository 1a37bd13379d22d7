//! A browser's part in a sign-in, step by step and without a browser: navigations and cookies.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use url::Url;

use crate::raw_client::{Response, Target, http1};

/// A visitor of one origin, with the cookies of that origin.
#[derive(Debug, Clone)]
pub struct Visitor {
    target: Target,
    origin: Url,
    /// The cookies, by name. Tests may steal, plant and delete them.
    pub cookies: BTreeMap<String, String>,
}

impl Visitor {
    /// A visitor who reaches `origin` at `target`, and has no cookies yet.
    pub fn new(target: Target, origin: &str) -> Result<Self> {
        Ok(Self { target, origin: Url::parse(origin)?, cookies: BTreeMap::new() })
    }

    /// Opens a page as a browser does when its address is typed.
    pub async fn navigate(&mut self, path: &str) -> Result<Response> {
        let lines = [
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        self.request("GET", path, &lines).await
    }

    /// Calls from a script of the same origin.
    pub async fn fetch(&mut self, method: &str, path: &str) -> Result<Response> {
        let origin = self.origin.origin().ascii_serialization();
        let lines = [
            ("accept", "*/*"),
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ];
        self.request(method, path, &lines).await
    }

    /// Sends a form of a page of the same origin, as a browser does when its button is pressed.
    pub async fn submit(&mut self, path: &str, form: &str) -> Result<Response> {
        let origin = self.origin.origin().ascii_serialization();
        let length = form.len().to_string();
        let lines = [
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-length", length.as_str()),
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        self.send("POST", path, &lines, form).await
    }

    /// Any request without a body, with this visitor's cookies.
    pub async fn request(&mut self, method: &str, path: &str, lines: &[(&str, &str)]) -> Result<Response> {
        self.send(method, path, lines, "").await
    }

    async fn send(&mut self, method: &str, path: &str, lines: &[(&str, &str)], body: &str) -> Result<Response> {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = pairs.join("; ");
        let mut lines = lines.to_vec();
        if !cookies.is_empty() {
            lines.push(("cookie", &cookies));
        }
        let host = self.host()?;
        let request = [http1::request(method, &host, path, &lines), body.as_bytes().to_vec()].concat();
        let response = http1::exchange(&self.target, &request).await?;
        for cookie in response.headers.all("set-cookie") {
            keep(&mut self.cookies, cookie)?;
        }
        Ok(response)
    }

    /// Signs in as `user`, and gives the answer of the page that was wanted.
    pub async fn sign_in(&mut self, user: &str, path: &str) -> Result<Response> {
        let to_provider = self.begin(path).await?;
        let back = log_in(&to_provider, user).await?;
        let landing = self.come_back(&back).await?;
        self.navigate(&landing).await
    }

    /// First step: opens a page, and gives the provider's URL to which that redirects.
    pub async fn begin(&mut self, path: &str) -> Result<Url> {
        let response = self.navigate(path).await?;
        let location = location(&response).context("no redirect to the provider")?;
        let url = Url::parse(location).with_context(|| format!("no absolute URL: {location}"))?;
        ensure!(url.origin() != self.origin.origin(), "redirected to the same origin: {url}");
        Ok(url)
    }

    /// Last step: opens the callback, and gives the path to which that redirects.
    pub async fn come_back(&mut self, callback: &Url) -> Result<String> {
        ensure!(callback.origin() == self.origin.origin(), "sent back to another origin: {callback}");
        let response = self.navigate(&path_and_query(callback)).await?;
        let location = location(&response).context("the callback does not redirect")?;
        let landing = self.origin.join(location)?;
        ensure!(landing.origin() == self.origin.origin(), "landed at another origin: {landing}");
        Ok(path_and_query(&landing))
    }

    fn host(&self) -> Result<String> {
        let host = self.origin.host_str().context("an origin has a host")?;
        Ok(self.origin.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

/// Middle step: chooses a user at the scripted provider, and gives the URL of the callback.
pub async fn log_in(authorization: &Url, user: &str) -> Result<Url> {
    let client = crate::http::plain_client()?;
    let page = client.get(authorization.clone()).send().await?;
    let status = page.status();
    if !status.is_success() {
        bail!("the provider refuses {authorization}: {status} {}", page.text().await?);
    }
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(authorization.query_pairs())
        .append_pair("user", user)
        .finish();
    let login = client
        .post(authorization.join("login")?)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await?;
    sent_by(login).await.with_context(|| format!("the provider does not send {user} back"))
}

/// Opens a URL of the scripted provider that shows no page, and gives where it sends the browser.
pub async fn sent_on(url: &Url) -> Result<Url> {
    let answer = crate::http::plain_client()?.get(url.clone()).send().await?;
    sent_by(answer).await.with_context(|| format!("{url} leads nowhere"))
}

async fn sent_by(answer: reqwest::Response) -> Result<Url> {
    let status = answer.status();
    let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
    let Some(location) = location else { bail!("{status} {}", answer.text().await?) };
    Ok(Url::parse(location)?)
}

/// Where a redirect leads.
fn location(response: &Response) -> Result<&str> {
    ensure!(
        matches!(response.status, 302 | 303),
        "status {} and no redirect: {:?} {}",
        response.status,
        response.headers.0,
        response.text()
    );
    response.headers.only("location").context("not one Location")
}

/// Takes a `Set-Cookie` value as a browser does (RFC 6265 section 5.3), as far as tests need it.
pub(crate) fn keep(cookies: &mut BTreeMap<String, String>, cookie: &str) -> Result<()> {
    let mut parts = cookie.split(';').map(str::trim);
    let pair = parts.next().unwrap_or_default();
    let (name, value) = pair.split_once('=').with_context(|| format!("no cookie: {cookie:?}"))?;
    let attributes: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
    let has = |wanted: &str| attributes.iter().any(|attribute| attribute == wanted);
    if name.starts_with("__Host-") {
        let is_valid = has("secure") && has("path=/") && !attributes.iter().any(|a| a.starts_with("domain"));
        ensure!(is_valid, "browsers drop this cookie: {cookie:?}");
    }
    if has("max-age=0") {
        cookies.remove(name);
    } else {
        cookies.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

/// The part of a URL that a browser sends.
#[must_use]
pub fn path_and_query(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", url.path())
}
