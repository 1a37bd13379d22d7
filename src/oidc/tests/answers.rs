//! What the provider answers, honestly and otherwise.

use std::sync::{Arc, LazyLock};

use http::StatusCode;
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::{Value, json};

use super::{
    failure, signed_in,
    support::{CLIENT_ID, ISSUER, Lies, World},
};
use crate::{
    clock::{Clock as _, Timestamp},
    jose::{
        Algorithm, AssertionKey, AssertionKeyRing, ClientKey, Expectation, FetchJwks, Jwks, JwksCache, JwksCacheConfig,
        Sender, peek,
        testing::{ED25519, P256, P384, P521, RSA, TestKey, key_of, merged, unsigned},
    },
    oidc::{CallbackOutcome, Limits},
    providers::{ClaimsConfig, ClientAuthentication, ProviderConfig},
    reason::Reason,
    secret,
};

const START: u64 = 1_800_000_000;

async fn outcome_of(lies: Lies) -> CallbackOutcome {
    World::new().sign_in_with(lies).await
}

/// Configures a provider whose claims are read so.
fn claims(edit: impl FnOnce(&mut ClaimsConfig)) -> impl FnOnce(&mut ProviderConfig) {
    |config| edit(&mut config.claims)
}

#[tokio::test]
async fn an_honest_answer_signs_in() {
    let world = World::new();
    let outcome = world.sign_in_with(Lies::default()).await;
    let CallbackOutcome::SignedIn { ticket, session, .. } = &outcome else { panic!("{outcome:?}") };
    let user = session.user();
    assert_eq!((user.userid.as_str(), user.subject.as_str()), ("user@example.com", "subject-1"));
    assert!(user.groups.contains("team-a") && !user.groups.contains("system:masters"));
    assert_eq!(session.login().authenticated_at(), Some(Timestamp::from_unix_seconds(START - 5)));
    assert_eq!(world.provider.calls("/userinfo"), 0, "nothing was missing");
    let origin = &world.origin;
    assert!(world.sessions.open(ticket.expose(), &origin.url, world.registration()).await.is_ok());
}

#[tokio::test]
async fn every_asymmetric_algorithm_of_the_list_is_accepted() {
    for algorithm in Algorithm::ALL.iter().copied() {
        let key = key_of(algorithm);
        let published = vec![key.jwk.clone()];
        let outcome = outcome_of(Lies { key, algorithm, published, ..Lies::default() }).await;
        assert_eq!(signed_in(&outcome), "/", "{algorithm:?}");
    }
}

#[tokio::test]
async fn lies_in_the_id_token_are_refused() {
    let lies = [
        json!({"iss": "https://idp.example.com/dex/"}),
        json!({"iss": "https://evil.example.com"}),
        json!({"iss": null}),
        json!({"aud": "another-client"}),
        json!({"aud": [CLIENT_ID, "another-client"]}),
        json!({"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}),
        json!({"aud": ["another-client"], "azp": CLIENT_ID}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"azp": "another-client"}),
        json!({"nonce": "another-nonce"}),
        json!({"nonce": ""}),
        json!({"nonce": null}),
        json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
        json!({"at_hash": ""}),
        json!({"exp": START - 61}),
        json!({"exp": START - 60}),
        json!({"iat": START + 61}),
        json!({"iat": START - 11 * 60 - 1}),
        json!({"iat": -1}),
        json!({"nbf": START + 61}),
    ];
    for lie in lies {
        assert_eq!(failure(&outcome_of(Lies::claims(lie.clone())).await), Reason::IdTokenInvalid, "{lie}");
    }
    for lie in [json!({"exp": null}), json!({"iat": null}), json!({"sub": null}), json!({"exp": "never"})] {
        assert_eq!(failure(&outcome_of(Lies::claims(lie.clone())).await), Reason::IdTokenInvalid, "{lie}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute_and_azp_may_be_us() {
    for truth in [
        json!({"exp": START - 59}),
        json!({"iat": START + 60}),
        json!({"iat": START - 11 * 60}),
        json!({"nbf": START + 60}),
        json!({"azp": CLIENT_ID}),
        json!({"aud": [CLIENT_ID]}),
        json!({"aud": [CLIENT_ID, "another-client"], "azp": CLIENT_ID}),
        json!({"at_hash": null}),
    ] {
        assert_eq!(signed_in(&outcome_of(Lies::claims(truth.clone())).await), "/", "{truth}");
    }
}

#[tokio::test]
async fn other_kinds_of_tokens_are_no_id_tokens() {
    for header in [
        json!({"typ": "at+jwt"}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": "application/logout+jwt"}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": []}),
        json!({"cty": "JWT"}),
    ] {
        let reason = failure(&outcome_of(Lies { header: header.clone(), ..Lies::default() }).await);
        assert_eq!(reason, Reason::IdTokenInvalid, "{header}");
    }
    for header in [json!({"typ": null}), json!({"typ": "jwt"}), json!({"jku": "https://evil", "x5u": "https://evil"})] {
        assert_eq!(signed_in(&outcome_of(Lies { header, ..Lies::default() }).await), "/");
    }
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    type Forge = fn(&Value, &Value) -> String;
    let with_header = |header: &Value, edit: Value| merged(header, &edit);
    let forgeries: [(&str, Forge); 8] = [
        ("none", |_, claims| format!("{}.", unsigned(&json!({"alg": "none"}), claims))),
        ("nOnE", |_, claims| format!("{}.", unsigned(&json!({"alg": "nOnE"}), claims))),
        ("no signature", |header, claims| format!("{}.", unsigned(header, claims))),
        ("HS256 by the client secret", |_, claims| {
            hmac(&json!({"alg": "HS256"}), claims, super::support::CLIENT_SECRET.as_bytes())
        }),
        ("HS256 by the RSA key's PEM", |_, claims| {
            hmac(&json!({"alg": "HS256", "kid": "rsa"}), claims, RSA.public_pem.as_bytes())
        }),
        ("r = s = 0", |header, claims| format!("{}.{}", unsigned(header, claims), secret::encode(&[0; 64]))),
        ("another key", |header, claims| P384.sign(Algorithm::Es384, header, claims)),
        ("JWE", |_, _| "a.b.c.d.e".to_owned()),
    ];
    for (name, forge) in forgeries {
        let lies = Lies { forge: Some(Box::new(forge)), ..Lies::default() };
        let reason = failure(&outcome_of(lies).await);
        assert!(matches!(reason, Reason::IdTokenInvalid | Reason::ProviderAnswerInvalid), "{name}: {reason}");
    }
    // A key of the attacker's own, brought along in the header, is not looked at.
    let lies = Lies {
        forge: Some(Box::new(move |header, claims| {
            P384.sign(Algorithm::Es384, &with_header(header, json!({"alg": "ES384", "jwk": P384.jwk})), claims)
        })),
        ..Lies::default()
    };
    assert_eq!(failure(&outcome_of(lies).await), Reason::IdTokenInvalid);
}

fn hmac(header: &Value, claims: &Value, key: &[u8]) -> String {
    let message = unsigned(header, claims);
    let key = EncodingKey::from_secret(key);
    let signature = crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[tokio::test]
async fn a_claim_that_is_said_twice_is_refused() {
    let forge = |header: &Value, claims: &Value| {
        let claims = claims.to_string();
        let claims = format!("{},\"email\":\"victim@example.com\"}}", claims.strip_suffix('}').unwrap());
        let message =
            format!("{}.{}", secret::encode(header.to_string().as_bytes()), secret::encode(claims.as_bytes()));
        let signature = crypto::sign(message.as_bytes(), &P256.private, jsonwebtoken::Algorithm::ES256).unwrap();
        format!("{message}.{signature}")
    };
    let reason = failure(&outcome_of(Lies { forge: Some(Box::new(forge)), ..Lies::default() }).await);
    assert!(matches!(reason, Reason::IdTokenInvalid | Reason::ProviderAnswerInvalid), "{reason}");

    let userinfo = r#"{"sub":"subject-1","groups":["a"],"groups":["admins"]}"#;
    let lies = Lies {
        claims: json!({"groups": null}),
        bodies: [("/userinfo", userinfo.to_owned())].into(),
        ..Lies::default()
    };
    assert_eq!(failure(&outcome_of(lies).await), Reason::ProviderAnswerInvalid);
}

#[tokio::test]
async fn odd_key_ids_find_no_key() {
    let long = "k".repeat(12_000);
    for (kid, fetches) in [("../../x", 2), ("unknown", 2), ("", 1), (long.as_str(), 1)] {
        let world = World::new();
        let outcome = world.sign_in_with(Lies { header: json!({"kid": kid}), ..Lies::default() }).await;
        assert_eq!(failure(&outcome), Reason::IdTokenInvalid);
        assert_eq!(world.provider.calls("/keys"), fetches, "a key that can be one may be new: {kid:.20}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_at_once_and_three_times_at_most_and_then_every_five_seconds() {
    let world = World::new();
    assert_eq!(signed_in(&world.sign_in_with(Lies::default()).await), "/");
    let rotated =
        || Lies { key: &P384, algorithm: Algorithm::Es384, published: vec![P384.jwk.clone()], ..Lies::default() };
    assert_eq!(signed_in(&world.sign_in_with(rotated()).await), "/");
    assert_eq!(world.provider.calls("/keys"), 2);
    // The old key is gone with the old set, whoever brings it.
    let forged = || Lies { published: vec![P384.jwk.clone()], ..Lies::default() };
    for (wait, fetches) in [(0, 3), (0, 4), (0, 4), (4, 4), (1, 5), (0, 5)] {
        world.clock.advance(std::time::Duration::from_secs(wait));
        assert_eq!(failure(&world.sign_in_with(forged()).await), Reason::IdTokenInvalid);
        assert_eq!(world.provider.calls("/keys"), fetches);
    }
}

/// A stranger's logout token takes nobody's new key away.
#[tokio::test]
async fn a_fetch_for_a_stranger_shuts_nobody_out_who_signs_in() {
    let world = World::new();
    assert_eq!(signed_in(&world.sign_in_with(Lies::default()).await), "/");
    world.clock.advance(std::time::Duration::from_secs(30));
    let strange = || world.provider.logout_token(&json!({"kid": "strange"}), &json!({}));
    assert!(world.oidc.back_channel.log_out("dex", strange()).await.is_err());
    assert_eq!(world.provider.calls("/keys"), 2);
    for _ in 0..100 {
        assert!(world.oidc.back_channel.log_out("dex", strange()).await.is_err());
    }
    assert_eq!(world.provider.calls("/keys"), 4, "three at once, and then the stranger waits for half a minute");
    let rotated =
        Lies { key: &P384, algorithm: Algorithm::Es384, published: vec![P384.jwk.clone()], ..Lies::default() };
    assert_eq!(signed_in(&world.sign_in_with(rotated).await), "/");
    assert_eq!(world.provider.calls("/keys"), 5);
}

#[tokio::test]
async fn a_fetch_of_keys_that_failed_is_told_as_such_and_repeated_after_a_second() {
    let world = World::new();
    assert_eq!(signed_in(&world.sign_in_with(Lies::default()).await), "/");
    world.clock.advance(std::time::Duration::from_secs(30));
    let rotated =
        || Lies { key: &P384, algorithm: Algorithm::Es384, published: vec![P384.jwk.clone()], ..Lies::default() };
    let down = || Lies { statuses: [("/keys", StatusCode::BAD_GATEWAY)].into(), ..rotated() };
    assert_eq!(failure(&world.sign_in_with(down()).await), Reason::ProviderUnavailable);
    world.clock.advance(std::time::Duration::from_millis(999));
    assert_eq!(failure(&world.sign_in_with(rotated()).await), Reason::ProviderUnavailable);
    assert_eq!(world.provider.calls("/keys"), 2);
    world.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(signed_in(&world.sign_in_with(rotated()).await), "/");
    assert_eq!(world.provider.calls("/keys"), 3);
}

#[tokio::test]
async fn a_key_that_changed_under_its_name_is_fetched() {
    static RENEWED: LazyLock<TestKey> = LazyLock::new(|| TestKey::p256(P256.jwk["kid"].as_str().unwrap()));
    let renewed = || Lies { key: &RENEWED, published: vec![RENEWED.jwk.clone()], ..Lies::default() };
    let world = World::new();
    assert_eq!(signed_in(&world.sign_in_with(Lies::default()).await), "/");
    assert_eq!(signed_in(&world.sign_in_with(renewed()).await), "/");
    assert_eq!(world.provider.calls("/keys"), 2);
    // The old one is gone.
    let old = Lies { published: vec![RENEWED.jwk.clone()], ..Lies::default() };
    assert_eq!(failure(&world.sign_in_with(old).await), Reason::IdTokenInvalid);
}

#[tokio::test]
async fn userinfo_fills_in_what_is_missing_for_the_same_subject_only() {
    let world = World::new();
    let outcome = world.sign_in_with(Lies::claims(json!({"groups": null}))).await;
    let CallbackOutcome::SignedIn { session, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(session.user().groups.contains("from-userinfo"));
    assert_eq!(world.provider.calls("/userinfo"), 1);

    for lie in [json!({"sub": "subject-2"}), json!({"sub": null}), json!({"sub": "Subject-1"})] {
        let lies = Lies { claims: json!({"email": null}), userinfo: lie.clone(), ..Lies::default() };
        assert_eq!(failure(&outcome_of(lies).await), Reason::ProviderAnswerInvalid, "{lie}");
    }
    for (status, expected) in [
        (StatusCode::UNAUTHORIZED, Reason::ProviderAnswerInvalid),
        (StatusCode::FORBIDDEN, Reason::ProviderAnswerInvalid),
        (StatusCode::FOUND, Reason::ProviderAnswerInvalid),
        (StatusCode::BAD_GATEWAY, Reason::ProviderUnavailable),
    ] {
        let lies = Lies { claims: json!({"email": null}), statuses: [("/userinfo", status)].into(), ..Lies::default() };
        assert_eq!(failure(&outcome_of(lies).await), expected, "{status}");
    }
    let without =
        Lies { claims: json!({"groups": null}), discovery: json!({"userinfo_endpoint": null}), ..Lies::default() };
    assert_eq!(signed_in(&outcome_of(without).await), "/", "missing groups are fine");
}

/// Userinfo as a JWT (OpenID Connect Core section 5.3.2), told instead of the groups.
fn signed_userinfo(token: String) -> Lies {
    Lies {
        claims: json!({"groups": null}),
        bodies: [("/userinfo", token)].into(),
        content_types: [("/userinfo", "application/jwt; charset=utf-8")].into(),
        published: vec![P256.jwk.clone(), P521.jwk.clone(), ED25519.jwk.clone()],
        ..Lies::default()
    }
}

#[tokio::test]
async fn userinfo_that_is_signed_is_believed_as_any_token_is() {
    let claims = json!({"iss": ISSUER, "aud": CLIENT_ID, "sub": "subject-1", "groups": ["signed"]});
    let sign = |key: &TestKey, algorithm: Algorithm, header: Value, edit: Value| {
        let honest = json!({"alg": algorithm.name(), "kid": key.jwk["kid"]});
        signed_userinfo(key.sign(algorithm, &merged(&honest, &header), &merged(&claims, &edit)))
    };
    let none = || json!({});
    for (key, algorithm) in [(&*P256, Algorithm::Es256), (&*P521, Algorithm::Es512), (&*ED25519, Algorithm::EdDsa)] {
        for edit in [
            none(),
            json!({"exp": START + 60, "iat": START, "nbf": START}),
            json!({"aud": [CLIENT_ID]}),
            // It came for our access token: whom else it names takes nothing.
            json!({"aud": [CLIENT_ID, "another"]}),
            json!({"email": 7, "jti": 7}),
        ] {
            let outcome = outcome_of(sign(key, algorithm, none(), edit)).await;
            let CallbackOutcome::SignedIn { session, .. } = &outcome else { panic!("{algorithm:?}: {outcome:?}") };
            assert!(session.user().groups.contains("signed"));
        }
    }
    let (key, algorithm) = (&*P256, Algorithm::Es256);
    for (header, edit) in [
        (none(), json!({"iss": null})),
        (none(), json!({"iss": "https://evil.example.com"})),
        (none(), json!({"aud": null})),
        (none(), json!({"aud": "another"})),
        (none(), json!({"sub": "subject-2"})),
        (none(), json!({"sub": null})),
        (none(), json!({"exp": START - 60})),
        (none(), json!({"iat": START + 61})),
        (json!({"typ": "logout+jwt"}), none()),
        (json!({"crit": ["exp"]}), none()),
        (json!({"alg": "none"}), none()),
        (json!({"kid": "unknown"}), none()),
    ] {
        let reason = failure(&outcome_of(sign(key, algorithm, header.clone(), edit.clone())).await);
        assert_eq!(reason, Reason::ProviderAnswerInvalid, "{header} {edit}");
    }
    let stranger = TestKey::p256("p256");
    let reason = failure(&outcome_of(sign(&stranger, algorithm, none(), none())).await);
    assert_eq!(reason, Reason::ProviderAnswerInvalid);
}

#[tokio::test]
async fn what_the_code_s_hash_says_is_the_code_where_it_is_said() {
    let other = Lies::claims(json!({"c_hash": Algorithm::Es256.half_hash("another code")}));
    assert_eq!(failure(&outcome_of(other).await), Reason::IdTokenInvalid);
    let world = World::new();
    let browser = world.browser();
    let query = world.provider.authorize(&browser.begin("/").await.unwrap());
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code=")).unwrap();
    world.provider.tell(Lies::claims(json!({"c_hash": Algorithm::Es256.half_hash(code)})));
    assert_eq!(signed_in(&browser.callback(&query).await), "/");
}

#[tokio::test]
async fn a_name_that_cannot_be_used_is_no_session() {
    for lie in [
        json!({"email_verified": false}),
        json!({"email_verified": "true"}),
        json!({"email": "a@x@corp"}),
        json!({"email": "\u{212a}elvin@example.com"}),
    ] {
        assert_eq!(failure(&outcome_of(Lies::claims(lie.clone())).await), Reason::IdentityUnusable, "{lie}");
    }
    // Userinfo is read as strictly as the ID token.
    let vouched = |word: Value| Lies {
        claims: json!({"email": null}),
        userinfo: json!({"email": "user@example.com", "email_verified": word}),
        ..Lies::default()
    };
    assert_eq!(signed_in(&outcome_of(vouched(json!(true))).await), "/");
    for word in [json!("true"), json!(false), json!(null)] {
        assert_eq!(failure(&outcome_of(vouched(word.clone())).await), Reason::IdentityUnusable, "{word}");
    }
    let by_name = || claims(|claims| claims.userid_claim = "preferred_username".to_owned());
    for name in ["system:masters", "SYSTEM:x", "victim@example.com", "a b"] {
        let world = World::with(by_name(), Limits::default());
        let outcome = world.sign_in_with(Lies::claims(json!({"preferred_username": name}))).await;
        assert_eq!(failure(&outcome), Reason::IdentityUnusable, "{name}");
    }
}

#[tokio::test]
async fn token_responses_that_are_none() {
    let token = |token: Value| Lies { token, ..Lies::default() };
    for lie in [json!({"id_token": null}), json!({"id_token": 5}), json!({"access_token": null})] {
        assert_eq!(failure(&outcome_of(token(lie.clone())).await), Reason::ProviderAnswerInvalid, "{lie}");
    }
    // What cannot stand in a header must not reach the library, which would panic.
    let lies = Lies {
        token: json!({"access_token": "a\nb"}),
        claims: json!({"groups": null, "at_hash": null}),
        ..Lies::default()
    };
    assert_eq!(failure(&outcome_of(lies).await), Reason::ProviderAnswerInvalid);
    for (status, expected) in [
        (StatusCode::INTERNAL_SERVER_ERROR, Reason::ProviderUnavailable),
        (StatusCode::TOO_MANY_REQUESTS, Reason::ProviderUnavailable),
        (StatusCode::FOUND, Reason::ProviderAnswerInvalid),
        (StatusCode::NOT_FOUND, Reason::ProviderAnswerInvalid),
    ] {
        let lies = Lies { statuses: [("/token", status)].into(), ..Lies::default() };
        assert_eq!(failure(&outcome_of(lies).await), expected, "{status}");
    }
}

#[tokio::test]
async fn the_client_authenticates_as_the_metadata_say() {
    let with = |methods: Value| Lies::discovery(json!({"token_endpoint_auth_methods_supported": methods}));
    assert_eq!(signed_in(&outcome_of(with(json!(["client_secret_post"]))).await), "/");
    assert_eq!(signed_in(&outcome_of(with(json!(["client_secret_post", "client_secret_basic"]))).await), "/");

    // A secret that was replaced is used from then on.
    let world = World::with(
        |config| {
            config.authentication = ClientAuthentication::secret(secret::SecretString::new("old".to_owned()));
        },
        Limits::default(),
    );
    assert_eq!(failure(&world.sign_in_with(Lies::default()).await), Reason::SignInNotSetUp);
}

#[tokio::test]
async fn the_client_authenticates_by_a_key_and_proves_it_anew_each_time() {
    let pem = secret::SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
    let public = AssertionKey::from_pem(&pem, Timestamp::from_unix_seconds(0)).unwrap();
    let key = Arc::new(ClientKey::from_pem(&pem, Some(public.key_id())).unwrap());
    let by_key = move |config: &mut ProviderConfig| config.authentication = ClientAuthentication::PrivateKey(key);
    let world = World::with(by_key, Limits::default());
    // Some providers take it and do not list it.
    let lists = Lies::discovery(json!({"token_endpoint_auth_methods_supported": ["client_secret_basic"]}));
    assert_eq!(signed_in(&world.sign_in_with(lists).await), "/");
    assert_eq!(signed_in(&world.sign_in_with(Lies::default()).await), "/");
    let forms = world.provider.posted("/token");
    let ring = AssertionKeyRing::new(vec![public], std::time::Duration::ZERO).unwrap();
    let keys = Jwks::parse(ring.jwks_json().as_bytes(), 1 << 20).unwrap();
    let fetch: FetchJwks = Arc::new(|| Box::pin(async { panic!("the key is there") }));
    let cache = JwksCache::filled(fetch, world.clock.clone(), JwksCacheConfig::default(), keys);
    let mut ids = Vec::new();
    for form in &forms {
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert!(form["client_id"] == CLIENT_ID && !form.contains_key("client_secret"), "{form:?}");
        let token = peek(&form["client_assertion"]).unwrap();
        let expectation = Expectation::new(CLIENT_ID, vec![format!("{ISSUER}/token")]);
        let token = cache.verify(&token, &expectation, Sender::Issuer).await.unwrap();
        assert_eq!((token.subject(), token.audiences().len()), (Some(CLIENT_ID), 1));
        assert_eq!(token.expires_at(), Some(world.clock.now().plus(std::time::Duration::from_mins(1))));
        ids.push(token.token_id().unwrap().to_owned());
    }
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
}

/// A panic would end the process.
#[tokio::test]
async fn odd_values_make_nothing_panic() {
    let numbers =
        [json!(1e300), json!(-1e300), json!(i64::MIN), json!(i64::MAX), json!(u64::MAX), json!(0.5), json!("1")];
    let claims = ["exp", "iat", "auth_time", "nbf", "updated_at"]
        .into_iter()
        .flat_map(|name| numbers.iter().map(move |number| json!({name: number})))
        .chain([
            json!({"name#": "x", "name#de-": "x", "#": "x", "name#\u{0}": "x"}),
            json!({"address": 5}),
            json!({"aud": {}}),
            json!({"azp": ["a"]}),
            json!({"sid": {"a": 1}}),
            json!({"email": ["a"]}),
        ]);
    for lie in claims {
        let outcome = outcome_of(Lies::claims(lie.clone())).await;
        let in_userinfo = Lies { claims: json!({"groups": null}), userinfo: lie.clone(), ..Lies::default() };
        for outcome in [outcome, outcome_of(in_userinfo).await] {
            let internal = matches!(outcome, CallbackOutcome::Failed { reason: Reason::Internal, .. });
            assert!(!internal, "{lie}");
        }
    }
    for algorithm in ["A128GCM", "dir", "RSA-OAEP", "EdDSA", "ES512", "", "PS256"] {
        let outcome = outcome_of(Lies { header: json!({"alg": algorithm}), ..Lies::default() }).await;
        let reason = failure(&outcome);
        assert!(matches!(reason, Reason::IdTokenInvalid | Reason::ProviderAnswerInvalid), "{algorithm}: {reason}");
    }
}

#[tokio::test]
async fn a_made_up_code_or_one_of_another_flow_is_refused() {
    let world = World::new();
    let browser = world.browser();
    let first = world.provider.authorize(&browser.begin("/first").await.unwrap());
    let second = world.provider.authorize(&browser.begin("/second").await.unwrap());
    let state_of = |query: &str| query.split('&').next().unwrap().to_owned();
    let made_up = format!("{}&code=made-up&iss=https%3A%2F%2Fidp.example.com%2Fdex", state_of(&first));
    assert_eq!(failure(&browser.callback(&made_up).await), Reason::ProviderDenied);
    // The first flow's code under the second flow's state: PKCE tells them apart.
    let crossed = first.replace(&state_of(&first), &state_of(&second));
    assert_eq!(failure(&browser.callback(&crossed).await), Reason::ProviderDenied);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_left_at_the_deadline() {
    let world = World::new();
    for path in ["/token", "/userinfo"] {
        let lies = Lies { claims: json!({"groups": null}), hanging: vec![path], ..Lies::default() };
        assert_eq!(failure(&world.sign_in_with(lies).await), Reason::ProviderUnavailable, "{path}");
    }
}

/// Userinfo is asked for the groups alone, and refuses: who is in no group is somebody all the same.
#[tokio::test]
async fn who_lacks_only_groups_signs_in_where_userinfo_refuses() {
    let answers =
        |status| Lies { claims: json!({"groups": null}), statuses: [("/userinfo", status)].into(), ..Lies::default() };
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND] {
        let outcome = outcome_of(answers(status)).await;
        let CallbackOutcome::SignedIn { session, .. } = &outcome else { panic!("{status}: {outcome:?}") };
        assert!(session.user().groups.names().is_empty());
    }
    let alone = Lies {
        claims: json!({"groups": null}),
        bodies: [("/userinfo", json!({"sub": "subject-1"}).to_string())].into(),
        ..Lies::default()
    };
    assert_eq!(signed_in(&outcome_of(alone).await), "/");
    // No answer is none: groups may be there.
    assert_eq!(failure(&outcome_of(answers(StatusCode::BAD_GATEWAY)).await), Reason::ProviderUnavailable);
}

#[tokio::test]
async fn userinfo_is_not_asked_where_that_is_switched_off() {
    let world = World::with(claims(|claims| claims.userinfo = false), Limits::default());
    assert_eq!(signed_in(&world.sign_in_with(Lies::claims(json!({"groups": null}))).await), "/");
    let outcome = world.sign_in_with(Lies::claims(json!({"email": null}))).await;
    assert_eq!(failure(&outcome), Reason::IdentityUnusable);
    assert_eq!(world.provider.calls("/userinfo"), 0);
}

#[tokio::test]
async fn an_id_token_with_hundreds_of_groups_signs_in_and_is_not_kept_as_a_hint() {
    let groups: Vec<String> = (0..2_000).map(|number| format!("a-group-of-some-length-{number}")).collect();
    let world = World::new();
    let outcome = world.sign_in_with(Lies::claims(json!({"groups": groups}))).await;
    let CallbackOutcome::SignedIn { ticket, session, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(session.user().groups.contains("a-group-of-some-length-1999"));
    let tokens = world.sessions.tokens(ticket.expose(), &world.origin.url, world.registration()).await.unwrap();
    assert_eq!(tokens.id_token.expose(), "");
    // The attack beside it: what is longer than any honest one.
    let too_long = Lies::claims(json!({"filler": "x".repeat(200 * 1024)}));
    assert_eq!(failure(&outcome_of(too_long).await), Reason::IdTokenInvalid);
}

#[tokio::test]
async fn only_algorithms_that_are_listed_or_written_are_taken() {
    let listed = |names: Value| Lies::discovery(json!({"id_token_signing_alg_values_supported": names}));
    let rsa = |lies: Lies| Lies { key: &RSA, algorithm: Algorithm::Rs256, ..lies };
    // The scripted provider signs by ES256, which it lists.
    assert_eq!(signed_in(&outcome_of(listed(json!(["RS256", "ES256", "none"]))).await), "/");
    for other in [json!(["RS256"]), json!(null), json!([]), json!("ES256")] {
        assert_eq!(failure(&outcome_of(listed(other.clone())).await), Reason::IdTokenInvalid, "{other}");
        assert_eq!(
            signed_in(&outcome_of(rsa(listed(other.clone()))).await),
            "/",
            "RS256 where nothing is listed: {other}"
        );
    }
    let written = || World::with(|config| config.signing_algorithms = Some(vec![Algorithm::Es256]), Limits::default());
    assert_eq!(signed_in(&written().sign_in_with(listed(json!(["RS256"]))).await), "/");
    assert_eq!(failure(&written().sign_in_with(rsa(listed(json!(["RS256"])))).await), Reason::IdTokenInvalid);
}

#[tokio::test]
async fn what_a_provider_says_of_claims_that_are_kept_elsewhere_is_never_no_groups() {
    let elsewhere = json!({"groups": null, "_claim_names": {"groups": "src1"}});
    let lies = Lies { discovery: json!({"userinfo_endpoint": null}), ..Lies::claims(elsewhere) };
    let outcome = outcome_of(lies).await;
    let CallbackOutcome::SignedIn { session, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(session.user().groups.is_incomplete());
}

#[tokio::test]
async fn required_claims_are_of_the_id_token_alone() {
    let config = || claims(|claims| claims.required_claims = vec![("hd".to_owned(), vec!["corp.example".to_owned()])]);
    let world = World::with(config(), Limits::default());
    assert_eq!(signed_in(&world.sign_in_with(Lies::claims(json!({"hd": "corp.example"}))).await), "/");
    for lie in [json!({}), json!({"hd": "evil.example"}), json!({"hd": null, "groups": null})] {
        let lies = Lies { userinfo: json!({"hd": "corp.example"}), ..Lies::claims(lie.clone()) };
        assert_eq!(failure(&world.sign_in_with(lies).await), Reason::IdentityUnusable, "{lie}");
    }
}
