use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    clock::{ManualClock, Timestamp},
    jose::{AssertionKeyRing, Audience},
    principal::{Email, Method, ProviderName, User, Userid},
    request::RawRequest,
    told::Told,
};

fn identity(clock: SharedClock) -> Identity {
    Identity::new(config(), AssertionKeyRing::of_a_new_key().shared(), clock)
}

fn config() -> Config {
    Config {
        headers: HeaderConfig::default(),
        cookie_names: vec!["__Host-portcullis".into(), "__Host-portcullis-login".into()],
        named_groups: vec!["named".into()],
        remove_method_overrides: true,
        assertion: AssertionConfig {
            issuer: "https://portcullis.example.com".into(),
            audience: Audience::parse("kubeflow").unwrap(),
            lifetime: Duration::from_mins(1),
        },
    }
}

fn clock() -> Arc<ManualClock> {
    ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000))
}

fn request(lines: &[(&str, &str)]) -> Request {
    let raw = RawRequest::new("GET", "kf.example.com", "/");
    Request::parse(lines.iter().fold(raw, |raw, (name, value)| raw.header(name, value))).unwrap()
}

fn user(groups: &[&str]) -> Principal {
    Principal::User(Arc::new(User {
        provider: ProviderName::parse("dex").unwrap(),
        issuer: "https://idp".into(),
        subject: "42".into(),
        userid: Userid::parse("user@example.com").unwrap(),
        email: Some(Email::parse("user@example.com").unwrap()),
        groups: Groups::from_provider(groups.iter().copied()),
    }))
}

fn proof(told: &Told) -> Proof<'_> {
    Proof { method: Method::SESSION, told }
}

fn value(mutations: &Mutations, name: &str) -> Option<String> {
    mutations.sets().find(|(have, _)| *have == name).map(|(_, value)| value.as_str().to_owned())
}

fn claims(assertion: &str) -> serde_json::Value {
    let payload = crate::secret::decode(assertion.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn every_spelling_of_a_protected_header_goes() {
    let forged = [
        "Kubeflow-UserID",
        "kubeflow_userid",
        "kubeflow.userid",
        "auth_method",
        "x-auth-request-anything",
        "X-Forwarded-User",
        "portcullis_assertion",
        "X_HTTP_Method_Override",
        "X-Original-URL",
    ];
    let lines: Vec<_> = forged.iter().map(|name| (*name, "evil")).collect();
    let mutations = identity(clock()).strip(&request(&lines), Bearer::Keep);
    let removed: Vec<_> = mutations.removes().collect();
    for name in forged {
        assert!(removed.contains(&name.to_ascii_lowercase().as_str()), "{name}: {removed:?}");
    }
    for name in ["kubeflow-userid", "kubeflow-groups", "auth-method", "portcullis-assertion"] {
        assert!(removed.contains(&name), "{name} goes whether it came or not");
    }
    assert_eq!(mutations.sets().count(), 0);
}

#[test]
fn an_identity_is_one_trusted_value_of_each_header() {
    let request =
        request(&[("kubeflow-userid", "evil"), ("kubeflow_userid", "evil"), ("cookie", "a=1; __Host-portcullis=t")]);
    let mutations = identity(clock()).inject(
        &request,
        &user(&["dev", "ops"]),
        proof(&Told::default()),
        Service::default(),
        Bearer::Remove,
    );
    assert_eq!(value(&mutations, "kubeflow-userid").as_deref(), Some("user@example.com"));
    assert_eq!(value(&mutations, "kubeflow-groups").as_deref(), Some("dev,ops"));
    assert_eq!(value(&mutations, "auth-method").as_deref(), Some("cookie"));
    assert_eq!(value(&mutations, "cookie").as_deref(), Some("a=1"));
    assert_eq!(mutations.removes().collect::<Vec<_>>(), ["kubeflow_userid"]);

    let claims = claims(&value(&mutations, "portcullis-assertion").unwrap());
    assert_eq!(claims["sub"], "user:dex:42");
    assert_eq!(claims["aud"], "kubeflow");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert_eq!(claims["groups"], serde_json::json!(["dev", "ops"]));
}

#[test]
fn no_groups_means_no_header_not_an_empty_one() {
    let mutations = identity(clock()).inject(
        &request(&[]),
        &user(&[]),
        proof(&Told::default()),
        Service::default(),
        Bearer::Remove,
    );
    assert_eq!(value(&mutations, "kubeflow-groups"), None);
    assert!(mutations.removes().any(|name| name == "kubeflow-groups"));
}

#[test]
fn too_many_groups_are_the_named_ones_or_none_never_a_part() {
    let many: Vec<String> = (0..100).map(|index| format!("{index:0>100}")).collect();
    let mut groups: Vec<&str> = many.iter().map(String::as_str).collect();
    let told = |groups: &[&str]| {
        let mutations = identity(clock()).inject(
            &request(&[]),
            &user(groups),
            proof(&Told::default()),
            Service::default(),
            Bearer::Remove,
        );
        let claims = claims(&value(&mutations, "portcullis-assertion").unwrap());
        (value(&mutations, "kubeflow-groups"), claims["groups_omitted"].as_bool().unwrap_or(false))
    };
    assert_eq!(told(&groups), (None, true));
    groups.push("named");
    assert_eq!(told(&groups), (Some("named".into()), true));
    assert_eq!(told(&["a"]), (Some("a".into()), false));
}

#[test]
fn a_group_that_holds_a_comma_is_told_whole_in_the_assertion_and_not_in_the_list() {
    let dn = "cn=ml-admins,ou=groups,o=corp";
    let told = |groups: &[&str]| {
        let mutations = identity(clock()).inject(
            &request(&[]),
            &user(groups),
            proof(&Told::default()),
            Service::default(),
            Bearer::Remove,
        );
        let claims = claims(&value(&mutations, "portcullis-assertion").unwrap());
        (value(&mutations, "kubeflow-groups"), claims["groups"].clone(), claims["groups_omitted"].clone())
    };
    let none = serde_json::Value::Null;
    assert_eq!(
        told(&["dev", dn, "ops"]),
        (Some("dev,ops".into()), serde_json::json!(["dev", dn, "ops"]), none.clone())
    );
    assert_eq!(told(&[dn]), (None, serde_json::json!([dn]), none));
}

#[test]
fn an_assertion_is_reused_for_half_its_life_and_never_for_another_audience_or_version() {
    let clock = clock();
    let identity = identity(clock.clone());
    let told = [Told::default(), Told::default()];
    let of = |version: usize, audience: Option<&str>, groups: &[&str]| {
        let proof = proof(&told[version - 1]);
        let mutations = identity.inject(
            &request(&[]),
            &user(groups),
            proof,
            Service { audience, ..Service::default() },
            Bearer::Remove,
        );
        value(&mutations, "portcullis-assertion").unwrap()
    };
    let first = of(1, None, &[]);
    assert_eq!(of(1, None, &[]), first);
    assert_ne!(of(2, None, &["new"]), first);
    let other = of(1, Some("other"), &[]);
    assert_eq!(claims(&other)["aud"], "other");
    assert_eq!(of(1, None, &[]), first, "the other audience's assertion stands beside");

    clock.advance(Duration::from_secs(29));
    assert_eq!(of(1, None, &[]), first);
    clock.advance(Duration::from_secs(1));
    let renewed = of(1, None, &[]);
    assert_ne!(renewed, first);
    clock.set(Timestamp::from_unix_seconds(1_700_000_000));
    assert_ne!(of(1, None, &[]), renewed, "a step back of the clock reuses nothing dated in the future");
}

#[test]
fn what_another_key_or_configuration_told_is_not_told_again() {
    let clock = clock();
    let keys = AssertionKeyRing::of_a_new_key().shared();
    let of_keys = || Identity::new(config(), keys.clone(), clock.clone());
    let (before, told) = (of_keys(), Told::default());
    let of = |identity: &Identity| {
        let mutations =
            identity.inject(&request(&[]), &user(&["dev"]), proof(&told), Service::default(), Bearer::Remove);
        value(&mutations, "portcullis-assertion").unwrap()
    };
    let first = of(&before);
    assert!(told.has_grown() && !told.has_grown(), "it is told once");
    assert_eq!(of(&before), first);
    assert!(!told.has_grown());
    let after = of_keys();
    let second = of(&after);
    assert_ne!(second, first, "a reload makes its own");
    assert_eq!(of(&after), second);
    keys.store(Arc::new(AssertionKeyRing::of_a_new_key()));
    let third = of(&after);
    assert_ne!(third, second, "another key signs");
    assert_eq!(of(&after), third);
}

#[test]
fn audiences_that_take_turns_are_each_signed_for_once_up_to_a_number() {
    let (identity, told) = (identity(clock()), Told::default());
    let round = |audiences: usize| -> Vec<String> {
        let told_to = |audience: usize| {
            let (proof, audience) = (proof(&told), format!("audience-{audience}"));
            let mutations = identity.inject(
                &request(&[]),
                &user(&[]),
                proof,
                Service { audience: Some(&audience), ..Service::default() },
                Bearer::Remove,
            );
            value(&mutations, "portcullis-assertion").unwrap()
        };
        (0..audiences).map(told_to).collect()
    };
    let first = round(16);
    let bytes = told.heap_bytes();
    assert_eq!(round(16), first);
    assert!(round(40)[..16] == first && round(16) != first, "the sixteen that were signed last are kept");
    assert!(told.heap_bytes() <= bytes + bytes / 16, "{} bytes, and {bytes} before", told.heap_bytes());
}

#[test]
fn what_is_told_again_is_neither_signed_nor_copied() {
    let (identity, told) = (identity(clock()), Told::default());
    let groups: Vec<String> = (0..100).map(|number| format!("group-{number}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let (request, user) = (request(&[("accept", "text/html")]), user(&groups));
    let inject = || identity.inject(&request, &user, proof(&told), Service::default(), Bearer::Remove);
    let first = inject();
    let taken = allocation_counter::measure(|| assert!(inject() == first));
    assert_eq!(taken.count_total, 1, "the list of what is changed");
}

#[test]
fn a_bearer_is_removed_unless_it_is_kept() {
    let request = request(&[("authorization", "Bearer x")]);
    let removes = |bearer| identity(clock()).strip(&request, bearer).removes().any(|name| name == "authorization");
    assert!(removes(Bearer::Remove));
    assert!(!removes(Bearer::Keep));
}

#[test]
fn a_protected_header_hidden_in_connection_is_seen() {
    let identity = identity(clock());
    for hidden in ["kubeflow-userid", "close, Kubeflow_UserID", "x-auth-request-user"] {
        assert!(identity.is_hidden(&request(&[("connection", hidden)])), "{hidden}");
    }
    assert!(!identity.is_hidden(&request(&[("connection", "keep-alive, upgrade")])));
}

#[test]
fn names_that_carry_the_message_cannot_tell_an_identity() {
    let with_user = |name: &str| HeaderConfig::new(name, "g", "m", "a", &[]);
    for name in [":path", "Host", "content_length", "Cookie", "x-forwarded-client-cert", "sec-fetch-site", "a b", ""] {
        assert!(with_user(name).is_err(), "{name}");
    }
    assert!(HeaderConfig::new("a-b", "a_b", "m", "x", &[]).is_err());
    assert!(with_user("x-user").is_ok());
}

proptest::proptest! {
    #[test]
    fn no_protected_header_survives_that_we_did_not_set(
        lines in proptest::collection::vec(("[a-zA-Z_.~-]{1,3}|(?i:kubeflow[-_.~!]userid|auth[-_]method|x-auth-request-[a-z]{1,3})", "[ -~]{0,8}"), 0..12),
        signed_in in proptest::bool::ANY,
    ) {
        let identity = identity(clock());
        let lines: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = request(&lines);
        let mutations = if signed_in {
            identity.inject(&request, &user(&["g"]), proof(&Told::default()), Service::default(), Bearer::Remove)
        } else {
            identity.strip(&request, Bearer::Remove)
        };
        let set: Vec<_> = mutations.sets().map(|(name, _)| name).collect();
        let removed: Vec<_> = mutations.removes().collect();
        for name in request.headers().names() {
            let ours = set.contains(&name) || removed.contains(&name);
            proptest::prop_assert!(ours || !identity.protected.covers(name), "{} survives", name);
            proptest::prop_assert!(!(set.contains(&name) && removed.contains(&name)));
        }
    }
}

#[test]
fn further_headers_tell_one_service_and_are_stripped_from_every_request() {
    let name = |name: &'static str| Some(http::HeaderName::from_static(name));
    let further =
        FurtherHeaders { user: name("x-webauth-user"), email: name("x-webauth-email"), groups: name("remote-groups") };
    let headers = HeaderConfig::default().stripping(further.names());
    let ring = AssertionKeyRing::of_a_new_key();
    let config = Config { headers, ..config() };
    let identity = Identity::new(config, ring.shared(), clock());
    let forged = request(&[("X-WebAuth-User", "evil"), ("x_webauth_email", "evil"), ("remote.groups", "admins")]);
    let service = Service { further_headers: Some(&further), ..Service::default() };
    let told = identity.inject(&forged, &user(&["dev", "ops"]), proof(&Told::default()), service, Bearer::Keep);
    assert_eq!(value(&told, "x-webauth-user").as_deref(), Some("user@example.com"));
    assert_eq!(value(&told, "x-webauth-email").as_deref(), Some("user@example.com"));
    assert_eq!(value(&told, "remote-groups").as_deref(), Some("dev,ops"));
    // Another service is not told, and neither is one of a request without a name.
    let others = identity.inject(&forged, &user(&["dev"]), proof(&Told::default()), Service::default(), Bearer::Keep);
    let nobody = identity.strip(&forged, Bearer::Keep);
    for mutations in [&others, &nobody] {
        for name in ["x-webauth-user", "x-webauth-email", "remote-groups"] {
            assert_eq!(value(mutations, name), None, "{name}");
            assert!(mutations.removes().any(|removed| removed == name), "{name}");
        }
    }
    for mutations in [&told, &others, &nobody] {
        for spelling in ["x_webauth_email", "remote.groups"] {
            assert!(mutations.removes().any(|removed| removed == spelling), "{spelling}");
        }
    }
    // Too many groups are told by no name.
    let many: Vec<String> = (0..1000).map(|number| format!("group-of-a-long-name-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cut = identity.inject(&forged, &user(&many), proof(&Told::default()), service, Bearer::Keep);
    assert_eq!(value(&cut, "remote-groups"), value(&cut, "kubeflow-groups"));
    assert_eq!(value(&cut, "remote-groups"), None);
}
