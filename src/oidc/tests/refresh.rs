//! Sessions follow the provider.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{
    signed_in,
    support::{Lies, World},
};
use crate::{
    clock::Clock as _,
    jose::{Algorithm, testing::P384},
    oidc::{Limits, Oidc, Presented},
    providers::{ProviderConfig, RefreshConfig},
    reason::Reason,
    session::{Session, Sessions},
};

const LIFE: Duration = Duration::from_mins(5);
const AHEAD: Duration = Duration::from_mins(1);

/// Somebody signed in at a provider that issues refresh tokens, good for five minutes.
pub(super) struct Person {
    pub(super) world: World,
    ticket: String,
}

impl Person {
    async fn new() -> Self {
        Self::with_lies(Lies::default()).await
    }

    async fn with_lies(lies: Lies) -> Self {
        Self::with(lies, |provider| provider.refresh = Some(RefreshConfig { ahead: AHEAD })).await
    }

    pub(super) async fn with(lies: Lies, configure: impl FnOnce(&mut ProviderConfig)) -> Self {
        let world = World::with(configure, Limits::default());
        *world.provider.refresh_token.lock().unwrap() = Some(0);
        world.provider.tell(lies);
        let browser = world.browser();
        let url = browser.begin("/").await.unwrap();
        signed_in(&browser.callback(&world.provider.authorize(&url)).await);
        let ticket = browser.ticket.lock().unwrap().clone().unwrap();
        Self { world, ticket }
    }

    pub(super) fn ticket(&self) -> &str {
        &self.ticket
    }

    pub(super) fn presented(&self) -> Presented<'_> {
        let origin = &self.world.origin;
        Presented { ticket: &self.ticket, origin: &origin.url, provider: &origin.provider }
    }

    /// What a check does.
    pub(super) async fn check(&self) -> Result<Arc<Session>, Reason> {
        let presented = self.presented();
        let session = self.world.sessions.open(presented.ticket, presented.origin, self.world.registration()).await;
        self.world.oidc.freshness.keep_fresh(presented, session.map_err(|_| Reason::SessionEnded)?).await
    }

    /// Whether the session is there, whatever the provider says of it.
    pub(super) async fn is_there(&self) -> bool {
        self.world.sessions.open(&self.ticket, &self.world.origin.url, self.world.registration()).await.is_ok()
    }

    /// Tokens that were asked for since the sign-in.
    pub(super) fn refreshes(&self) -> usize {
        self.world.provider.calls("/token") - 1
    }

    pub(super) async fn after(&self, time: Duration) -> Result<Arc<Session>, Reason> {
        self.world.clock.advance(time);
        self.check().await
    }

    /// Waits until the session has this version.
    async fn version(&self, version: u64) {
        while self.check().await.unwrap().version() != version {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn it_is_refreshed_ahead_of_its_end_and_nobody_waits() {
    let person = Person::new().await;
    person.after(Duration::from_secs(4 * 60 - 1)).await.unwrap();
    assert_eq!(person.refreshes(), 0);
    let gate = Arc::new(Notify::new());
    *person.world.provider.gate.lock().unwrap() = Some(Arc::clone(&gate));
    person.world.provider.tell(Lies::claims(json!({"groups": ["team-b"]})));
    for _ in 0..50 {
        let session = person.after(Duration::from_millis(100)).await.unwrap();
        assert_eq!(session.version(), 1, "answered while the provider thinks");
    }
    gate.notify_one();
    person.version(2).await;
    let session = person.check().await.unwrap();
    assert!(session.user().groups.contains("team-b") && !session.user().groups.contains("team-a"));
    assert_eq!(person.refreshes(), 1);
    // And again with the token that came then.
    *person.world.provider.gate.lock().unwrap() = None;
    person.after(LIFE).await.unwrap();
    assert_eq!(person.refreshes(), 2);
    let posted = person.world.provider.posted("/token");
    let brought: Vec<_> = posted.iter().filter_map(|form| form.get("refresh_token")).collect();
    assert_eq!(brought, ["refresh-1", "refresh-2"]);
}

#[tokio::test]
async fn after_the_end_all_who_ask_wait_for_one_refresh() {
    let person = Person::new().await;
    person.world.clock.advance(LIFE);
    let sessions = futures::future::join_all((0..50).map(|_| person.check())).await;
    assert!(sessions.into_iter().all(|session| session.unwrap().version() == 2));
    assert_eq!(person.refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn replicas_refresh_once_however_long_the_provider_takes() {
    let person = Person::new().await;
    let gate = Arc::new(Notify::new());
    *person.world.provider.gate.lock().unwrap() = Some(Arc::clone(&gate));
    person.world.clock.advance(LIFE);
    let replicas: Vec<_> = (0..5).map(|_| person.world.another_replica()).collect();
    let check = async |(sessions, oidc): &(Arc<Sessions>, Oidc)| {
        let presented = person.presented();
        let registration = oidc.providers.registration(presented.provider).unwrap();
        let session = sessions.open(presented.ticket, presented.origin, registration).await.unwrap();
        oidc.freshness.keep_fresh(presented, session).await
    };
    let checks = futures::future::join_all((0..50).map(|number| check(&replicas[number % 5])));
    let provider = async {
        // Longer than a lease lasts: it is renewed, by both clocks.
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            person.world.clock.advance(Duration::from_secs(1));
        }
        gate.notify_waiters();
    };
    let (outcomes, ()) = tokio::join!(checks, provider);
    assert!(outcomes.into_iter().all(|session| session.unwrap().version() == 2));
    assert_eq!(person.refreshes(), 1);
}

#[tokio::test]
async fn no_groups_in_the_answer_means_none() {
    let person = Person::new().await;
    let lies = Lies { claims: json!({"groups": null}), userinfo: json!({"groups": null}), ..Lies::default() };
    person.world.provider.tell(lies);
    let session = person.after(LIFE).await.unwrap();
    assert!(session.user().groups.names().is_empty());
    // Without an ID token userinfo alone tells.
    person.world.provider.tell(Lies { token: json!({"id_token": null}), ..Lies::default() });
    let session = person.after(LIFE).await.unwrap();
    assert!(session.user().groups.contains("from-userinfo"));
}

#[tokio::test]
async fn a_refused_refresh_token_ends_the_session_and_nothing_else_does() {
    let person = Person::new().await;
    // Whether it answers, and what it answers, is told to whoever is signed in.
    for (status, body, reason) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "{}", Reason::ProviderUnavailable),
        (StatusCode::TOO_MANY_REQUESTS, "{}", Reason::ProviderUnavailable),
        (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#, Reason::SignInNotSetUp),
        (StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized_client"}"#, Reason::SignInNotSetUp),
        (StatusCode::BAD_REQUEST, r#"{"error":"temporarily_unavailable"}"#, Reason::ProviderAnswerInvalid),
        (StatusCode::OK, "{}", Reason::ProviderAnswerInvalid),
    ] {
        let person = Person::new().await;
        let lies = Lies {
            statuses: [("/token", status)].into(),
            bodies: [("/token", body.to_owned())].into(),
            ..Lies::default()
        };
        person.world.provider.tell(lies);
        // Until the access token's end it counts, and after that not; but it is not gone.
        person.after(Duration::from_secs(4 * 60 + 30)).await.unwrap();
        while person.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        person.after(Duration::from_secs(29)).await.unwrap();
        assert_eq!(person.after(Duration::from_secs(1)).await.unwrap_err(), reason, "{body}");
        assert!(person.is_there().await);
    }
    *person.world.provider.refresh_token.lock().unwrap() = Some(77);
    assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::SessionEnded);
    assert!(!person.is_there().await);
    // Dex and Zitadel, and Entra ID, have words of their own for it.
    for error in ["invalid_request", "access_denied", "interaction_required", "login_required", "consent_required"] {
        let person = Person::new().await;
        let (status, body) = (StatusCode::BAD_REQUEST, json!({"error": error}).to_string());
        person.world.provider.tell(Lies {
            statuses: [("/token", status)].into(),
            bodies: [("/token", body)].into(),
            ..Lies::default()
        });
        assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::SessionEnded, "{error}");
        assert!(!person.is_there().await, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_back_is_asked_again_after_a_pause() {
    let person = Person::new().await;
    person.world.provider.tell(Lies { statuses: [("/token", StatusCode::BAD_GATEWAY)].into(), ..Lies::default() });
    assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::ProviderUnavailable);
    for _ in 0..10 {
        assert_eq!(person.check().await.unwrap_err(), Reason::ProviderUnavailable);
    }
    assert_eq!(person.refreshes(), 1);
    // The provider had not taken the token.
    *person.world.provider.refresh_token.lock().unwrap() = Some(1);
    person.world.provider.tell(Lies::default());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(person.check().await.unwrap().version(), 2);
}

/// What a provider may answer to a refresh besides a usable answer, with the refresh token that it has replaced.
fn unusable_answers() -> Vec<(&'static str, Lies)> {
    let token = |token: Value| Lies { token, ..Lies::default() };
    let body = |text: &str| Lies { bodies: [("/token", text.to_owned())].into(), ..Lies::default() };
    vec![
        ("no access token", token(json!({"access_token": null}))),
        ("an unreadable access token", token(json!({"access_token": 5}))),
        ("no token type", token(json!({"token_type": null}))),
        ("no ID token", token(json!({"id_token": "none"}))),
        ("an unreadable ID token", token(json!({"id_token": ["a", "b"]}))),
        ("a member twice", body(r#"{"scope":"a","scope":"b","refresh_token":"refresh-2"}"#)),
        ("nothing else", body(r#"{"refresh_token":"refresh-2"}"#)),
        ("another issuer", Lies::claims(json!({"iss": "https://evil.example.com"}))),
        ("another person", Lies::claims(json!({"sub": "subject-2"}))),
        ("an old ID token", Lies::claims(json!({"iat": 1_700_000_000, "exp": 1_700_000_300}))),
        ("an unknown key", Lies { header: json!({"kid": "of-tomorrow"}), ..Lies::default() }),
        (
            "no userinfo",
            Lies {
                claims: json!({"groups": null}),
                statuses: [("/userinfo", StatusCode::SERVICE_UNAVAILABLE)].into(),
                ..Lies::default()
            },
        ),
        (
            "userinfo of another person",
            Lies { claims: json!({"groups": null}), userinfo: json!({"sub": "subject-2"}), ..Lies::default() },
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_new_refresh_token_outlives_whatever_is_wrong_with_the_rest_of_the_answer() {
    for (what, lies) in unusable_answers() {
        let person = Person::new().await;
        person.world.provider.tell(lies);
        let reason = if what == "no userinfo" { Reason::ProviderUnavailable } else { Reason::ProviderAnswerInvalid };
        assert_eq!(person.after(LIFE).await.unwrap_err(), reason, "{what}");
        assert!(person.is_there().await, "{what}: the session lives on");
        // Another process does not know more than the store.
        let (sessions, oidc) = person.world.another_replica();
        let tokens = sessions.tokens(&person.ticket, &person.world.origin.url, person.world.registration()).await;
        assert_eq!(tokens.unwrap().refresh_token.unwrap().expose(), "refresh-2", "{what}");
        // The provider is well again: the token from before would not do.
        person.world.provider.tell(Lies::default());
        let registration = person.world.registration();
        let session = sessions.open(&person.ticket, &person.world.origin.url, registration).await.unwrap();
        let session = oidc.freshness.keep_fresh(person.presented(), session).await.unwrap();
        assert_eq!(session.version(), 2, "{what}");
        let posted = person.world.provider.posted("/token");
        let brought: Vec<_> = posted.iter().filter_map(|form| form.get("refresh_token")).collect();
        assert_eq!(brought, ["refresh-1", "refresh-2"], "{what}");
    }
}

#[tokio::test]
async fn what_was_rotated_is_stored_before_userinfo_is_asked() {
    let person = Person::new().await;
    let lies = Lies { claims: json!({"groups": null}), hanging: vec!["/userinfo"], ..Lies::default() };
    person.world.provider.tell(lies);
    person.world.clock.advance(LIFE);
    let stored = async {
        while person.world.provider.calls("/userinfo") == 0 {
            tokio::task::yield_now().await;
        }
        let (sessions, _) = person.world.another_replica();
        sessions.tokens(&person.ticket, &person.world.origin.url, person.world.registration()).await.unwrap()
    };
    // A kill at this moment loses nothing.
    let tokens = tokio::select! {
        tokens = stored => tokens,
        outcome = person.check() => panic!("{outcome:?}"),
    };
    assert_eq!(tokens.refresh_token.unwrap().expose(), "refresh-2");
}

#[tokio::test]
async fn until_an_answer_is_judged_the_session_says_what_it_said() {
    let person = Person::new().await;
    let lies = Lies {
        claims: json!({"groups": null}),
        statuses: [("/userinfo", StatusCode::BAD_GATEWAY)].into(),
        ..Lies::default()
    };
    person.world.provider.tell(lies);
    let session = person.after(Duration::from_secs(4 * 60 + 30)).await.unwrap();
    while person.world.provider.calls("/userinfo") == 0 {
        tokio::task::yield_now().await;
    }
    let after = person.check().await.unwrap();
    assert_eq!((after.user(), after.version()), (session.user(), 1));
    assert_eq!(after.renewable(), session.renewable(), "and no longer than before");
}

#[tokio::test]
async fn whatever_is_told_of_an_access_tokens_life_fifty_checks_are_no_fifty_calls() {
    for expires_in in
        [json!(0), json!(-1), json!(0.5), json!("0"), json!(u64::MAX), json!("soon"), json!(null), json!({"s": 5})]
    {
        // The ID token stands for what is not told: as short.
        let lies = |exp: u64| Lies {
            token: json!({"expires_in": expires_in}),
            claims: json!({"exp": exp}),
            ..Lies::default()
        };
        let person = Person::with_lies(lies(1_800_000_001)).await;
        for _ in 0..50 {
            person.after(Duration::from_millis(20)).await.unwrap();
        }
        assert_eq!(person.refreshes(), 0, "{expires_in}");
        person.world.provider.tell(lies(1_800_000_000 + 24 * 3600));
        person.after(Duration::from_hours(7)).await.unwrap();
        for _ in 0..50 {
            person.after(Duration::from_millis(20)).await.unwrap();
        }
        assert!(person.refreshes() <= 1, "{expires_in}");
    }
}

#[tokio::test]
async fn after_a_step_back_of_the_clock_the_provider_is_heard_at_once() {
    let person = Person::new().await;
    person.after(LIFE).await.unwrap();
    assert_eq!(person.refreshes(), 1);
    // The session began before; its access token was issued after what is now.
    person.world.clock.set(person.world.clock.now().minus(Duration::from_mins(4)));
    let lies = Lies::claims(json!({"groups": ["team-b"]}));
    person.world.provider.tell(lies);
    assert!(person.check().await.unwrap().user().groups.contains("team-b"));
    assert_eq!(person.refreshes(), 2);
}

#[tokio::test]
async fn a_logout_while_the_refresh_is_judged_wins_for_whoever_waited() {
    let person = Person::new().await;
    person.world.provider.tell(Lies { claims: json!({"groups": null}), ..Lies::default() });
    let gate = person.world.provider.hold("/userinfo");
    person.world.clock.advance(LIFE);
    let checks = futures::future::join_all((0..20).map(|_| person.check()));
    let logout = async {
        while person.world.provider.calls("/userinfo") == 0 {
            tokio::task::yield_now().await;
        }
        assert!(person.world.sessions.end(&person.ticket).await.unwrap());
        gate.notify_one();
    };
    let (outcomes, ()) = tokio::join!(checks, logout);
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err() == &Reason::SessionEnded), "{outcomes:?}");
}

#[tokio::test]
async fn the_new_id_token_speaks_of_the_same_sign_in() {
    let bad: [Value; 8] = [
        json!({"sub": "subject-2"}),
        json!({"iss": "https://evil.example.com"}),
        json!({"aud": "another"}),
        json!({"aud": ["portcullis", "another"]}),
        json!({"aud": ["portcullis", "another"], "azp": "another"}),
        json!({"nonce": "another"}),
        json!({"iat": 1_800_000_000}),
        json!({"exp": 1_800_000_000}),
    ];
    for claims in bad {
        let person = Person::new().await;
        person.world.provider.tell(Lies::claims(claims.clone()));
        let outcome = person.after(Duration::from_mins(30)).await;
        assert_eq!(outcome.unwrap_err(), Reason::ProviderAnswerInvalid, "{claims}");
    }
    // A sibling client that is added to the audience ends nobody's session.
    for claims in [json!({"azp": "portcullis"}), json!({"aud": ["portcullis", "another"], "azp": "portcullis"})] {
        let person = Person::new().await;
        person.world.provider.tell(Lies::claims(claims.clone()));
        assert_eq!(person.after(LIFE).await.unwrap().version(), 2, "{claims}");
    }
    // The nonce of the sign-in may come again, also with the second refresh.
    let person = Person::new().await;
    let tokens = person.world.sessions.tokens(&person.ticket, &person.world.origin.url, person.world.registration());
    let nonce = tokens.await.unwrap().nonce.unwrap().expose().to_owned();
    for _ in 0..2 {
        person.after(LIFE).await.unwrap();
        person.world.provider.tell(Lies::claims(json!({"nonce": nonce})));
    }
    assert_eq!(person.check().await.unwrap().version(), 3);
}

/// The provider's key changes at the very moment of a refresh, right after its keys were fetched.
#[tokio::test]
async fn a_new_key_right_after_a_fetch_costs_no_session() {
    let person = Person::new().await;
    person.world.provider.tell(Lies {
        key: &P384,
        algorithm: Algorithm::Es384,
        published: vec![P384.jwk.clone()],
        ..Lies::default()
    });
    assert_eq!(person.after(LIFE).await.unwrap().version(), 2);
    assert_eq!((person.refreshes(), person.world.provider.calls("/keys")), (1, 2));
}

#[tokio::test]
async fn who_may_not_sign_in_any_more_is_signed_out() {
    for claims in [json!({"email_verified": false}), json!({"email": "renamed@example.com"})] {
        let person = Person::new().await;
        let userinfo = json!({"email_verified": false});
        person.world.provider.tell(Lies { claims: claims.clone(), userinfo, ..Lies::default() });
        assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::SessionEnded, "{claims}");
    }
}

#[tokio::test]
async fn a_logout_wins_against_a_refresh_that_runs_and_its_tokens_are_revoked() {
    let person = Person::new().await;
    let gate = Arc::new(Notify::new());
    *person.world.provider.gate.lock().unwrap() = Some(Arc::clone(&gate));
    person.world.clock.advance(LIFE);
    let logout = async {
        while person.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(person.world.sessions.end(&person.ticket).await.unwrap());
        gate.notify_one();
    };
    let (outcome, ()) = tokio::join!(person.check(), logout);
    assert_eq!(outcome.unwrap_err(), Reason::SessionEnded);
    assert_eq!(person.check().await.unwrap_err(), Reason::SessionEnded);
    while person.world.provider.calls("/revoke") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(person.world.provider.posted("/revoke")[0]["token"], "refresh-2");
}

#[tokio::test]
async fn a_logout_after_a_refresh_ends_the_refreshed_session() {
    let person = Person::new().await;
    person.after(LIFE).await.unwrap();
    assert!(person.world.sessions.end(&person.ticket).await.unwrap());
    assert_eq!(person.check().await.unwrap_err(), Reason::SessionEnded);
    assert_eq!(person.refreshes(), 1);
}

#[tokio::test]
async fn without_a_refresh_token_or_a_word_in_the_configuration_a_session_lives_by_itself() {
    let person = Person::with_lies(Lies { token: json!({"refresh_token": null}), ..Lies::default() }).await;
    person.after(Duration::from_hours(7)).await.unwrap();
    assert_eq!(person.refreshes(), 0);
    let world = World::new();
    *world.provider.refresh_token.lock().unwrap() = Some(0);
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    signed_in(&browser.callback(&world.provider.authorize(&url)).await);
    let ticket = browser.ticket.lock().unwrap().clone().unwrap();
    let person = Person { world, ticket };
    person.after(Duration::from_hours(7)).await.unwrap();
    assert_eq!(person.refreshes(), 0);
}
