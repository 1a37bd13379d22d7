//! `portcullis provider check`: what it finds of a provider before anybody signs in, one fault at a time, by its output and
//! its exit code.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{fs, path::Path, process::Command};

use portcullis_integration::dex::Dex;
use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::oidc_provider::OidcProvider;
use portcullis_integration::portcullis::{Config, ORIGIN, binary};
use portcullis_integration::provider::{Provider, Settings};
use serde_json::{Value, json};

/// What the command says of one provider.
struct Said {
    code: i32,
    report: Value,
    table: String,
}

impl Said {
    async fn of(config: Config) -> Self {
        let ran = tokio::task::spawn_blocking(move || {
            let file = config.write().unwrap();
            (run(&file, &["--output", "json"]), run(&file, &[]))
        });
        let ((code, json), (again, table)) = ran.await.unwrap();
        assert_eq!(code, again, "{table}");
        let whole: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        Self { code, report: whole["providers"][0].clone(), table }
    }

    /// What is said at a level about something.
    fn texts(&self, level: &str, about: &str) -> Vec<&str> {
        let findings = self.report["findings"].as_array().unwrap();
        let of = findings.iter().filter(|finding| finding["level"] == level && finding["about"] == about);
        of.map(|finding| finding["text"].as_str().unwrap()).collect()
    }

    fn assert_says(&self, level: &str, about: &str, parts: &[&str]) {
        let texts = self.texts(level, about);
        let fits = |text: &&str| parts.iter().all(|part| text.contains(part));
        assert!(texts.iter().any(fits), "{level} {about} {parts:?} is not said: {:#}", self.report);
        assert_eq!(self.code, if level == "fault" { 69 } else { 0 }, "{:#}", self.report);
    }
}

fn run(file: &Path, options: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary().unwrap());
    let output = command.args(["provider", "check"]).arg(file).args(options).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), if printed.is_empty() { errors } else { printed })
}

async fn honest() -> Provider {
    Provider::start(Settings::default()).await.unwrap()
}

/// What is said of a provider that is changed, with a configuration that is changed.
async fn said(change: impl FnOnce(&Provider), configure: impl FnOnce(Config) -> Config) -> Said {
    let provider = honest().await;
    let config = configure(Config::new().unwrap().provider(&provider).unwrap());
    change(&provider);
    Said::of(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_provider_passes_and_nobody_is_signed_in() {
    let provider = honest().await;
    let config = Config::new().unwrap().provider(&provider).unwrap();
    let said = Said::of(config).await;
    assert_eq!(said.code, 0, "{}", said.table);
    for about in ["clock", "discovery", "keys", "PKCE", "scopes", "sign-in", "sign-out", "client"] {
        assert_eq!(said.texts("ok", about).len(), 1, "{about}: {}", said.table);
    }
    let registered = |what: &str, url: String| json!({ "what": what, "url": url });
    let to_register = said.report["to_register"].as_array().unwrap();
    assert!(to_register.contains(&registered("redirect URI", format!("{ORIGIN}/portcullis/callback"))));
    assert!(to_register.contains(&registered("post-logout redirect URI", format!("{ORIGIN}/portcullis/signed-out"))));
    for told in ["to be registered", "/backchannel-logout/test", "test: http://"] {
        assert!(said.table.contains(told), "{told}: {}", said.table);
    }
    assert!(provider.signed_in().is_empty(), "a check signs nobody in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_does_not_fit_is_told_with_both_values() {
    let with_slash = said(
        |provider| {
            provider.lie(|lies| {
                lies.edit_discovery = edit(|document| {
                    let issuer = format!("{}/", document["issuer"].as_str().unwrap());
                    document["issuer"] = issuer.into();
                });
            });
        },
        |config| config,
    )
    .await;
    let issuer = with_slash.report["issuer"].as_str().unwrap().to_owned();
    with_slash.assert_says("fault", "discovery", &[&format!("`{issuer}/`"), &format!("`{issuer}`"), "issuer"]);

    let realm = said(
        |_| {},
        |config| {
            let issuer = format!("{}/realms/none", config.get("/providers/0/issuer").unwrap().as_str().unwrap());
            config.set("/providers/0/issuer", issuer)
        },
    )
    .await;
    realm.assert_says("fault", "discovery", &["/realms/none/.well-known/openid-configuration", "404"]);

    let keys =
        said(|provider| provider.lie(|lies| lies.edit_jwks = edit(|set| set["keys"] = json!([]))), |config| config);
    keys.await.assert_says("fault", "keys", &["no key"]);

    let algorithms = said(|_| {}, |config| config.set("/providers/0/id_token_signing_algorithms", json!(["RS256"])));
    algorithms.await.assert_says("fault", "keys", &["`id_token_signing_algorithms`", "RS256"]);

    let down = said(|provider| provider.lie(|lies| lies.discovery = Fault::Status(503)), |config| config);
    down.await.assert_says("fault", "discovery", &["503", "/.well-known/openid-configuration"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_registered_otherwise_is_told_with_the_setting() {
    let secret = said(
        |provider| {
            provider.change(|settings| settings.clients[0].secret = Some("another-secret-of-the-tests".to_owned()));
        },
        |config| config,
    );
    secret.await.assert_says("fault", "client", &["invalid_client", "client_secret"]);

    let elsewhere = said(
        |provider| {
            provider
                .change(|settings| settings.clients[0].redirect_uris = vec!["https://other.test/callback".to_owned()]);
        },
        |config| config,
    );
    elsewhere.await.assert_says("fault", "sign-in", &["400", "redirect URI", "/portcullis/callback"]);

    let scopes = said(
        |provider| {
            provider.lie(|lies| {
                lies.edit_discovery = edit(|document| document["scopes_supported"] = json!(["openid", "email"]));
            });
        },
        |config| config,
    );
    scopes.await.assert_says("warning", "scopes", &["profile groups", "invalid_scope"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_wants_and_the_provider_lacks_is_told() {
    let without = |name: &'static str| {
        move |provider: &Provider| {
            provider.lie(|lies| {
                lies.edit_discovery = edit(move |document| {
                    document.as_object_mut().unwrap().remove(name);
                });
            });
        }
    };
    let strict = |ask: &'static str| {
        move |config: Config| config.set("/providers/0/strict", json!({ "every": "5s", "ask": ask }))
    };
    said(without("introspection_endpoint"), strict("introspection")).await.assert_says(
        "fault",
        "strict",
        &["introspection_endpoint", "`strict.ask: userinfo`"],
    );
    said(without("userinfo_endpoint"), strict("userinfo")).await.assert_says("fault", "strict", &["userinfo_endpoint"]);
    said(|_| {}, strict("introspection")).await.assert_says("ok", "strict", &["answers this client"]);
    let forbidden =
        said(|provider| provider.lie(|lies| lies.introspection = Fault::Status(403)), strict("introspection"));
    forbidden.await.assert_says("fault", "strict", &["403", "`strict.ask: userinfo`"]);
    said(without("end_session_endpoint"), |config| config).await.assert_says(
        "note",
        "sign-out",
        &["remembers the person"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_provider_of_many_is_asked_by_its_name() {
    let (one, other) = (honest().await, honest().await);
    other.lie(|lies| lies.discovery = Fault::Status(503));
    let config = Config::new().unwrap().providers([("one.test", &one), ("other.test", &other)]).unwrap();
    let file = config.write().unwrap();
    let results = tokio::task::spawn_blocking(move || {
        let alone = run(&file, &["--provider", "one"]);
        let results = (alone, run(&file, &[]), run(&file, &["--provider", "none"]));
        drop(config);
        results
    });
    let (alone, both, unknown) = results.await.unwrap();
    assert_eq!(alone.0, 0, "{}", alone.1);
    assert!(!alone.1.contains("other"), "{}", alone.1);
    assert_eq!(both.0, 69, "{}", both.1);
    assert_eq!(unknown.0, 64, "{}", unknown.1);
    assert!(unknown.1.contains("--provider none") && unknown.1.contains("one, other"), "{}", unknown.1);
}

/// Real providers refuse in ways of their own: Dex with a page, or by the redirect.
#[tokio::test(flavor = "multi_thread")]
async fn real_providers_are_understood() {
    let dex = Dex::start().await.unwrap();
    let node = OidcProvider::start().await.unwrap();
    for registration in [dex.registration(), node.registration()] {
        let config = || Config::new().unwrap().sign_in_at(registration).unwrap();
        let said = Said::of(config()).await;
        assert_eq!(said.code, 0, "{}", said.table);
        assert_eq!(said.texts("ok", "client").len(), 1, "{}", said.table);
        assert_eq!(said.texts("ok", "sign-in").len(), 1, "{}", said.table);

        let said = Said::of(config().set("/origins/0/url", "https://other.test")).await;
        said.assert_says("fault", "sign-in", &["redirect URI", "https://other.test/portcullis/callback"]);

        let said = Said::of(config().set("/providers/0/scopes", json!(["openid", "made-up"]))).await;
        assert!(said.table.contains("made-up"), "{}", said.table);

        let other_secret = config();
        let file = other_secret.get("/providers/0/client_secret/file").unwrap().as_str().unwrap().to_owned();
        fs::write(file, "another-secret-of-the-tests-only").unwrap();
        let said = Said::of(other_secret).await;
        said.assert_says("fault", "client", &["invalid_client", "client_secret"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_ask_of_logins_and_the_lists_do_not_name_is_told_beforehand() {
    let rules = || {
        json!([
            { "name": "recent", "paths": [{ "prefix": "/recent" }], "login": { "max_age": "15m" } },
            { "name": "strong", "paths": [{ "prefix": "/strong" }], "login": { "acr": ["gold"] } },
        ])
    };
    let silent = said(|_| {}, |config| config.rules(rules())).await;
    silent.assert_says("warning", "login", &["`recent`", "`auth_time`", "nobody passes"]);
    silent.assert_says("warning", "login", &["`strong`", "`acr`", "gold"]);
    let telling = said(
        |provider| {
            provider.lie(|lies| {
                lies.edit_discovery = edit(|document| {
                    document["claims_supported"] = json!(["sub", "email", "email_verified", "groups", "auth_time"]);
                    document["acr_values_supported"] = json!(["silver", "gold"]);
                });
            });
        },
        |config| config.rules(rules()),
    )
    .await;
    assert_eq!(telling.texts("ok", "login").len(), 2, "{}", telling.table);
    // A rule of another host asks nothing of this provider.
    let elsewhere = json!([{ "name": "recent", "hosts": ["models.test"], "login": { "max_age": "15m" } }]);
    let other = said(|_| {}, |config| config.set("/hosts", json!(["models.test"])).rules(elsewhere)).await;
    assert!(other.texts("warning", "login").is_empty(), "{}", other.table);
}
