//! Logout tokens: the good ones, and one of each bad kind.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::support::{Browser, CLIENT_ID, Lies, World};
use crate::{
    jose::{
        Algorithm, MAX_TOKEN_BYTES, TokenError,
        testing::{P256, P384, TestKey, unsigned},
    },
    logout::{BackChannelError, BackChannelLogout},
    oidc::{CallbackOutcome, Limits},
    providers::LogoutConfig,
    reason::Reason,
};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

pub(super) async fn sign_in(browser: &Browser<'_>, world: &World) {
    let url = browser.begin("/").await.unwrap();
    let outcome = browser.callback(&world.provider.authorize(&url)).await;
    assert!(matches!(outcome, CallbackOutcome::SignedIn { .. }), "{outcome:?}");
}

const DONE_BEFORE: Result<BackChannelLogout, BackChannelError> = Ok(BackChannelLogout::DoneBefore);

#[expect(clippy::unnecessary_wraps, reason = "it is an outcome to compare with")]
pub(super) const fn ended(count: usize) -> Result<BackChannelLogout, BackChannelError> {
    Ok(BackChannelLogout::Ended(count))
}

pub(super) async fn send(world: &World, header: Value, claims: Value) -> Result<BackChannelLogout, BackChannelError> {
    let token = world.provider.logout_token(&header, &claims);
    world.oidc.back_channel.log_out("dex", token).await
}

#[tokio::test]
async fn a_logout_token_ends_the_sessions_that_it_names_and_no_others() {
    let world = World::new();
    let (first, second, other) = (world.browser(), world.browser(), world.browser());
    sign_in(&first, &world).await;
    world.provider.tell(Lies::claims(json!({"sid": "sid-2"})));
    sign_in(&second, &world).await;
    world.provider.tell(Lies::claims(json!({"sub": "subject-2", "sid": "sid-3", "email": "other@example.com"})));
    sign_in(&other, &world).await;

    assert_eq!(send(&world, json!({}), json!({"sid": "sid-1"})).await, ended(1));
    assert!(!first.is_signed_in().await && second.is_signed_in().await);
    sign_in(&first, &world).await;
    world.provider.tell(Lies::claims(json!({"sid": "sid-4"})));
    sign_in(&first, &world).await;
    assert_eq!(send(&world, json!({}), json!({"sid": null})).await, ended(2));
    assert!(!first.is_signed_in().await && !second.is_signed_in().await && other.is_signed_in().await);
    assert_eq!(send(&world, json!({}), json!({"sid": "unknown"})).await, ended(0));
}

#[tokio::test]
async fn what_is_no_logout_token_ends_nothing() {
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    let now = 1_800_000_000_u64;
    for (header, claims) in [
        (json!({"typ": "at+jwt"}), json!({})),
        (json!({"kid": "nobody's"}), json!({})),
        (json!({"crit": ["exp"]}), json!({})),
        (json!({}), json!({"iss": "https://evil.example.com"})),
        (json!({}), json!({"iss": null})),
        (json!({}), json!({"aud": "another"})),
        (json!({}), json!({"aud": null})),
        (json!({}), json!({"iat": null})),
        (json!({}), json!({"iat": now + 120})),
        (json!({}), json!({"exp": null})),
        (json!({}), json!({"exp": now - 61})),
        (json!({}), json!({"exp": now + 2 * 86_400})),
        (json!({}), json!({"nbf": now + 120})),
        (json!({}), json!({"jti": null})),
        (json!({}), json!({"jti": ""})),
        (json!({}), json!({"jti": 7})),
        (json!({}), json!({"events": null})),
        (json!({}), json!({"events": {}})),
        (json!({}), json!({"events": EVENT})),
        (json!({}), json!({"events": [EVENT]})),
        (json!({}), json!({"events": {EVENT: "yes"}})),
        (json!({}), json!({"nonce": "a"})),
        (json!({}), json!({"sub": null, "sid": null})),
        (json!({}), json!({"sid": 1})),
        (json!({}), json!({"sid": ""})),
        (json!({}), json!({"sid": null, "sub": "a".repeat(256)})),
    ] {
        let outcome = send(&world, header.clone(), claims.clone()).await;
        let refused = matches!(outcome, Err(BackChannelError::Token(_) | BackChannelError::Claims(_)));
        assert!(refused, "{header} {claims}: {outcome:?}");
        assert!(browser.is_signed_in().await, "{header} {claims}");
    }
}

/// The provider's signed word that somebody signed out is its word to all whom it names.
#[tokio::test]
async fn a_logout_token_for_others_beside_us_ends_what_it_names() {
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    assert_eq!(send(&world, json!({}), json!({"aud": [CLIENT_ID, "another"]})).await, ended(1));
}

#[tokio::test]
async fn a_logout_token_without_an_end_counts_for_two_minutes_where_that_is_allowed() {
    let now = 1_800_000_000_u64;
    let without = |iat: u64| json!({"exp": null, "iat": iat});
    let strict = World::new();
    sign_in(&strict.browser(), &strict).await;
    let refusal = send(&strict, json!({}), without(now)).await.unwrap_err();
    assert!(refusal.to_string().contains("logout_token_without_exp"), "{refusal}");

    let world = World::with(|config| config.logout.logout_token_without_exp = true, Limits::default());
    let browser = world.browser();
    sign_in(&browser, &world).await;
    for (header, claims) in [
        (json!({}), without(now - 180)),
        (json!({}), without(now + 61)),
        (json!({}), json!({"exp": null, "iat": null})),
        (json!({}), json!({"exp": now - 61})),
        (json!({}), json!({"exp": null, "nonce": "a"})),
    ] {
        let outcome = send(&world, header, claims.clone()).await;
        assert!(
            matches!(outcome, Err(BackChannelError::Token(_) | BackChannelError::Claims(_))),
            "{claims}: {outcome:?}"
        );
    }
    let token = world.provider.logout_token(&json!({}), &without(now - 170));
    assert_eq!(world.oidc.back_channel.log_out("dex", token.clone()).await, ended(1));
    // It is good once, for as long as it is good.
    world.clock.advance(Duration::from_secs(1));
    sign_in(&browser, &world).await;
    assert_eq!(world.oidc.back_channel.log_out("dex", token.clone()).await, DONE_BEFORE);
    world.clock.advance(Duration::from_secs(9));
    assert!(world.oidc.back_channel.log_out("dex", token).await.is_err());
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn a_signature_that_is_not_the_provider_s_ends_nothing() {
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    let claims = json!({
        "iss": super::support::ISSUER, "aud": CLIENT_ID, "iat": 1_800_000_000, "exp": 1_800_000_100, "jti": "x",
        "sub": "subject-1", "events": {EVENT: {}},
    });
    let header = |algorithm: &str| json!({"alg": algorithm, "kid": "p256", "typ": "logout+jwt"});
    let calls = world.store.calls();
    let send = async |token: String| world.oidc.back_channel.log_out("dex", token).await;
    let none = send(format!("{}.", unsigned(&header("none"), &claims))).await;
    assert!(matches!(none, Err(BackChannelError::Algorithm { .. })), "{none:?}");
    let hmac = send(format!("{}.AAAA", unsigned(&header("HS256"), &claims))).await;
    assert!(matches!(hmac, Err(BackChannelError::Algorithm { .. })), "{hmac:?}");
    let stolen = P384.sign(Algorithm::Es384, &json!({"alg": "ES384", "kid": "p256"}), &claims);
    assert!(matches!(send(stolen).await, Err(BackChannelError::Token(_))));
    let good = P256.sign(Algorithm::Es256, &header("ES256"), &claims);
    let cut = good.rsplit_once('.').unwrap().0;
    assert_eq!(send(format!("{cut}.{}", "A".repeat(86))).await, Err(TokenError::Signature.into()));
    assert_eq!(send("a".repeat(20_000)).await, Err(TokenError::TooLarge(MAX_TOKEN_BYTES).into()));
    assert_eq!(world.store.calls(), calls, "nothing is written for what is not signed");
    assert!(world.provider.calls("/keys") <= 4, "nor are keys fetched at a stranger's wish, but for three times");
    assert_eq!(send(good).await, ended(1));
}

#[tokio::test]
async fn a_token_works_once_also_with_a_later_session() {
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    let token = world.provider.logout_token(&json!({}), &json!({}));
    let both = tokio::join!(
        world.oidc.back_channel.log_out("dex", token.clone()),
        world.oidc.back_channel.log_out("dex", token.clone())
    );
    assert!(both == (ended(1), DONE_BEFORE) || both == (DONE_BEFORE, ended(1)), "{both:?}");
    world.clock.advance(Duration::from_secs(1));
    sign_in(&browser, &world).await;
    assert_eq!(world.oidc.back_channel.log_out("dex", token).await, DONE_BEFORE);
    assert!(browser.is_signed_in().await);
}

/// Why a login comes to nothing of whose person a logout token is sent, with these claims, after its exchange began.
async fn begun_before(world: &World, claims: Value) -> Reason {
    let gate = Arc::new(tokio::sync::Notify::new());
    *world.provider.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    let query = world.provider.authorize(&url);
    let logout = async {
        while world.provider.calls("/token") == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(send(world, json!({}), claims).await, ended(0));
        gate.notify_one();
    };
    let (outcome, ()) = tokio::join!(browser.callback(&query), logout);
    super::failure(&outcome)
}

#[tokio::test]
async fn a_login_that_began_before_the_logout_writes_nothing() {
    assert_eq!(begun_before(&World::new(), json!({})).await, Reason::SessionEnded);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_told_and_the_token_is_not_spent() {
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    let token = world.provider.logout_token(&json!({"typ": null}), &json!({}));
    world.store.set_down(true);
    let down = world.oidc.back_channel.log_out("dex", token.clone()).await;
    assert_eq!(down, Err(BackChannelError::StoreUnavailable));
    world.store.set_down(false);
    assert_eq!(world.oidc.back_channel.log_out("dex", token).await, ended(1));
}

/// The store did it, and we never heard: neither our own second attempt nor the provider's ends what began since.
#[tokio::test(start_paused = true)]
async fn a_logout_whose_answer_was_lost_is_done_once() {
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    let token = world.provider.logout_token(&json!({}), &json!({}));
    let send = || world.oidc.back_channel.log_out("dex", token.clone());
    world.store.lose_answers(5);
    assert_eq!(send().await, Err(BackChannelError::StoreUnavailable));
    assert!(!browser.is_signed_in().await);
    world.clock.advance(Duration::from_secs(1));
    sign_in(&browser, &world).await;
    assert_eq!(send().await, DONE_BEFORE);
    assert!(browser.is_signed_in().await);

    let token = world.provider.logout_token(&json!({}), &json!({}));
    world.store.lose_answers(1);
    assert_eq!(world.oidc.back_channel.log_out("dex", token).await, DONE_BEFORE);
    assert!(!browser.is_signed_in().await);
}

/// A session that came without a `sid` cannot be told from the one that ends.
#[tokio::test]
async fn a_session_without_a_sid_ends_with_each_named_one_of_its_person() {
    let world = World::new();
    let (nameless, named, stranger) = (world.browser(), world.browser(), world.browser());
    world.provider.tell(Lies::claims(json!({"sid": null})));
    sign_in(&nameless, &world).await;
    world.provider.tell(Lies::claims(json!({"sid": "sid-2"})));
    sign_in(&named, &world).await;
    world.provider.tell(Lies::claims(json!({"sid": null, "sub": "subject-2", "email": "other@example.com"})));
    sign_in(&stranger, &world).await;

    assert_eq!(send(&world, json!({}), json!({"sid": "sid-1", "sub": null})).await, ended(0));
    assert!(nameless.is_signed_in().await, "nothing says whose session it is");
    assert_eq!(send(&world, json!({}), json!({"sid": "sid-1"})).await, ended(1));
    assert!(!nameless.is_signed_in().await && named.is_signed_in().await && stranger.is_signed_in().await);

    // What no logout token could name is no name.
    world.clock.advance(Duration::from_secs(1));
    for sid in ["", &"a".repeat(256)] {
        world.provider.tell(Lies::claims(json!({"sid": sid})));
        sign_in(&nameless, &world).await;
        assert_eq!(send(&world, json!({}), json!({"sid": "sid-3"})).await, ended(1));
        world.clock.advance(Duration::from_secs(1));
    }
    assert!(named.is_signed_in().await && stranger.is_signed_in().await);
}

#[tokio::test]
async fn a_login_without_a_sid_that_began_before_the_logout_writes_nothing() {
    let world = World::new();
    world.provider.tell(Lies::claims(json!({"sid": null})));
    assert_eq!(begun_before(&world, json!({"sid": "sid-1"})).await, Reason::SessionEnded);
}

#[tokio::test(start_paused = true)]
async fn strangers_who_wait_for_keys_keep_no_token_out_whose_key_is_known() {
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    world.clock.advance(Duration::from_secs(30));
    world.provider.tell(Lies { hanging: vec!["/keys"], ..Lies::default() });
    let strange = |number: usize| {
        let token = world.provider.logout_token(&json!({"kid": format!("k{number}")}), &json!({}));
        world.oidc.back_channel.log_out("dex", token)
    };
    let mut strangers: Vec<_> = (0..80).map(|number| Box::pin(strange(number))).collect();
    let turned_away = strangers.iter_mut().filter_map(|stranger| stranger.as_mut().now_or_never());
    let turned_away: Vec<_> = turned_away.collect();
    assert!(turned_away.iter().all(|outcome| *outcome == Err(BackChannelError::Busy)), "{turned_away:?}");
    assert_eq!(turned_away.len(), 16, "no more may wait");

    assert_eq!(send(&world, json!({}), json!({})).await, ended(1));
    assert!(!browser.is_signed_in().await);
    for stranger in strangers.into_iter().take(64) {
        assert_eq!(stranger.await, Err(BackChannelError::KeysUnavailable), "nothing is known about it");
    }
    assert_eq!(world.provider.calls("/keys"), 2, "all of them share one fetch");
    // And have given their places back.
    world.clock.advance(Duration::from_secs(30));
    world.provider.tell(Lies {
        key: &P384,
        algorithm: Algorithm::Es384,
        published: vec![P384.jwk.clone()],
        ..Lies::default()
    });
    assert_eq!(send(&world, json!({}), json!({})).await, ended(0));
}

#[tokio::test]
async fn a_key_that_changed_under_its_name_is_fetched_for_a_logout_token() {
    static RENEWED: LazyLock<TestKey> = LazyLock::new(|| TestKey::p256(P256.jwk["kid"].as_str().unwrap()));
    static OTHER_KIND: LazyLock<TestKey> = LazyLock::new(|| TestKey::p384(P256.jwk["kid"].as_str().unwrap()));
    let world = World::new();
    let browser = world.browser();
    sign_in(&browser, &world).await;
    let renewed =
        |key: &'static TestKey, algorithm| Lies { key, algorithm, published: vec![key.jwk.clone()], ..Lies::default() };
    world.provider.tell(renewed(&RENEWED, Algorithm::Es256));
    assert_eq!(send(&world, json!({}), json!({})).await, ended(1));
    assert_eq!(world.provider.calls("/keys"), 2);
    world.provider.tell(renewed(&OTHER_KIND, Algorithm::Es384));
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(send(&world, json!({}), json!({})).await, ended(0));
    assert_eq!(world.provider.calls("/keys"), 3);
}

#[tokio::test]
async fn only_a_provider_that_may_is_listened_to() {
    let off = LogoutConfig { back_channel: false, ..LogoutConfig::default() };
    let world = World::with(|provider| provider.logout = off, Limits::default());
    assert_eq!(send(&world, json!({}), json!({})).await, Err(BackChannelError::UnknownProvider));
    let world = World::new();
    for name in ["other", "", "../dex", "DEX"] {
        let token = world.provider.logout_token(&json!({}), &json!({}));
        assert_eq!(world.oidc.back_channel.log_out(name, token).await, Err(BackChannelError::UnknownProvider));
    }
}
