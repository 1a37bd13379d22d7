//! Each check leaves one record and one count, and no secret ever stands among them.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_integration::envoy::Variant;
use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::gateway::{Gateway, HOST};
use portcullis_integration::portcullis::{LOGIN_COOKIE, SESSION_COOKIE, TOKEN_AUDIENCE};
use portcullis_integration::provider::Signature;
use portcullis_integration::raw_client::{Response, http1};
use portcullis_integration::{jwt, on_each_envoy, visitor};
use serde_json::{Value, json};
use url::Url;

on_each_envoy!(each_check_is_recorded_and_counted_once);

async fn gateway(variant: Variant) -> Gateway {
    let rules = json!([
        { "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" },
        { "name": "admins", "paths": [{ "prefix": "/admin" }], "access": "authenticated", "groups": ["admins"] },
    ]);
    Gateway::start(variant, |config| config.rules(rules)).await.expect("the ensemble starts")
}

/// The records of checks, in their order.
async fn checks(gateway: &Gateway) -> Vec<Value> {
    let records = gateway.portcullis.records().await.unwrap();
    records.into_iter().filter(|record| record["target"] == "portcullis::check").collect()
}

/// How many checks were counted: all, and those of one outcome and reason.
async fn counted(gateway: &Gateway, outcome: &str, reason: &str) -> (u64, u64) {
    let metrics = gateway.portcullis.metrics().await.unwrap();
    let (mut all, mut of_these) = (0, 0);
    for line in metrics.lines().filter(|line| line.starts_with("portcullis_checks_total{")) {
        let (labels, value) = line.rsplit_once(' ').unwrap();
        let value: u64 = value.parse().unwrap();
        all += value;
        let is_of_these = [format!("outcome=\"{outcome}\""), format!("reason=\"{reason}\"")];
        of_these += if is_of_these.iter().all(|label| labels.contains(label)) { value } else { 0 };
    }
    (all, of_these)
}

/// What the checks so far have left.
struct Ledger<'a> {
    gateway: &'a Gateway,
    expected: Vec<[String; 2]>,
}

impl Ledger<'_> {
    /// Fails unless all requests so far, of which the last was decided so, left one record and one count each.
    async fn expect(&mut self, outcome: &str, reason: &str) -> Value {
        self.expected.push([outcome.to_owned(), reason.to_owned()]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while checks(self.gateway).await.len() < self.expected.len() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut records = checks(self.gateway).await;
        let told: Vec<[String; 2]> = records
            .iter()
            .map(|record| ["outcome", "reason"].map(|field| record[field].as_str().unwrap_or_default().to_owned()))
            .collect();
        assert_eq!(told, self.expected);
        let of_these = self.expected.iter().filter(|[o, r]| o == outcome && r == reason).count();
        let (all, same) = counted(self.gateway, outcome, reason).await;
        assert_eq!((all, same), (self.expected.len() as u64, of_these as u64), "{outcome} {reason}");
        records.pop().unwrap()
    }
}

async fn each_check_is_recorded_and_counted_once(variant: Variant) {
    let gateway = gateway(variant).await;
    let mut ledger = Ledger { gateway: &gateway, expected: Vec::new() };
    let mut alice = gateway.visitor().unwrap();

    let to_provider = alice.begin("/wanted").await.unwrap();
    ledger.expect("answered", "login_started").await;
    let callback = visitor::log_in(&to_provider, "alice").await.unwrap();
    let landing = alice.come_back(&callback).await.unwrap();
    let record = ledger.expect("answered", "signed_in").await;
    assert_eq!(record["path"], "/portcullis/callback");
    assert_eq!(alice.navigate(&landing).await.unwrap().status, 200);
    let record = ledger.expect("allowed", "session").await;
    assert_eq!((&record["principal"], &record["path"]), (&json!("alice@example.com"), &json!("/wanted")));

    assert_eq!(alice.navigate("/admin").await.unwrap().status, 403);
    let record = ledger.expect("denied", "not_permitted").await;
    assert_eq!((&record["principal"], &record["rule"]), (&json!("alice@example.com"), &json!("admins")));

    let bearer = format!("Bearer {}", gateway.mint_token("ns", "robot"));
    assert_eq!(gateway.get("/private", &[("authorization", &bearer)]).await.unwrap().status, 200);
    let record = ledger.expect("allowed", "service_account").await;
    assert_eq!(record["principal"], "system:serviceaccount:ns:robot");

    let cases = [
        ("/public/a", HOST, 200, "allowed", "public"),
        ("/private", HOST, 401, "denied", "not_signed_in"),
        ("/admin;v=1/x", HOST, 400, "denied", "ambiguous_path"),
        ("/portcullis/signed-out", HOST, 200, "answered", "page"),
        ("/", "stranger.test", 421, "denied", "unknown_host"),
        ("/private", HOST, 401, "denied", "not_signed_in"),
    ];
    for (path, host, status, outcome, reason) in cases {
        let response = http1::get(&gateway.target(), host, path, &[]).await.unwrap();
        assert_eq!(response.status, status, "{path} at {host}: {}", response.text());
        let record = ledger.expect(outcome, reason).await;
        assert_eq!((&record["host"], &record["method"]), (&json!(host), &json!("GET")));
    }
}

/// The parts of secrets by which they would be recognized, each with a name for messages.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Long enough that nothing else looks the same, short enough to find what was cut.
    const LENGTH: usize = 16;

    /// Adds the beginning of each part of a secret: a JWT is a secret by its signature, too.
    fn add(&mut self, name: &str, secret: &str) {
        let parts = secret.split(['.', '\n']).filter_map(|part| part.get(..Self::LENGTH));
        let before = self.0.len();
        self.0.extend(parts.map(|part| (name.to_owned(), part.to_owned())));
        assert!(self.0.len() > before, "{name} is too short to be looked for: {secret}");
    }

    fn add_parameters(&mut self, url: &Url, names: &[&str]) {
        for &name in names {
            let (_, value) = url.query_pairs().find(|(found, _)| found == name).unwrap_or_else(|| panic!("{name}"));
            self.add(name, &value);
        }
    }

    fn add_keys(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("pem") => self.add(&name, &fs::read_to_string(&path).unwrap()),
                Some("key") => {
                    let text = fs::read_to_string(&path).unwrap();
                    let key = STANDARD.decode(text.trim()).unwrap();
                    self.add(&name, text.trim());
                    self.add(&name, &URL_SAFE_NO_PAD.encode(&key));
                    self.add(&name, &format!("{:016x}", u64::from_be_bytes(*key.first_chunk().unwrap())));
                    self.add(&name, &format!("{key:?}"));
                }
                _ => {}
            }
        }
    }

    fn found_in(&self, text: &str) -> Vec<&(String, String)> {
        self.0.iter().filter(|(_, part)| text.contains(part)).collect()
    }
}

fn request_id(refusal: &Response) -> String {
    let problem: Value = refusal.json().unwrap_or_else(|error| panic!("{error:#}: {}", refusal.text()));
    problem["request_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_secret_is_ever_written() {
    let mut gateway = gateway(Variant::NEWEST).await;
    let mut secrets = Secrets::default();
    let mut request_ids = Vec::new();
    let issued: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&issued);
    gateway.provider.lie(|faults| faults.edit_token = edit(move |answer| seen.lock().unwrap().push(answer.clone())));

    let mut alice = gateway.visitor().unwrap();
    let to_provider = alice.begin("/wanted").await.unwrap();
    secrets.add_parameters(&to_provider, &["state", "nonce"]);
    secrets.add("login cookie", &alice.cookies[LOGIN_COOKIE]);
    let callback = visitor::log_in(&to_provider, "alice").await.unwrap();
    secrets.add_parameters(&callback, &["code", "state"]);
    let landing = alice.come_back(&callback).await.unwrap();
    secrets.add("ticket", &alice.cookies[SESSION_COOKIE]);
    let received = alice.navigate(&landing).await.unwrap().echo().unwrap();
    secrets.add("assertion", received.headers.only("portcullis-assertion").unwrap());
    request_ids.push(received.headers.only("x-request-id").unwrap().to_owned());
    assert_eq!(alice.fetch("POST", "/portcullis/logout").await.unwrap().status, 201);

    let known = gateway.mint_token("ns", "robot");
    let robot = gateway.review_api.token("ns", "robot").audience(TOKEN_AUDIENCE);
    for (token, status) in [(known, 200), (robot.forged(), 401), (robot.signed_unknown(), 401), (jwt::random_id(), 401)]
    {
        secrets.add("token", &token);
        let response = gateway.get("/private", &[("authorization", &format!("Bearer {token}"))]).await.unwrap();
        assert_eq!(response.status, status, "{}", response.text());
        request_ids.push(match status {
            200 => response.echo().unwrap().headers.only("x-request-id").unwrap().to_owned(),
            _ => request_id(&response),
        });
    }

    let forged =
        [("code", jwt::random_id()), ("state", jwt::random_id()), ("iss", gateway.provider.issuer().to_owned())];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&forged).finish();
    secrets.add("forged code", &forged[0].1);
    secrets.add("forged state", &forged[1].1);
    let mut mallory = gateway.visitor().unwrap();
    mallory.cookies.insert(SESSION_COOKIE.to_owned(), jwt::random_id());
    secrets.add("forged ticket", &mallory.cookies[SESSION_COOKIE]);
    let response = mallory.navigate(&format!("/portcullis/callback?{query}")).await.unwrap();
    assert_eq!(response.status, 400, "{}", response.text());
    request_ids.push(request_id(&mallory.fetch("GET", "/private").await.unwrap()));

    // What cannot be read is what messages like to quote.
    let unreadable = jwt::random_id();
    secrets.add("unreadable token", &unreadable);
    let bodies = [
        json!({ "access_token": &unreadable, "token_type": &unreadable }),
        json!({ "access_token": [&unreadable], "id_token": &unreadable }),
    ];
    let answers = bodies.map(|body| (Signature::Honest, Fault::Body(body.to_string())));
    for (signature, token) in [(Signature::Zeros, Fault::None)].into_iter().chain(answers) {
        gateway.provider.lie(|faults| (faults.signature, faults.token) = (signature, token));
        let mut bob = gateway.visitor().unwrap();
        let to_provider = bob.begin("/").await.unwrap();
        let callback = visitor::log_in(&to_provider, "bob").await.unwrap();
        secrets.add("login cookie", &bob.cookies[LOGIN_COOKIE]);
        secrets.add_parameters(&callback, &["code", "state"]);
        let path = format!("{}?{}", callback.path(), callback.query().unwrap());
        let response = bob.navigate(&path).await.unwrap();
        assert!(matches!(response.status, 403 | 503), "{} {}", response.status, response.text());
    }

    for answer in issued.lock().unwrap().iter() {
        secrets.add("ID token", answer["id_token"].as_str().unwrap());
        secrets.add("access token", answer["access_token"].as_str().unwrap());
    }
    let client = gateway.provider.client();
    let client_secret = client.secret.unwrap();
    secrets.add("client secret", &client_secret);
    secrets.add("client secret", &STANDARD.encode(format!("{}:{client_secret}", client.id)));
    let folder = gateway.portcullis.config().folder().to_owned();
    secrets.add_keys(&folder.join("keys"));
    let kubeconfig: Value = serde_json::from_slice(&fs::read(folder.join("kubeconfig")).unwrap()).unwrap();
    secrets.add("our own token", kubeconfig["users"][0]["user"]["token"].as_str().unwrap());

    let metrics = gateway.portcullis.metrics().await.unwrap();
    gateway.portcullis.stop().await.unwrap();
    let log = gateway.portcullis.process().log();
    for id in request_ids {
        assert!(log.contains(&id), "{id} is not in the log");
    }
    assert!(metrics.contains("portcullis_checks_total"), "{metrics}");
    assert!(secrets.0.len() > 40, "the secrets were not collected: {}", secrets.0.len());
    assert!(secrets.found_in(&log).is_empty(), "in the log: {:?}", secrets.found_in(&log));
    assert!(secrets.found_in(&metrics).is_empty(), "in the metrics: {:?}", secrets.found_in(&metrics));
}
