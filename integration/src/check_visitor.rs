//! A browser's part in a sign-in at the check service itself, for what does not depend on the gateway.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use url::Url;

use crate::check_client::{Answer, Check, CheckClient};
use crate::visitor::{keep, log_in, path_and_query};

/// A visitor of one public host, with the cookies of that host.
#[derive(Debug, Clone)]
pub struct CheckVisitor {
    client: CheckClient,
    host: String,
    /// The cookies, by name. Tests may steal, plant and delete them.
    pub cookies: BTreeMap<String, String>,
}

impl CheckVisitor {
    /// A visitor of `https://HOST`, without cookies.
    #[must_use]
    pub fn new(client: &CheckClient, host: &str) -> Self {
        Self { client: client.clone(), host: host.to_owned(), cookies: BTreeMap::new() }
    }

    /// The same browser at another replica of the check service. Its cookies are a copy.
    #[must_use]
    pub fn at(&self, client: &CheckClient) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    /// Opens a page as a browser does when its address is typed.
    pub async fn navigate(&mut self, path: &str) -> Result<Answer> {
        self.ask(Check::get(&self.host, path).navigation()).await
    }

    /// Follows a link on a page of the same origin.
    pub async fn follow(&mut self, path: &str) -> Result<Answer> {
        let check = Check::get(&self.host, path)
            .header("accept", "text/html")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        self.ask(check).await
    }

    /// Calls from a script of the same origin.
    pub async fn fetch(&mut self, method: &str, path: &str) -> Result<Answer> {
        let check = Check::new(method, &self.host, path)
            .header("accept", "*/*")
            .header("origin", format!("https://{}", self.host))
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty");
        self.ask(check).await
    }

    /// Any check, with this visitor's cookies; those that come back are kept.
    pub async fn ask(&mut self, check: Check) -> Result<Answer> {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let check = if pairs.is_empty() { check } else { check.header("cookie", pairs.join("; ")) };
        let answer = self.client.check(check.build()).await?;
        for cookie in answer.told("set-cookie") {
            keep(&mut self.cookies, cookie)?;
        }
        Ok(answer)
    }

    /// Signs in as `user` at the scripted provider, and gives the answer of the page that was wanted.
    pub async fn sign_in(&mut self, user: &str, path: &str) -> Result<Answer> {
        let to_provider = self.begin(path).await?;
        let back = log_in(&to_provider, user).await?;
        let landing = self.come_back(&back).await?;
        self.navigate(&landing).await
    }

    /// First step: opens a page, and gives the provider's URL to which that redirects.
    pub async fn begin(&mut self, path: &str) -> Result<Url> {
        let answer = self.navigate(path).await?;
        let url = location(&answer).context("no redirect to the provider")?;
        ensure!(url.host_str() != Some(&self.host), "redirected to the same origin: {url}");
        Ok(url)
    }

    /// Like [`CheckVisitor::begin`], also where somebody is signed in: by the address that starts a sign-in.
    pub async fn begin_again(&mut self, path: &str) -> Result<Url> {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return", path).finish();
        self.begin(&format!("/portcullis/login?{query}")).await
    }

    /// Last step: opens the callback, and gives the path to which that redirects.
    pub async fn come_back(&mut self, callback: &Url) -> Result<String> {
        let answer = self.navigate(&path_and_query(callback)).await?;
        let landing = location(&answer).context("the callback does not redirect")?;
        ensure!(landing.host_str() == Some(&self.host), "landed at another origin: {landing}");
        Ok(path_and_query(&landing))
    }
}

/// Where an answer redirects.
pub fn location(answer: &Answer) -> Result<Url> {
    let status = answer.status();
    ensure!(matches!(status, 302 | 303), "status {status} and no redirect: {:?}", answer.reason());
    let [location] = answer.told("location")[..] else { bail!("not one Location: {answer:?}") };
    Url::parse(location).with_context(|| format!("no absolute URL: {location}"))
}

/// Where a script that has signed somebody out is to send the browser.
pub fn after_logout(answer: &Answer) -> Result<Url> {
    let Answer::Deny { status: 201, body, .. } = answer else { bail!("nobody was signed out: {answer:?}") };
    let body: Value = serde_json::from_str(body)?;
    let url = body["afterLogoutURL"].as_str().with_context(|| format!("no `afterLogoutURL`: {body}"))?;
    Url::parse(url).with_context(|| format!("no absolute URL: {url}"))
}
