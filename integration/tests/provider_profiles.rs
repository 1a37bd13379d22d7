//! Each real provider, as a scripted profile of it answers, with the configuration of its page in `docs/providers`.
//!
//! A walk is the way of people through the whole process: they sign in, a rule lets one in and refuses another, a session is
//! refreshed, somebody signs out, the provider ends a session, and an attack that fits this provider stays refused.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

mod provider_profiles {
    pub(crate) mod files;
    pub(crate) mod ground;
    pub(crate) mod page;
    pub(crate) mod scopes;
    pub(crate) mod walk;
    pub(crate) mod words;
}

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use portcullis_integration::portcullis::binary;
use portcullis_integration::profiles;
use portcullis_integration::project::read;
use portcullis_integration::provider::RefreshFor;
use serde_json::Value;
use tempfile::TempDir;

use self::provider_profiles::files::Files;
use self::provider_profiles::page::Page;
use self::provider_profiles::walk::walk;

/// Makes a test for each walk, and the list of them.
macro_rules! walks {
    ($($test:ident: $page:literal, $variant:expr;)+) => {
        const WALKS: &[(&str, Option<&str>)] = &[$(($page, $variant)),+];
        $(
            #[tokio::test]
            async fn $test() {
                walk($page, $variant).await;
            }
        )+
    };
}

walks! {
    dex: "dex", None;
    keycloak: "keycloak", None;
    hydra: "hydra", None;
    authentik: "authentik", None;
    entra: "entra", None;
    entra_v1: "entra", Some("sts.windows.net");
    entra_b2c: "entra", Some("b2clogin.com");
    adfs: "adfs", None;
    google: "google", None;
    okta: "okta", None;
    auth0: "auth0", None;
    cognito: "cognito", None;
    gitlab: "gitlab", None;
    zitadel: "zitadel", None;
}

#[test]
fn every_page_has_its_profile_and_every_profile_its_walk() {
    let profiles = profiles::all();
    let walked: Vec<_> = profiles.iter().map(|profile| (profile.page, profile.variant)).collect();
    assert_eq!(walked, WALKS);
    let with_a_page: BTreeSet<String> = Page::all().into_iter().map(|page| page.name).collect();
    let with_a_profile: BTreeSet<String> = profiles.iter().map(|profile| profile.page.to_owned()).collect();
    assert_eq!(with_a_page, with_a_profile);
}

#[test]
fn a_page_configures_the_one_provider_that_it_is_about() {
    for page in Page::all() {
        let providers = &page.config()["providers"];
        assert_eq!(providers.as_array().map(Vec::len), Some(1), "{}", page.name);
        assert_eq!(providers[0]["name"], page.name.as_str());
    }
}

/// What the table of all pages says of sign-outs is what the profiles do.
#[test]
fn the_table_of_the_pages_tells_what_the_profiles_do() {
    let table = read("docs/providers/README.md");
    for profile in profiles::all() {
        let link = format!("]({}.md)", profile.page);
        let row = table.lines().find(|line| line.starts_with("| [") && line.contains(&link));
        let row = row.unwrap_or_else(|| panic!("{} is in no row", profile.page));
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, refresh, logout_token, end_session, _] = cells[..] else { panic!("{row}") };
        assert_eq!(profile.ways.paths.end_session.is_none(), end_session.starts_with("no"), "{row}");
        assert_eq!(profile.ways.logout_token.is_none(), logout_token.starts_with("no"), "{row}");
        if let Some(token) = profile.ways.logout_token {
            assert_eq!(
                (token.sid, token.sub),
                (logout_token.contains("`sid`"), logout_token.contains("`sub`")),
                "{row}"
            );
            assert_eq!(token.lifetime.is_none(), logout_token.contains("without `exp`"), "{row}");
        }
        match profile.ways.refresh {
            RefreshFor::Everybody => assert!(refresh.contains("always"), "{row}"),
            RefreshFor::Scope(scope) => assert!(refresh.contains(&format!("for `{scope}`")), "{row}"),
            RefreshFor::Parameters(parameters) => {
                let told = |(name, value): &(&str, &str)| refresh.contains(&format!("`{name}: {value}`"));
                assert!(parameters.iter().all(told), "{row}");
            }
        }
    }
}

/// What `check-config` says to a configuration whose files are there.
fn check_config(mut config: Value) -> String {
    let folder = TempDir::new().unwrap();
    Files::in_folder(folder.path()).place(&mut config);
    let file = folder.path().join("portcullis.yaml");
    fs::write(&file, config.to_string()).unwrap();
    let output = Command::new(binary().unwrap()).arg("check-config").arg(&file).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn every_configuration_of_a_page_is_good() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        let configs = [page.config()].into_iter().chain(page.variants());
        for (number, config) in configs.enumerate() {
            let told = check_config(config);
            if told != "OK\n" {
                wrong.push(format!("{}, configuration {}: {told}", page.name, number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
