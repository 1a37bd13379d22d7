//! A leak that is planted is found, wherever and however; what is none is not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tempfile::TempDir;

use super::collector::Collector;
use super::kinds::{Kind, Place, Value};
use super::search::{Finding, search};
use crate::jwt::{Algorithm, SigningKey, random_id};

struct Evidence {
    folder: TempDir,
    collector: Collector,
}

impl Evidence {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let collector = Collector::open(folder.path()).unwrap();
        Self { folder, collector }
    }

    fn with(kind: Kind, text: &str) -> Self {
        let evidence = Self::new();
        evidence.collector.secret(kind, Value::Text(text.to_owned()));
        evidence
    }

    fn findings(&self) -> Vec<Finding> {
        search(self.folder.path()).unwrap().findings
    }
}

fn ticket() -> String {
    let mut bytes = [0; 100];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn a_planted_secret_is_found_in_every_place() {
    for place in Place::ALL {
        let ticket = ticket();
        let evidence = Evidence::with(Kind::Ticket, &ticket);
        evidence.collector.keep(place, b"nothing here");
        assert_eq!(evidence.findings(), []);
        evidence.collector.keep(place, format!("{{\"message\":\"opened {ticket}\"}}").as_bytes());
        // Its id and its secret are found in it, too.
        let findings = evidence.findings();
        let finding = findings.first().expect("the ticket is found");
        assert_eq!((finding.line, finding.kind, finding.form), (2, Kind::Ticket, "as it is"));
        assert!(findings.iter().all(|other| (other.line, other.kind) == (2, Kind::Ticket)), "{findings:?}");
        assert!(finding.file.starts_with(place.folder()), "{finding}");
        assert!(!finding.to_string().contains(&ticket[..8]), "{finding}");
    }
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    let code = format!("a+b/{}==", random_id());
    let root = STANDARD.decode(STANDARD.encode(&ticket()[..32])).unwrap();
    let spelled = [
        code.clone(),
        code[..24].to_owned(),
        url::form_urlencoded::byte_serialize(code.as_bytes()).collect(),
        STANDARD.encode(&code),
        STANDARD.encode(format!("portcullis:{code}")),
        format!("{:?}", code.as_bytes()),
        URL_SAFE_NO_PAD.encode(&root),
        root.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
        root.iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}")),
        format!("{root:?}"),
        serde_json::to_string(&root).unwrap(),
    ];
    for spelling in spelled {
        let evidence = Evidence::with(Kind::Code, &code);
        evidence.collector.secret(Kind::RootKey, Value::Bytes(root.clone()));
        evidence.collector.keep(Place::Logs, format!("x={spelling}").as_bytes());
        assert_eq!(evidence.findings().len(), 1, "{spelling}: {:?}", evidence.findings());
    }
}

#[test]
fn the_halves_of_a_ticket_are_found_as_a_store_would_hold_them() {
    let ticket = ticket();
    let bytes = URL_SAFE_NO_PAD.decode(&ticket).unwrap();
    let evidence = Evidence::with(Kind::Ticket, &ticket);
    // The name of the key is none of the secret.
    evidence.collector.keep_apart(Place::Stores, "copy", &[&[0; 9], &bytes[..4], &[0; 9]].concat());
    assert_eq!(evidence.findings(), []);
    for part in [4..36, 36..68, 68..100] {
        evidence.collector.keep_apart(Place::Stores, "copy", &[&[0; 9], &bytes[part], &[0; 9]].concat());
    }
    assert_eq!(evidence.findings().len(), 3);
}

#[test]
fn of_a_token_the_signature_is_the_secret() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let token = key.sign(&serde_json::json!({ "iss": "https://a.test", "sub": "alice" })).unwrap();
    let (claims, signature) = token.rsplit_once('.').unwrap();
    for kind in [Kind::IdToken, Kind::ServiceAccountToken, Kind::Assertion, Kind::Bearer] {
        let evidence = Evidence::with(kind, &token);
        evidence.collector.keep(Place::Pages, claims.as_bytes());
        assert_eq!(evidence.findings(), []);
        evidence.collector.keep(Place::Pages, signature.as_bytes());
        assert_eq!(evidence.findings().len(), 1);
    }
}

#[test]
fn a_state_may_stand_on_a_page_and_nowhere_else() {
    let state = ticket();
    for place in Place::ALL {
        let evidence = Evidence::with(Kind::State, &state);
        evidence.collector.keep(place, state.as_bytes());
        assert_eq!(evidence.findings().len(), usize::from(place != Place::Pages), "{place:?}");
    }
}

#[test]
fn little_evidence_is_told_apart_from_no_leak() {
    let evidence = Evidence::with(Kind::Code, &random_id());
    evidence.collector.keep(Place::Logs, br#"{"level":"DEBUG"}"#);
    let report = search(evidence.folder.path()).unwrap();
    let gaps = report.gaps().join("\n");
    for missing in ["Ticket", "Verifier", "RootKey", "files in logs", "files in stores"] {
        assert!(gaps.contains(missing), "{missing}: {gaps}");
    }
    assert!(!gaps.contains("level trace"), "{gaps}");
    assert_eq!((report.clean_files(), report.leaking_files()), (1, 0));
    assert!(search(&evidence.folder.path().join("nowhere")).is_err());
}
