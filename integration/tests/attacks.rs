//! Every attack of `integration/attacks`, behind each Envoy and at the check port.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portcullis_integration::attack::{self, Case, Ground, Origin};
use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::on_each_envoy;
use portcullis_integration::visitor::log_in;

on_each_envoy!(no_attack_succeeds);

/// The classes that the suite must have.
const CLASSES: [&str; 12] = [
    "Forged identity",
    "Cookies",
    "Names",
    "Tenants on one origin",
    "Paths",
    "Host and redirects",
    "Login",
    "Tokens",
    "ServiceAccount tokens",
    "Outage and flood",
    "Logout and isolation",
    "The assertion",
];

async fn no_attack_succeeds(variant: Variant) {
    let ground = Ground::start(variant).await.expect("the ensemble starts");
    let (mut wrong, mut passed) = (Vec::new(), Vec::new());
    for class in attack::read_all().unwrap() {
        for case in &class.cases {
            let differs = ground.run(case, &mut passed).await;
            wrong.extend(differs.into_iter().map(|text| format!("{}: {text}", class.class)));
        }
    }
    assert!(passed.len() > 50, "only {} requests passed: nothing was shown of what arrives", passed.len());
    wrong.extend(ground.reasons_differ(&passed).await.unwrap());
    assert!(wrong.is_empty(), "{} attacks end otherwise than told:\n{}", wrong.len(), wrong.join("\n"));
}

/// The lines of a public list.
fn list(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(attack::folder().join("lists").join(name)).unwrap();
    let lines: Vec<String> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert!(lines.len() > 200, "{name} has {} lines", lines.len());
    lines
}

/// Asked for as the page after sign-in, and as the very address that is opened.
#[tokio::test]
async fn no_redirect_of_the_public_list_leads_elsewhere() {
    let gateway = Gateway::start(Variant::NEWEST, |config| config).await.unwrap();
    let mut wrong = Vec::new();
    for target in list("open-redirects.txt") {
        let wanted: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let mut addresses = vec![format!("/portcullis/login?return={wanted}")];
        if target.starts_with('/') && target.is_ascii() && !target.contains(['#', ' ']) {
            addresses.push(target.clone());
        }
        for address in addresses {
            if let Err(error) = land(&gateway, &address).await {
                wrong.push(format!("{address}: {error:#}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Opens an address, signs in, and fails where that lands at another origin. An address that is refused lands nowhere.
async fn land(gateway: &Gateway, address: &str) -> anyhow::Result<()> {
    let mut visitor = gateway.visitor()?;
    let answer = visitor.navigate(address).await?;
    let Some(location) = answer.headers.only("location") else {
        anyhow::ensure!(answer.status == 400 || answer.status == 404, "{}", answer.status);
        return Ok(());
    };
    let authorization = url::Url::parse(location)?;
    anyhow::ensure!(location.starts_with(gateway.provider.issuer()), "sent to {location}");
    let back = log_in(&authorization, "alice").await?;
    // Fails where the callback leads to another origin.
    visitor.come_back(&back).await.map(drop)
}

#[tokio::test]
async fn no_traversal_of_the_public_list_is_public() {
    let rules = serde_json::json!([{ "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" }]);
    let gateway = Gateway::start(Variant::NEWEST, |config| config.rules(rules)).await.unwrap();
    let clean = gateway.get("/public/a.b/c", &[]).await.unwrap();
    assert_eq!(clean.status, 200, "the control: {}", clean.text());
    let mut wrong = Vec::new();
    for traversal in list("traversals.txt") {
        for path in [format!("/public/{traversal}"), format!("/public{traversal}")] {
            let answer = gateway.get(&path, &[]).await.unwrap();
            if answer.is_from_upstream() || !matches!(answer.status, 400 | 401) {
                wrong.push(format!("{path}: {}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_class_has_cases_and_every_case_a_name_of_its_own() {
    let classes = attack::read_all().unwrap();
    let names: BTreeSet<&str> = classes.iter().map(|class| class.class.as_str()).collect();
    for class in CLASSES {
        assert!(names.contains(class), "no cases of {class:?}");
    }
    let mut seen = BTreeSet::new();
    for class in &classes {
        assert!(class.cases.len() >= 3, "{}", class.class);
        for case in &class.cases {
            assert!(seen.insert(case.name.as_str()), "two cases are called {}", case.name);
            let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
            assert!(case.name.chars().all(is_plain) && !case.why.is_empty(), "{case}");
        }
    }
    let own = |case: &&Case| case.origin == Origin::Own;
    let own = classes.iter().flat_map(|class| &class.cases).filter(own).count();
    assert!(own >= 30, "only {own} vectors of our own");
}

#[test]
fn every_vector_that_is_known_has_a_case() {
    let text = std::fs::read_to_string(attack::folder().join("lists/vectors.yaml")).unwrap();
    let known: BTreeMap<String, BTreeMap<String, Vec<String>>> = serde_saphyr::from_str(&text).unwrap();
    let classes = attack::read_all().unwrap();
    let mut missing = Vec::new();
    for class in CLASSES {
        let vectors = known.get(class).unwrap_or_else(|| panic!("no vector of {class:?} is known"));
        let cases = classes.iter().filter(|read| read.class == class).flat_map(|read| &read.cases);
        let names: BTreeSet<&str> = cases.map(|case| case.name.as_str()).collect();
        for (vector, shown_by) in vectors {
            let is_shown = !shown_by.is_empty() && shown_by.iter().all(|name| names.contains(name.as_str()));
            if !is_shown {
                missing.push(format!("{class}: {vector}: {shown_by:?}"));
            }
        }
    }
    assert_eq!(known.len(), CLASSES.len(), "a class that is none");
    assert!(missing.is_empty(), "vectors without a case:\n{}", missing.join("\n"));
}

#[test]
fn what_is_shown_by_a_test_is_shown_by_one_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for case in attack::read_all().unwrap().iter().flat_map(|class| &class.cases) {
        let Some(shown_by) = &case.shown_by else { continue };
        let (file, test) = shown_by.split_once("::").unwrap_or_else(|| panic!("{case}: {shown_by}"));
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{case}: {file}: {error}"));
        assert!(is_test(&source, test), "{case}: {file} has no test {test}");
    }
    let this = include_str!("attacks.rs");
    assert!(is_test(this, "no_attack_succeeds") && !is_test(this, "land"), "a helper is no test");
}

/// Whether a source has a test of that name: a function with a test's attribute, or one that a macro is given to run.
fn is_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let before = source[..at].trim_end_matches("async ").trim_end();
    let attribute = before.lines().last().unwrap_or_default().trim();
    let is_given = |list: &str| {
        list.split(')').next().is_some_and(|list| list.split([',', ' ', '\n', ']']).any(|given| given.trim() == name))
    };
    attribute.starts_with("#[test]")
        || attribute.starts_with("#[tokio::test")
        || ["on_each_envoy!(", "trials!["].iter().any(|opening| source.split(opening).skip(1).any(is_given))
}
