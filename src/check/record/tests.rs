use proptest::prelude::*;

use super::*;
use crate::{decision::Respond, logging::tests::Written};

fn refused(asked: Asked) -> CheckRecord {
    let decision = Decision::Respond(Respond::new(Reason::MalformedRequest));
    CheckRecord::new(asked, &decision, None, Who::Nobody)
}

#[test]
fn a_record_never_holds_a_query() {
    let of = |host: &str, path: &str| {
        let raw = RawRequest::new("", host, path);
        refused(Asked::Unread(raw.into(), RequestId::generate()))
    };
    let record = of("kf", "/callback?code=secret#x");
    assert_eq!(record.asked.path(), "/callback");
    assert!(!record.request_id().is_empty());
    let record = of("me:secret@kf", "https://me:secret@kf/");
    assert_eq!((record.asked.host(), record.asked.path()), ("kf", ""));
    let raw = RawRequest::new("GET", "kf", "/a?code=secret");
    let record = refused(Asked::Read(Request::parse(raw).unwrap()));
    assert_eq!(record.asked.path(), "/a");
    assert!(!format!("{record:?}").contains("secret"), "{record:?}");
}

#[test]
fn values_from_outside_are_escaped_and_cut() {
    assert_eq!(outside("/a b"), "/a b");
    assert_eq!(outside("/a\nb\u{1b}[31m\u{202e}\\"), "/a\\nb\\u{1b}[31m\\u{202e}\\\\");
    assert_eq!(outside(&"ü".repeat(1000)).len() / 6, 42);
    assert!(outside(&"a".repeat(1000)).len() == MAX_OUTSIDE_BYTES);
}

/// As it can be read in one line, character by character.
fn outside_by_characters(text: &str) -> String {
    let plain = |next: char| matches!(next, ' '..='~') && next != '\\';
    let escape = |next: char| if plain(next) { next.to_string() } else { next.escape_default().to_string() };
    text.chars()
        .map(escape)
        .scan(0, |length, next| {
            *length += next.len();
            (*length <= MAX_OUTSIDE_BYTES).then_some(next)
        })
        .collect()
}

/// Text as attackers write it.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z/]{0,40}",
        "\\PC{0,8}",
        prop::sample::select(vec![
            "\"",
            "\\",
            "\n",
            "\r",
            "\0",
            "\u{7f}",
            "\u{2028}",
            "\u{202e}",
            "\u{10ffff}",
            "%0a",
            "{",
            "ü"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn to_escape_by_bytes_is_to_escape_by_characters(text in text()) {
        prop_assert_eq!(outside(&text), outside_by_characters(&text));
        let long = text.repeat(8);
        prop_assert_eq!(outside(&long), outside_by_characters(&long));
    }

    #[test]
    fn each_record_is_one_line_of_json_that_says_what_the_record_does(
        texts in prop::array::uniform5(text()), micros in any::<u32>(), rule in prop::option::of(text()),
    ) {
        let [method, host, path, source, _] = texts;
        let path = format!("/{}", path.replace(['?', '#'], ""));
        let host = host.replace('@', "");
        let raw = RawRequest::new(&method, &host, &path).from_peer(&source);
        let mut record = refused(Asked::Unread(raw.into(), RequestId::generate()));
        record.rule = rule.clone().map(Into::into);
        let lines = Written::of_json(|log| record.log(log, Duration::from_micros(micros.into())));
        prop_assert_eq!(lines.len(), 1);
        let mut told: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        let stamp = told.as_object_mut().unwrap().remove("timestamp").unwrap();
        prop_assert!(humantime::parse_rfc3339(stamp.as_str().unwrap()).is_ok(), "{}", stamp);
        prop_assert_eq!(told, serde_json::json!({
            "level": "INFO", "message": "check", "outcome": "denied", "reason": "malformed_request",
            "rule": rule.unwrap_or_default(), "principal": "", "request_id": record.request_id(),
            "method": outside_by_characters(&method), "host": outside_by_characters(&host),
            "path": outside_by_characters(&path), "source": outside_by_characters(&source),
            "elapsed_us": micros, "target": "portcullis::check",
        }));
    }
}

#[test]
fn a_plain_record_takes_no_memory() {
    let record = CheckRecord::for_tests("request-1");
    let write = |log: &Log| record.log(log, Duration::from_micros(70));
    Written::of_json(|log| {
        // What a thread and the log keep for good.
        write(log);
        assert_eq!(allocation_counter::measure(|| write(log)).count_total, 0);
    });
}
