//! The corpora in `integration/fuzz/corpus`: what they begin with, and their replay.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{Exchange, TARGETS, codec, exchange::Line, get, grammar};
use crate::{reason::Reason, secret::sha256};

/// The inputs that are tried for seeds of the target `request`.
const TRIED: u32 = 3000;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/fuzz/corpus").join(target)
}

fn files(target: &str) -> Vec<PathBuf> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// Bytes that are the same on every machine.
pub(super) fn bytes(number: u32) -> Vec<u8> {
    (0..4).flat_map(|part: u8| sha256(&[&number.to_be_bytes()[..], &[part]].concat())).collect()
}

/// One choice of bytes for each way that a check ends.
fn requests() -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for bytes in (0..TRIED).map(bytes) {
        let record = Exchange::of_choices(&bytes).record;
        let name = format!("{}-{}", record.reason, record.rule().unwrap_or("none"));
        found.entry(name).or_insert(bytes);
    }
    found
}

fn encoded(line: Line) -> Vec<u8> {
    use prost::Message as _;
    get("/optional/page".into(), vec![line]).encode_to_vec()
}

/// Messages with one line each: their bytes have one order only.
fn messages() -> BTreeMap<String, Vec<u8>> {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let lines = [
        ("ticket", line("cookie", "a=1; __Host-portcullis={ticket}; b=2")),
        ("token", line("authorization", "Bearer {token}")),
        ("protected", line("Kubeflow_UserID", "evil")),
        ("hidden", line("connection", "kubeflow-userid")),
        ("foreign-page", line("origin", "https://evil.example")),
        ("grpc", line("content-type", "application/grpc")),
        ("line-end", line("x-request-id", "a\r\nb: c")),
        ("empty-name", line("", "")),
    ];
    let mut messages: BTreeMap<_, _> = lines.map(|(name, line)| (name.to_owned(), encoded(line))).into();
    messages.insert("cut".into(), messages["ticket"][..30].to_vec());
    messages.insert("empty".into(), vec![]);
    messages.extend(corners().map(|(name, http)| (name.to_owned(), nested(&[2, 4, 1], http))));
    messages
}

/// What protocol buffers allow and no gateway writes: of `HttpRequest`, since a message that stands twice is one.
fn corners() -> [(&'static str, Vec<u8>); 7] {
    let entry = |name: &str, value: &str| field(3, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let asked = [field(2, b"GET"), field(4, b"/optional/page"), field(5, b"kf.example.com")].concat();
    let with = |more: &[Vec<u8>]| [asked.clone(), more.concat()].concat();
    [
        ("twin-entries", with(&[entry("cookie", "a=1"), entry("cookie", "b=2")])),
        ("entries-of-two-cases", with(&[entry("Cookie", "a=1"), entry("cookie", "b=2")])),
        ("bare-entry", with(&[field(3, b""), field(3, &field(2, b"a"))])),
        ("both-encodings", with(&[entry("x-a", "1"), field(13, &field(1, &field(1, b"x-b"))), entry("x-a", "2")])),
        ("last-of-each", with(&[field(2, b"POST"), field(4, b"/closed"), field(4, b"/public")])),
        ("group", with(&[vec![15 << 3 | 3, 15 << 3, 1, 15 << 3 | 4], entry("x-a", "1")])),
        ("no-text", with(&[field(2, b"\xff")])),
    ]
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    codec::put(number, value, &mut field);
    field
}

/// Bytes in a field of a message in a field, and so on, the innermost first.
fn nested(fields: &[u8], inner: Vec<u8>) -> Vec<u8> {
    fields.iter().fold(inner, |inner, number| field(*number, &inner))
}

/// Messages that say little and ask for much memory.
fn greedy() -> BTreeMap<String, Vec<u8>> {
    let mut found = messages();
    // attributes (1), request (4), http (2), header_map (13), headers (1), each of them empty.
    found.insert("empty-lines".into(), nested(&[13, 2, 4, 1], [10, 0].repeat(2000)));
    found.insert("deep".into(), nested(&[1].repeat(90), vec![]));
    found.insert("long-path".into(), nested(&[4, 2, 4, 1], b"/%25".repeat(1500)));
    found
}

fn texts(texts: &[&str]) -> BTreeMap<String, Vec<u8>> {
    texts.iter().enumerate().map(|(at, text)| (format!("{at:02}"), text.as_bytes().to_vec())).collect()
}

fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    match target {
        "decoding" => greedy(),
        "message" => messages(),
        "request" => requests(),
        "path" => texts(&[
            "/public/app.css",
            "/api/..;/public",
            "/public%2f..%2fadmins",
            "/public/../admins",
            "/public/%252e%252e/admins",
            "/x?/public",
            "/public%00",
            "/%c0%afpublic",
            "/public#/admins",
            "//public",
            "/public/..\\admins",
            "/PUBLIC",
            "/public/\u{e9}",
            "/portcullis/logout",
            "/%70ortcullis/whoami",
        ]),
        "cookies" => texts(&[
            "a=1; __Host-portcullis={ticket}; b=\"x y\" ;c",
            "__Host-portcullis={ticket}",
            "__Host-portcullis={ticket}; a=1\n__Host-portcullis={ticket}",
            "a=1,__Host-portcullis=x",
            "=__Host-portcullis=x",
            "__Host-portcullis2=x; b=2",
            "__Host-portcullis-login=x; ;; a",
            "__host-portcullis=x",
            " __Host-portcullis =x; a=\u{1}",
            "a=1\nb=2",
        ]),
        "captures" => texts(&[
            "/notebook/{namespace}/{name}/**\n/notebook/team-a/nb/lab\nnamespace=team-a",
            "/notebook/{namespace}/{name}/**\n/notebook/team-b/..%2fteam-a/nb",
            "/notebook/{namespace}/*\n/notebook/%74eam-a/100%",
            "/s/{method}/Get*\n/s/a;x=1/Get%23#?b\nnamespace=team-a&[namespace]=team-b",
            "/**\n/\nnamespace=team-a;namespace=team-b",
            "private/{namespace}/**\n/artifacts/get\nkey=private%252Fteam-a%2Fx&namespace=team-a\nkey",
            "private/{namespace}/**\n/artifacts/get\nkey=private/team-a/%252e%252e/team-b/x\nkey",
            "shared/**\n/artifacts/get\nkey=shared/../x&key[]=y\nkey",
            "**\n/x\nkey=a\\..\\b\nkey",
            "{name}.{namespace}.example.com\n/x\n%6eamespace=a+b&NAMESPACE=c&namespace%00=d",
            "/{a}/{b}/{c}\n/\u{ff41}/%ff/x\nnamespace=x]=y",
            "/**\n/\nkey=shared\nkey",
            "//**\n/a//b",
            "/**/a*b/{A}\nx\n%ff=1",
        ]),
        _ => texts(&[
            "/notebook/team-a/?token=a,b;c",
            "//evil.example",
            "/\\evil.example",
            "/%09/evil.example",
            "/%5cevil.example",
            "https:evil.example",
            "//kf.example.com@evil.example",
            "/a\tb\r\nc",
            "/portcullis/logout",
            "/x/../portcullis/login",
            "/public/../notebook#x",
            "@evil.example",
            ".evil.example/",
        ]),
    }
}

/// `UPDATE_CORPUS=1 cargo test -p portcullis --lib corpus` writes the seeds.
#[test]
fn every_corpus_holds_its_seeds_and_is_replayed() {
    let mut targets = BTreeSet::new();
    for target in TARGETS {
        targets.insert(target.name.to_owned());
        let folder = folder(target.name);
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in seeds(target.name) {
                fs::write(folder.join(format!("seed-{name}")), bytes).unwrap();
            }
        }
        for file in files(target.name) {
            (target.run)(&fs::read(&file).unwrap());
        }
        if target.name != "request" {
            for (name, bytes) in seeds(target.name) {
                let have = fs::read(folder.join(format!("seed-{name}"))).ok();
                assert!(have == Some(bytes), "{}/seed-{name} is stale: run with UPDATE_CORPUS=1", target.name);
            }
        }
    }
    let folders = fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(folders.collect::<BTreeSet<_>>(), targets, "a corpus for each target, and no other");
}

/// The seeds of `request` are choices, whose meaning the grammar gives: they still lead to every end that they did.
#[test]
fn the_corpus_of_requests_ends_in_every_way() {
    let reasons: BTreeSet<Reason> =
        files("request").iter().map(|file| Exchange::of_choices(&fs::read(file).unwrap()).record.reason).collect();
    for reason in super::tests::REACHED {
        assert!(reasons.contains(reason), "{reason} is not reached: write the seeds with UPDATE_CORPUS=1");
    }
    assert!(grammar::request(&[]).attributes.is_some(), "no choice at all is a request, too");
}
