//! Chromium, headless, driven over WebDriver, with a profile of its own.
//!
//! It finds only the hosts that a test names, and trusts only the certificates that a test shows it.

mod application;
mod screenshot;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

pub use application::Application;

use crate::pki::Identity;
use crate::ports::Port;
use crate::process::{Launch, Process};

/// A loaded machine may take this long where 1 s is usual.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long a page may take to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a page is looked at while waiting.
const POLL: Duration = Duration::from_millis(50);

/// What a browser is to find and to trust.
#[derive(Debug, Default)]
pub struct Builder {
    hosts: Vec<(String, SocketAddr)>,
    trusted: Vec<String>,
}

impl Builder {
    /// Finds `https://HOST` at this address. What is not named is not found, loopback apart.
    #[must_use]
    pub fn host(mut self, host: &str, address: SocketAddr) -> Self {
        self.hosts.push((host.to_owned(), address));
        self
    }

    /// Trusts a server that shows this certificate.
    pub fn trust(mut self, identity: &Identity) -> Result<Self> {
        let key = rcgen::KeyPair::from_pem(&identity.key)?;
        let hash = digest::digest(&digest::SHA256, &rcgen::PublicKeyData::subject_public_key_info(&key));
        self.trusted.push(BASE64.encode(hash));
        Ok(self)
    }

    /// Starts chromedriver and a browser.
    pub async fn start(self) -> Result<Browser> {
        let profile = TempDir::with_prefix("portcullis-chromium-")?;
        let port = Port::take()?;
        let mut driver = Launch::new("chromedriver", crate::parts::path("chromedriver")?)
            .arg(format!("--port={}", port.number()))
            .env("TMPDIR", profile.path())
            .start()?;
        let url = format!("http://{}/", port.address());
        driver.wait_for_ok(&format!("{url}status"), READY_WITHIN).await?;

        let capabilities = self.capabilities(profile.path(), &chromium(profile.path())?);
        let client =
            ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&url).await.with_context(
                || {
                    format!(
                        "Chromium does not start; as another user than root it may need a sandbox\n{}",
                        driver.log_tail()
                    )
                },
            )?;
        let id = client.capabilities().and_then(|capabilities| capabilities.get("goog:processID")?.as_u64());
        Ok(Browser { client, driver: Some(driver), id, _port: port, _profile: profile })
    }

    fn capabilities(&self, profile: &Path, binary: &Path) -> Capabilities {
        let mut rules: Vec<String> =
            self.hosts.iter().map(|(host, address)| format!("MAP {host}:443 {address}")).collect();
        rules.extend(["MAP * ~NOTFOUND".to_owned(), "EXCLUDE 127.0.0.1".to_owned()]);
        let mut arguments = vec![
            format!("--user-data-dir={}", profile.join("profile").display()),
            format!("--host-resolver-rules={}", rules.join(" , ")),
            format!("--ignore-certificate-errors-spki-list={}", self.trusted.join(",")),
        ];
        let fixed = [
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-default-apps",
            "--disable-extensions",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1280,900",
        ];
        arguments.extend(fixed.map(str::to_owned));
        if rustix::process::geteuid().is_root() {
            arguments.push("--no-sandbox".to_owned());
        }
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": binary, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "pageLoad": 30_000, "script": 20_000 },
        });
        match capabilities {
            Value::Object(capabilities) => capabilities,
            _ => unreachable!("an object was written here"),
        }
    }
}

/// A program that runs Chromium and lets it die with chromedriver, which would else leave it behind
/// when it is killed.
fn chromium(folder: &Path) -> Result<PathBuf> {
    let chromium = crate::parts::path("chromium")?;
    let program = folder.join("chromium");
    let script = format!("#!/bin/sh\nexec setpriv --pdeathsig KILL -- '{}' \"$@\"\n", chromium.display());
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// A running browser. It is killed when it is dropped.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: Option<Process>,
    /// The process id of Chromium.
    id: Option<u64>,
    _port: Port,
    _profile: TempDir,
}

impl Browser {
    /// Begins the set-up of a browser.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The WebDriver client, for what has no word here.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens an address as if it were typed, and waits for the page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.client.goto(url).await.with_context(|| format!("cannot open {url}"))
    }

    /// The address of the page that is shown.
    pub async fn url(&self) -> Result<Url> {
        Ok(self.client.current_url().await?)
    }

    /// The visible text of the page or frame.
    pub async fn text(&self) -> Result<String> {
        Ok(self.client.find(Locator::Css("body")).await?.text().await?)
    }

    /// Clicks on the first element that `css` selects; waits until there is one.
    pub async fn click(&self, css: &str) -> Result<()> {
        let element = self.wait_for_element(css).await?;
        element.click().await.with_context(|| format!("cannot click on {css}"))
    }

    /// Types into the first element that `css` selects; waits until there is one.
    pub async fn type_into(&self, css: &str, text: &str) -> Result<()> {
        let element = self.wait_for_element(css).await?;
        element.clear().await?;
        Ok(element.send_keys(text).await?)
    }

    /// Waits until `css` selects something.
    pub async fn wait_for_element(&self, css: &str) -> Result<fantoccini::elements::Element> {
        self.wait_for(&format!("shows no {css}"), async || self.client.find(Locator::Css(css)).await.ok()).await
    }

    /// Waits until the page's address is as wanted, and gives it.
    pub async fn wait_for_url(&self, wanted: impl Fn(&Url) -> bool) -> Result<Url> {
        let probe = async || self.client.current_url().await.ok().filter(|url| wanted(url));
        self.wait_for("does not arrive", probe).await
    }

    /// Polls `probe` until it gives a value.
    pub async fn wait_for<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = probe().await {
                return Ok(value);
            }
            if Instant::now() >= deadline {
                let url = self.client.current_url().await.map_or_else(|error| error.to_string(), String::from);
                let text = self.text().await.unwrap_or_default();
                bail!("the page {what} within {PATIENCE:?}: {url} shows\n{text}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Runs a script in the page; its `return` is the value.
    pub async fn run(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Calls `fetch` in the page and gives status, final address and body of the answer.
    pub async fn fetch(&self, path: &str, options: &Value) -> Result<Fetched> {
        const SCRIPT: &str = "const [path, options, done] = arguments; \
            fetch(path, options).then(async (answer) => done({ status: answer.status, url: answer.url, \
            body: await answer.text() }), (error) => done({ error: String(error) }));";
        let answer = self.client.execute_async(SCRIPT, vec![json!(path), options.clone()]).await?;
        serde_json::from_value(answer.clone()).with_context(|| format!("fetch {path} failed: {answer}"))
    }

    /// The value of a cookie of the page's origin.
    pub async fn cookie(&self, name: &str) -> Result<Option<String>> {
        let cookies = self.client.get_all_cookies().await?;
        let value = cookies.into_iter().find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned());
        crate::evidence::cookie(&format!("{name}={}", value.as_deref().unwrap_or_default()));
        Ok(value)
    }

    /// Goes back from a frame to the page.
    pub async fn leave_frame(&self) -> Result<()> {
        let window = self.client.window().await?;
        Ok(self.client.switch_to_window(window).await?)
    }

    /// What the browser itself has said against pages since the last call: violations of their
    /// Content-Security-Policy and the like. Error statuses and advice to authors are not among it.
    pub async fn objections(&self) -> Result<Vec<String>> {
        let log = self.client.issue_cmd(Extension::new("se/log", json!({ "type": "browser" }))).await?;
        let entries = log.as_array().with_context(|| format!("no log: {log}"))?;
        let is_harmless = |entry: &Value| entry["source"] == "network" || entry["source"] == "recommendation";
        Ok(entries.iter().filter(|entry| !is_harmless(entry)).map(Value::to_string).collect())
    }

    /// Sends a command of the Chrome DevTools Protocol.
    async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let body = json!({ "cmd": command, "params": parameters });
        let answer = self.client.issue_cmd(Extension::new("goog/cdp/execute", body)).await;
        answer.map_err(|error| anyhow!("{command}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.driver.take());
        // Chromium follows at once; its profile can be deleted when it has gone.
        let Some(process) = self.id.map(|id| PathBuf::from(format!("/proc/{id}"))) else { return };
        let deadline = Instant::now() + Duration::from_secs(5);
        while process.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The answer to [`Browser::fetch`].
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// The address after all redirects.
    pub url: String,
    /// The body.
    pub body: String,
}

/// A command that only chromedriver knows.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl Extension {
    fn new(path: &'static str, body: Value) -> Self {
        Self { path, body }
    }
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

#[cfg(test)]
mod tests;
