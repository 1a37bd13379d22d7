//! Portcullis as a client of a real identity provider, and a person's part there without a browser.

use anyhow::{Context, Result, bail, ensure};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use url::Url;

use crate::origin::{HOST, ORIGIN};

/// The client's id at every provider.
pub(crate) const CLIENT_ID: &str = "portcullis";
/// The client's secret at every provider.
pub(crate) const CLIENT_SECRET: &str = "a-client-secret-of-the-tests-only";
/// The password of everybody.
pub const PASSWORD: &str = "password";

/// More steps than any provider takes from the first page to the callback.
const MOST_STEPS: usize = 12;

/// What Portcullis must be told to send people to a provider.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The provider's name in the configuration.
    pub name: &'static str,
    /// Its issuer.
    pub issuer: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// Who signed the provider's certificate, PEM.
    pub authority: String,
}

impl Registration {
    pub(crate) fn new(name: &'static str, issuer: &str, authority: String) -> Self {
        Self {
            name,
            issuer: issuer.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            authority,
        }
    }
}

/// Where providers send people back to.
pub(crate) fn redirect_uri() -> String {
    format!("{ORIGIN}/portcullis/callback")
}

/// Where providers send people back to who signed out there.
pub(crate) fn post_logout_redirect_uri() -> String {
    format!("{ORIGIN}/portcullis/signed-out")
}

/// Goes through a provider's pages as `login`, from the authorization request on, and gives the URL
/// of the callback, which is not opened.
pub async fn log_in(registration: &Registration, authorization: &Url, login: &str) -> Result<Url> {
    Person::new(registration, login)?.walk(authorization).await
}

/// Somebody with the cookies of one provider.
#[derive(Debug, Clone)]
pub struct Person {
    client: reqwest::Client,
    login: String,
}

impl Person {
    /// Somebody without cookies, who types `login`.
    pub fn new(registration: &Registration, login: &str) -> Result<Self> {
        crate::http::install_crypto();
        let root = reqwest::Certificate::from_pem(registration.authority.as_bytes())?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .cookie_store(true)
            .tls_certs_only([root])
            .build()?;
        Ok(Self { client, login: login.to_owned() })
    }

    /// The first page that the provider shows from here on.
    pub async fn first_page(&self, start: &Url) -> Result<String> {
        let mut here = start.clone();
        for _ in 0..MOST_STEPS {
            let answer = self.client.get(here.clone()).send().await?;
            match redirect(&here, &answer)? {
                Some(next) if next.host_str() == Some(HOST) => bail!("{start} leads to {next} without a page"),
                Some(next) => here = next,
                None => return Ok(answer.text().await?),
            }
        }
        bail!("{start} shows no page within {MOST_STEPS} steps, but leads to {here}")
    }

    /// Opens a page of the provider and does what the pages ask for, until the provider sends the browser back: that
    /// URL, which is not opened.
    pub async fn walk(&self, start: &Url) -> Result<Url> {
        let mut here = start.clone();
        let mut answer = self.client.get(here.clone()).send().await?;
        for _ in 0..MOST_STEPS {
            if let Some(next) = redirect(&here, &answer)? {
                if next.host_str() == Some(HOST) {
                    crate::evidence::callback(&next);
                    return Ok(next);
                }
                here = next;
                answer = self.client.get(here.clone()).send().await?;
                continue;
            }
            let status = answer.status();
            let page = answer.text().await?;
            ensure!(status == StatusCode::OK, "{here} answers {status}: {page}");
            let form = Form::find(&page).with_context(|| format!("{here} has no form: {page}"))?;
            here = here.join(&form.action)?;
            let fields = form.filled(&self.login);
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let post = self.client.post(here.clone()).header("content-type", "application/x-www-form-urlencoded");
            answer = post.body(body).send().await?;
        }
        bail!("{start} does not send {} back within {MOST_STEPS} steps, but to {here}", self.login)
    }
}

fn redirect(from: &Url, answer: &Response) -> Result<Option<Url>> {
    if !answer.status().is_redirection() {
        return Ok(None);
    }
    let location = answer.headers().get("location").context("a redirect has a location")?;
    Ok(Some(from.join(location.to_str()?)?))
}

/// The first form of a page, as far as the pages of these providers need it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Where it is sent to.
    pub(crate) action: String,
    /// Name and value of each named input.
    inputs: Vec<(String, String)>,
}

impl Form {
    pub(crate) fn find(page: &str) -> Option<Self> {
        let form = &page[page.find("<form")?..];
        let form = &form[..form.find("</form>")?];
        let action = attribute(&form[..form.find('>')?], "action").unwrap_or_default();
        let inputs = form.split("<input").skip(1).filter_map(|input| {
            let input = &input[..input.find('>')?];
            Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default()))
        });
        Some(Self { action, inputs: inputs.collect() })
    }

    /// Its fields, with what `login` types.
    pub(crate) fn filled(self, login: &str) -> Vec<(String, String)> {
        let fill = |(name, value): (String, String)| match name.as_str() {
            "login" | "username" => (name, login.to_owned()),
            "password" => (name, PASSWORD.to_owned()),
            _ => (name, value),
        };
        self.inputs.into_iter().map(fill).collect()
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = &tag[start..];
    let value = &value[..value.find('"')?];
    Some(value.replace("&#43;", "+").replace("&#34;", "\"").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_and_filled() {
        let page = "<p><form method=\"post\" action=\"/login?back=&amp;state=a\">\n<input type=\"hidden\" name=\"prompt\" \
                    value=\"login\"/><input required name=\"login\"><input name=\"password\"><button>Go</button></form>";
        let form = Form::find(page).unwrap();
        assert_eq!(form.action, "/login?back=&state=a");
        let filled = form.filled("alice");
        let filled: Vec<_> = filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(filled, [("prompt", "login"), ("login", "alice"), ("password", PASSWORD)]);
        assert_eq!(Form::find("<p>no form"), None);
    }
}
