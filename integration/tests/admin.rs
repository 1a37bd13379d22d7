//! The commands of administrators: the real command against the real process.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

use std::os::unix::fs::PermissionsExt as _;

use portcullis_integration::administrator::{Administrator, administered};
use portcullis_integration::envoy::Variant;
use portcullis_integration::gateway::Gateway;
use portcullis_integration::on_each_envoy;
use portcullis_integration::pki::Authority;
use portcullis_integration::portcullis::{Config, ORIGIN, Portcullis, SESSION_COOKIE};
use portcullis_integration::ports::Port;
use portcullis_integration::visitor::Visitor;
use serde_json::{Value, json};

on_each_envoy!(an_administrator_sees_and_ends_sessions);

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The records of the audit log.
async fn audited(portcullis: &Portcullis) -> Vec<Value> {
    let records = portcullis.records().await.unwrap();
    records.into_iter().filter(|record| record["target"] == "portcullis::audit").collect()
}

async fn status(visitor: &mut Visitor) -> u16 {
    visitor.fetch("GET", "/page").await.unwrap().status
}

async fn an_administrator_sees_and_ends_sessions(variant: Variant) {
    let gateway = Gateway::start(variant, administered).await.unwrap();
    let portcullis = &gateway.portcullis;
    let mode = std::fs::metadata(Administrator::socket(portcullis)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut browsers = Vec::new();
    for person in ["alice", "alice", "bob"] {
        let mut visitor = gateway.visitor().unwrap();
        visitor.sign_in(person, "/").await.unwrap();
        assert_eq!(status(&mut visitor).await, 200);
        browsers.push(visitor);
    }
    let [first, second, bob] = &mut browsers[..] else { panic!("three signed in") };

    let list = ["sessions", "list", "--user", "alice@example.com"];
    let listed = Administrator::of(portcullis).told_json(&list).await.unwrap();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{listed}");
    for session in sessions {
        assert_eq!((&session["userid"], &session["source"]), (&json!("alice@example.com"), &json!("127.0.0.1")));
    }
    let table = Administrator::of(portcullis).told(&list).await.unwrap();
    let handle = sessions[0]["handle"].as_str().unwrap();
    assert!(table.starts_with("SESSION ") && table.lines().nth(1).unwrap().starts_with(handle), "{table}");

    // One session, by its handle; under another person's name it is not found.
    let address = format!("unix:{}", Administrator::socket(portcullis).display());
    let of_bob = ["sessions", "revoke", "--user", "bob@example.com", "--session", handle];
    let output = Administrator::at(address.clone()).run(&of_bob, "").await.unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(64), ""));
    assert!(text(&output.stderr).contains("there is no such session"), "{}", text(&output.stderr));
    assert_eq!((status(first).await, status(second).await), (200, 200));
    let of_alice = ["sessions", "revoke", "--user", "alice@example.com", "--session", handle];
    assert_eq!(Administrator::of(portcullis).told(&of_alice).await.unwrap(), "1 session ended\n");
    assert_eq!((status(first).await, status(second).await), (401, 200));

    // The handle alone is enough.
    first.sign_in("alice", "/").await.unwrap();
    let listed = Administrator::of(portcullis).told_json(&list).await.unwrap();
    let newest = listed["sessions"][1]["handle"].as_str().unwrap();
    let by_handle = ["sessions", "revoke", "--session", newest];
    assert_eq!(Administrator::of(portcullis).told(&by_handle).await.unwrap(), "1 session ended\n");
    assert_eq!((status(first).await, status(second).await, status(bob).await), (401, 200, 200));
    let output = Administrator::at(address.clone()).run(&by_handle, "").await.unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));

    let all = ["sessions", "revoke", "--user", "alice@example.com"];
    assert_eq!(Administrator::of(portcullis).told_json(&all).await.unwrap(), json!({ "ended": 1 }));
    assert_eq!((status(second).await, status(bob).await), (401, 200));

    // What a check would be decided as, with a credential that the command line does not show.
    let cookie = format!("{SESSION_COOKIE}={}", bob.cookies[SESSION_COOKIE]);
    let arguments = ["explain", "https://kubeflow.test/page?secret=1", "--cookie-file", "-", "--output", "json"];
    let output = Administrator::at(address).run(&arguments, &cookie).await.unwrap();
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(explained["verdict"], "allowed", "{explained}");
    assert_eq!(explained["reason"], "session");
    assert_eq!(explained["authenticator"], "session");
    assert_eq!(explained["userid"], "bob@example.com");

    let acts = audited(portcullis).await;
    let told: Vec<_> = acts.iter().map(|act| (act["act"].as_str().unwrap(), act["detail"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [
            ("list_sessions", "2 listed"),
            ("list_sessions", "2 listed"),
            ("revoke_sessions", "there is no such session: it has ended, or is another person's"),
            ("revoke_sessions", "1 ended"),
            ("list_sessions", "2 listed"),
            ("revoke_sessions", "1 ended"),
            ("revoke_sessions", "there is no such session: it has ended, or is another person's"),
            ("revoke_sessions", "1 ended"),
            ("explain", "allowed: session"),
        ]
    );
    for (act, outcome, count) in [
        ("list_sessions", "done", 3),
        ("revoke_sessions", "done", 3),
        ("revoke_sessions", "failed", 2),
        ("explain", "done", 1),
    ] {
        let labels = [format!("act=\"{act}\""), format!("outcome=\"{outcome}\"")];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        let counted = portcullis.metric("portcullis_administrative_acts_total", &labels).await.unwrap();
        assert_eq!(counted, count, "{act} {outcome}");
    }
    let caller = format!("uid:{}", std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()));
    assert_eq!(acts[3]["about"], format!("\"session {handle} of user alice@example.com\""));
    assert_eq!(acts[5]["about"], format!("\"session {newest}\""));
    for act in &acts {
        assert_eq!(act["caller"], caller.as_str(), "{act}");
        let failed = act["detail"].as_str().unwrap().starts_with("there is no such session");
        assert_eq!(act["outcome"], if failed { "failed" } else { "done" }, "{act}");
        assert!(!act.to_string().contains(&bob.cookies[SESSION_COOKIE]), "{act}");
        assert!(!act.to_string().contains("secret=1"), "{act}");
    }
}

#[tokio::test]
async fn an_explanation_tells_groups_that_nearly_fit() {
    let rules = json!([{ "name": "team", "paths": [{ "prefix": "/team" }], "groups": ["/Team-A"] }]);
    let gateway = Gateway::start(Variant::NEWEST, |config| administered(config).rules(rules)).await.unwrap();
    let mut alice = gateway.visitor().unwrap();
    alice.sign_in("alice", "/").await.unwrap();
    let address = format!("unix:{}", Administrator::socket(&gateway.portcullis).display());
    let cookie = format!("{SESSION_COOKIE}={}", alice.cookies[SESSION_COOKIE]);
    let arguments = ["explain", "https://kubeflow.test/team/x", "--cookie-file", "-", "--output", "json"];
    let output = Administrator::at(address).run(&arguments, &cookie).await.unwrap();
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(explained["reason"], "not_permitted", "{explained}");
    assert_eq!(explained["groups"], json!(["team-a", "everyone"]), "{explained}");
    assert_eq!(explained["wanted_groups"], json!(["/Team-A"]), "{explained}");
    let hint = explained["hints"][0].as_str().unwrap();
    assert!(hint.contains("`team-a`") && hint.contains("a `/` at the beginning"), "{hint}");
}

#[tokio::test]
async fn what_came_of_a_provider_s_session_ends_by_its_sid() {
    let gateway = Gateway::start(Variant::NEWEST, administered).await.unwrap();
    let administrator = Administrator::of(&gateway.portcullis);
    let mut people = [gateway.visitor().unwrap(), gateway.visitor().unwrap(), gateway.visitor().unwrap()];
    for visitor in &mut people {
        visitor.sign_in("alice", "/").await.unwrap();
    }
    let sids: Vec<String> = gateway.provider.signed_in().into_iter().map(|signed_in| signed_in.session).collect();
    let issuer = gateway.provider.issuer();
    for (arguments, ended, statuses) in [
        (vec!["--provider-sid", &sids[0], "--issuer", "https://evil.test"], "0 sessions ended\n", [200, 200, 200]),
        (vec!["--provider-sid", &sids[0], "--issuer", issuer], "1 session ended\n", [401, 200, 200]),
        (vec!["--provider-sid", &sids[1]], "1 session ended\n", [401, 401, 200]),
        (vec!["--provider-sid", "nobody's"], "0 sessions ended\n", [401, 401, 200]),
    ] {
        let arguments = [vec!["sessions", "revoke"], arguments].concat();
        assert_eq!(administrator.told(&arguments).await.unwrap(), ended, "{arguments:?}");
        for (visitor, wanted) in people.iter_mut().zip(statuses) {
            assert_eq!(status(visitor).await, wanted, "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn an_explanation_names_the_rule_and_starts_no_sign_in() {
    let rules = json!([
        { "name": "public", "paths": [{ "prefix": "/public" }], "access": "public" },
        { "name": "denied", "paths": [{ "prefix": "/denied" }], "access": "deny" },
    ]);
    let portcullis = administered(Config::new().unwrap().rules(rules)).start().await.unwrap();
    for (path, wanted) in [
        ("/public/x", json!(["allowed", "public", "public", null])),
        ("/denied", json!(["refused", "denied_by_rule", "denied", null])),
        ("/", json!(["refused", "not_signed_in", "default", null])),
        ("/public%2f..%2fdenied", json!(["refused", "ambiguous_path", null, null])),
    ] {
        let explained =
            Administrator::of(&portcullis).told_json(&["explain", &format!("{ORIGIN}{path}")]).await.unwrap();
        let told = json!([explained["verdict"], explained["reason"], explained["rule"], explained["userid"]]);
        assert_eq!(told, wanted, "{path}");
    }
    let unknown = Administrator::of(&portcullis).told(&["explain", "https://elsewhere.test/"]).await.unwrap();
    assert!(unknown.starts_with("verdict        refused\nreason         unknown_host ("), "{unknown}");
    let checks = portcullis.records().await.unwrap();
    assert!(checks.iter().all(|record| record["target"] != "portcullis::check"), "explaining is no check");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_exit_code() {
    let portcullis = administered(Config::new().unwrap()).start().await.unwrap();
    let address = format!("unix:{}", Administrator::socket(&portcullis).display());
    let list = ["sessions", "list", "--user", "alice@example.com"];

    let missing = portcullis.config().folder().join("none.sock");
    let output = Administrator::at(format!("unix:{}", missing.display())).run(&list, "").await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    let message = text(&output.stderr);
    assert!(message.contains(missing.to_str().unwrap()) && message.contains("listeners: {admin: {bind:"), "{message}");

    let abandoned = portcullis.config().folder().join("abandoned.sock");
    drop(std::os::unix::net::UnixListener::bind(&abandoned).unwrap());
    let output = Administrator::at(format!("unix:{}", abandoned.display())).run(&list, "").await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("nothing answers at this socket"), "{}", text(&output.stderr));

    for (address, arguments, wanted) in [
        ("127.0.0.1:1", &list[..], "it is neither `unix:`"),
        ("https://127.0.0.1:1", &list[..], "--ca, --certificate and --key are needed"),
        (&address, &["sessions", "list", "--user", ""][..], "Portcullis refused: the user id"),
        (&address, &["sessions", "revoke"][..], "required"),
        (&address, &["sessions", "revoke", "--session", "x"][..], "it is no handle"),
        (&address, &["sessions", "revoke", "--session", "0J3cLZ6yT1qk"][..], "there is no such session"),
        (&address, &["sessions", "revoke", "--user", "", "--session", "0J3cLZ6yT1qk"][..], "the user id"),
        (&address, &["sessions", "revoke", "--provider-sid", ""][..], "the sid is empty"),
        (&address, &["sessions", "revoke", "--issuer", "x"][..], "--provider-sid"),
        (&address, &["explain", ORIGIN, "--header", "Cookie: a=b"][..], "does not belong on the command line"),
    ] {
        let output = Administrator::at(address.to_owned()).run(arguments, "").await.unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {message}");
        assert!(message.contains(wanted), "{arguments:?}: {message}");
    }
    let refused = audited(&portcullis).await;
    let acts: Vec<_> = refused.iter().map(|act| act["act"].as_str().unwrap()).collect();
    assert_eq!(acts, [vec!["list_sessions"], vec!["revoke_sessions"; 4]].concat());
    assert!(refused.iter().all(|act| act["outcome"] == "failed"), "{refused:?}");
}

#[tokio::test]
async fn over_tcp_only_a_named_certificate_is_an_administrator() {
    const ADMINISTRATOR: &str = "spiffe://cluster.local/ns/ops/sa/administrator";
    let authority = Authority::new("administrators").unwrap();
    let port = Port::take().unwrap();
    let config = Config::new().unwrap();
    let folder = config.folder().to_path_buf();
    let (certificate, key) = authority.server(&["127.0.0.1"]).unwrap().write(&folder, "admin").unwrap();
    let ca = folder.join("admin-ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let tls = json!({ "certificate": certificate, "key": key, "client_ca": ca, "allowed_sans": [ADMINISTRATOR] });
    let admin = json!({ "bind": port.address(), "tls": tls });
    let portcullis = config.set("/listeners/admin", admin).start().await.unwrap();

    for (name, san, code) in [("named", ADMINISTRATOR, 0), ("other", "spiffe://cluster.local/ns/ops/sa/other", 69)] {
        let (certificate, key) = authority.client(san).unwrap().write(&folder, name).unwrap();
        let credentials = [("--ca", &ca), ("--certificate", &certificate), ("--key", &key)];
        let mut arguments = vec!["sessions", "list", "--user", "alice@example.com"];
        for (option, file) in credentials {
            arguments.extend([option, file.to_str().unwrap()]);
        }
        let output = Administrator::at(format!("https://{}", port.address())).run(&arguments, "").await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {}", text(&output.stderr));
    }
    let acts = audited(&portcullis).await;
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert_eq!(acts[0]["caller"], ADMINISTRATOR);
}
