//! A profile's provider, and the product with the configuration of its page.

use portcullis_integration::check_client::CheckClient;
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::portcullis::{Config, HOST, Portcullis};
use portcullis_integration::profiles::{self, Membership, Person, Profile, Site};
use portcullis_integration::provider::{Client, Paths, Provider};
use serde_json::{Map, Value, json};

use super::files::Files;
use super::page::Page;

/// The life of an access token, in seconds: a session is refreshed after half of it.
const ACCESS_TOKEN_LIFETIME: i64 = 6;

pub(crate) struct Ground {
    pub(crate) profile: Profile,
    pub(crate) people: Vec<Person>,
    pub(crate) site: Site,
    pub(crate) provider: Provider,
    pub(crate) portcullis: Portcullis,
    /// What the page writes of the provider.
    pub(crate) written: Value,
    /// A path for which a rule asks for more than a sign-in.
    pub(crate) closed: String,
    client: CheckClient,
}

impl Ground {
    pub(crate) async fn start(page: &str, variant: Option<&str>) -> Self {
        Self::start_without(page, variant, &[]).await
    }

    /// With the page's configuration, but for these words about the provider.
    pub(crate) async fn start_without(page: &str, variant: Option<&str>, words: &[&str]) -> Self {
        let is_meant = |profile: &Profile| (profile.page, profile.variant) == (page, variant);
        let profile = profiles::all().into_iter().find(is_meant).unwrap();
        let page = Page::read(page).config_for(variant);
        let (written, rules) = (page["providers"][0].clone(), page["rules"].clone());
        let site = Site::new(&written, &rules);

        let mut settings = profile.settings(&site);
        settings.access_token_lifetime = ACCESS_TOKEN_LIFETIME;
        authenticate_as(&mut settings.clients[0], &written);
        let provider = Provider::start(settings).await.unwrap();

        let config = Config::new().unwrap().provider(&provider).unwrap();
        let mut entry = entry(&written, &config, &provider, &profile.ways.paths);
        for word in words {
            let removed = entry.as_object_mut().unwrap().remove(*word);
            assert!(removed.is_some(), "the page does not write `{word}`");
        }
        let config = config
            .set("/origins/0/provider", entry["name"].clone())
            .set("/providers", json!([entry]))
            .rules(without_hosts(&rules));
        let portcullis = config.start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        let people = (profile.people)(&site);
        Self { profile, people, site, provider, portcullis, written, closed: closed_path(&rules), client }
    }

    pub(crate) fn visitor(&self) -> CheckVisitor {
        CheckVisitor::new(&self.client, HOST)
    }

    /// Somebody who has just signed in.
    pub(crate) async fn signed_in(&self, login: &str) -> CheckVisitor {
        let mut visitor = self.visitor();
        let answer = visitor.sign_in(login, "/").await;
        let answer = answer.unwrap_or_else(|error| panic!("{login}: {error:#}\n{}", self.portcullis.log_tail()));
        assert!(answer.is_allowed(), "{login}: {answer:?}");
        visitor
    }

    /// What the service is told as the user id of somebody.
    pub(crate) fn userid(&self, person: &Person) -> String {
        let prefix = self.written["userid_prefix"].as_str().unwrap_or_default();
        let name = match self.written["userid_claim"].as_str() {
            None | Some("email") => person.address.as_str(),
            Some("sub") => &person.user.subject,
            Some(claim) => person.user.claims[claim].as_str().unwrap(),
        };
        format!("{prefix}{name}")
    }

    /// Whether the rule of the closed path lets somebody in: by the group, or by the address.
    pub(crate) fn may_enter(&self, person: &Person) -> bool {
        let by_group = self.site.group.is_some() && person.membership == Membership::Member;
        by_group || self.site.address.as_ref() == Some(&person.address)
    }

    pub(crate) async fn is_signed_in(&self, visitor: &CheckVisitor) -> bool {
        match visitor.clone().fetch("GET", "/").await.unwrap().status() {
            200 => true,
            401 => false,
            status => panic!("status {status}"),
        }
    }
}

/// How the page's client says who it is, as the provider has to know it.
fn authenticate_as(client: &mut Client, written: &Value) {
    let is_written = |name: &str| !written[name].is_null();
    if is_written("client_key") || is_written("client_assertion_file") {
        client.secret = None;
        client.assertion = Some(Map::new());
    } else if !is_written("client_secret") {
        client.secret = None;
    }
}

/// What the page writes of the provider, but for what is this provider's own: where it is, and the client's secret.
fn entry(written: &Value, config: &Config, provider: &Provider, paths: &Paths) -> Value {
    let mut entry = written.clone();
    let ours = config.get("/providers/0").unwrap();
    for name in ["issuer", "client_id", "client_secret", "allow_http"] {
        entry[name] = ours[name].clone();
    }
    for name in ["ca_file", "proxy"] {
        entry.as_object_mut().unwrap().remove(name);
    }
    if !written["discovery_url"].is_null() {
        entry["discovery_url"] = provider.url(paths.discovery).into();
    }
    for (name, url) in entry.get_mut("endpoints").and_then(Value::as_object_mut).into_iter().flatten() {
        let path = match name.as_str() {
            "authorization" => Some(paths.authorization),
            "token" => Some(paths.token),
            "jwks" => Some(paths.jwks),
            "userinfo" => paths.userinfo,
            "end_session" => paths.end_session,
            "revocation" => paths.revocation,
            "introspection" => paths.introspection,
            _ => None,
        };
        *url = provider.url(path.unwrap_or_else(|| panic!("this provider has no {name}"))).into();
    }
    // The secret's file is there already.
    let secret = entry.as_object_mut().unwrap().remove("client_secret").filter(|secret| !secret.is_null());
    Files::in_folder(config.folder()).place(&mut entry);
    if let Some(secret) = secret {
        entry["client_secret"] = secret;
    }
    entry
}

/// The rules, for the one host that is there.
fn without_hosts(rules: &Value) -> Value {
    let mut rules = rules.as_array().cloned().unwrap_or_default();
    for rule in &mut rules {
        rule.as_object_mut().unwrap().remove("hosts");
    }
    rules.into()
}

/// The path of the first rule that asks for a group or an address.
fn closed_path(rules: &Value) -> String {
    let asks = |rule: &&Value| !rule["groups"].is_null() || !rule["emails"].is_null();
    let rule = rules.as_array().into_iter().flatten().find(asks).expect("a page has a rule for some people");
    let path = &rule["paths"][0];
    let path = path["prefix"].as_str().or_else(|| path["exact"].as_str());
    path.expect("the rule closes a path").to_owned()
}
