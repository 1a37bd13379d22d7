//! Everything that a browser needs for a visit.

use anyhow::{Context, Result, ensure};
use portcullis_integration::browser::{Application, Browser};
use portcullis_integration::dex::{self, Dex};
use portcullis_integration::envoy::{Envoy, Variant};
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, HOST, ORIGIN, Portcullis};
use portcullis_integration::raw_client::Target;
use portcullis_integration::registration::PASSWORD;
use portcullis_integration::upstream::Protocol;
use portcullis_integration::visitor::Visitor;
use serde::Deserialize;
use url::Url;

/// A gateway with TLS, an application behind it, Dex, and a browser in front.
pub(crate) struct House {
    pub(crate) browser: Browser,
    pub(crate) dex: Dex,
    pub(crate) portcullis: Portcullis,
    envoy: Envoy,
    authority: Authority,
    _application: Application,
}

impl House {
    /// Starts all of it; `configure` changes the product's configuration.
    pub(crate) async fn start(configure: impl FnOnce(Config) -> Config) -> Result<Self> {
        let dex = Dex::start().await?;
        let application = Application::start().await?;
        let portcullis = configure(Config::new()?.sign_in_at(dex.registration())?).start().await?;
        let authority = Authority::new("the tests' authority")?;
        let identity = authority.server(&[HOST])?;
        let envoy = Envoy::builder(Variant::NEWEST)?
            .check(portcullis.check_address())
            .upstream_at(Protocol::Http1, application.address())
            .tls(identity.clone())
            .start()
            .await?;
        let browser =
            Browser::builder().host(HOST, envoy.tls_address()).trust(&identity)?.trust(dex.identity())?.start().await?;
        Ok(Self { browser, dex, portcullis, envoy, authority, _application: application })
    }

    /// Opens an address of the public origin.
    pub(crate) async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("{ORIGIN}{path}")).await
    }

    /// Opens a page of the public origin that needs no sign-in, to look at the origin's cookies.
    pub(crate) async fn open_other_page_of_ours(&self) -> Result<()> {
        self.open("/portcullis/signed-out").await
    }

    /// Opens a page of another site.
    pub(crate) async fn open_another_site(&self) -> Result<()> {
        let issuer = &self.dex.registration().issuer;
        self.browser.open(&format!("{issuer}/.well-known/openid-configuration")).await
    }

    /// Waits until Dex asks who is there.
    pub(crate) async fn wait_for_dex(&self) -> Result<()> {
        self.browser.wait_for_element("input[name=login]").await?;
        let url = self.browser.url().await?;
        ensure!(url.as_str().starts_with(&self.dex.registration().issuer), "{url} asks for a login");
        Ok(())
    }

    /// Fills in Dex's page and sends it.
    pub(crate) async fn sign_in(&self, user: &str) -> Result<()> {
        self.wait_for_dex().await?;
        self.browser.type_into("input[name=login]", &dex::email(user)).await?;
        self.browser.type_into("input[name=password]", PASSWORD).await?;
        self.browser.click("button[type=submit]").await
    }

    /// Waits until the application shows a page.
    pub(crate) async fn wait_for_application(&self) -> Result<()> {
        self.browser.wait_for_element("#user").await.map(drop)
    }

    /// Signs in as often as Dex asks; gives the address that is reached at last, and how often Dex
    /// asked.
    pub(crate) async fn sign_in_until_landed(&self, user: &str) -> Result<(Url, usize)> {
        for pages in 0..5 {
            self.browser.wait_for_element("#user, input[name=login]").await?;
            let url = self.browser.url().await?;
            if url.host_str() == Some(HOST) {
                return Ok((url, pages));
            }
            self.sign_in(user).await?;
            // The page that was sent must have gone before the next one is looked for.
            self.browser.wait_for_url(|now| *now != url).await?;
        }
        anyhow::bail!("Dex asks again and again: {}", self.browser.url().await?)
    }

    /// What the application says it was told.
    pub(crate) async fn told(&self, what: &str) -> String {
        let element = self.browser.wait_for_element(&format!("#{what}")).await.expect("the application answers");
        element.text().await.expect("the application's page stays")
    }

    /// Somebody else, who comes by the same gateway without a browser.
    pub(crate) fn visitor(&self) -> Result<Visitor> {
        let target = Target::tls(self.envoy.tls_address(), HOST, &self.authority.pem())?;
        Visitor::new(target, ORIGIN)
    }

    /// Lets a visitor sign in at Dex toward `path`, and gives the callback's address, not opened.
    pub(crate) async fn callback_of(&self, visitor: &mut Visitor, user: &str, path: &str) -> Result<Url> {
        let authorization = visitor.begin(path).await.context("a visitor is sent to Dex")?;
        self.dex.log_in(&authorization, user).await
    }

    /// What a page is made of.
    pub(crate) async fn faces(&self) -> Result<Faces> {
        const SCRIPT: &str = "const all = (css) => [...document.querySelectorAll(css)]; \
            return { headings: all('h1').map((h1) => h1.innerText), title: document.title, \
            language: document.documentElement.lang, scripts: all('script').length };";
        Ok(serde_json::from_value(self.browser.run(SCRIPT).await?)?)
    }
}

/// What a page is made of.
#[derive(Debug, Deserialize)]
pub(crate) struct Faces {
    /// The texts of its main headings.
    pub(crate) headings: Vec<String>,
    /// The window's title.
    pub(crate) title: String,
    /// The language that it says it is in.
    pub(crate) language: String,
    /// How many scripts it has.
    pub(crate) scripts: usize,
}
