//! What a provider says later than at the start. The product's clocks are moved, so that hours take no time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use portcullis_integration::check_client::{Answer, CheckClient};
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::faults::{Edit, Fault, edit};
use portcullis_integration::jwt::{Algorithm, SigningKey};
use portcullis_integration::lateness::Lateness;
use portcullis_integration::movable_clock::{MovableClock, Moves};
use portcullis_integration::portcullis::{Config, HOST, Portcullis};
use portcullis_integration::provider::{Faults, Provider, Settings, forge};
use portcullis_integration::visitor::{log_in, path_and_query};
use serde_json::json;
use url::Url;

use super::ground::claim;

/// A loaded machine may take this long where a moment is usual.
const SOON: Duration = Duration::from_mins(1);
/// Longer than a set of keys is believed when it lacks one.
const A_WHILE: i64 = 31;

struct Ground {
    clock: MovableClock,
    provider: Provider,
    portcullis: Portcullis,
    client: CheckClient,
}

impl Ground {
    async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    async fn start_with(configure: impl FnOnce(Config) -> Config) -> Self {
        let clock = MovableClock::new(Moves::AllClocks).unwrap();
        let provider = Provider::start(Settings::default()).await.unwrap();
        let config = Config::new().unwrap().provider(&provider).unwrap().clock(&clock);
        let portcullis = configure(config).start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        Self { clock, provider, portcullis, client }
    }

    /// A browser that is about to open the callback.
    async fn back_from_the_provider(&self) -> (CheckVisitor, Url) {
        let mut visitor = CheckVisitor::new(&self.client, HOST);
        let to_provider = visitor.begin("/wanted").await.unwrap();
        (visitor, log_in(&to_provider, "alice").await.unwrap())
    }

    /// How often discovery failed so far.
    async fn refused_documents(&self) -> u64 {
        self.portcullis.metric("portcullis_oidc_discoveries_total", &["outcome=\"failure\""]).await.unwrap()
    }

    async fn sign_in(&self) -> Answer {
        let (mut visitor, callback) = self.back_from_the_provider().await;
        visitor.navigate(&path_and_query(&callback)).await.unwrap()
    }
}

/// The status and the reason; a redirect tells none.
fn told(answer: &Answer) -> (i32, String) {
    (answer.status(), answer.reason().unwrap_or_default())
}

#[tokio::test]
async fn keys_rotated_in_the_middle_of_a_login_are_fetched_once_for_all() {
    let ground = Ground::start().await;
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(ground.back_from_the_provider().await);
    }
    ground.provider.rotate_keys(Algorithm::Es256, false).unwrap();
    // The keys were fetched a moment ago, and are fetched again all the same: a rotation costs nobody a sign-in.
    let answers = join_all(people.iter_mut().map(|(visitor, callback)| visitor.come_back(callback))).await;
    for answer in answers {
        assert_eq!(answer.unwrap(), "/wanted");
    }
    assert_eq!(ground.provider.calls().jwks, 2);
}

/// The attack beside it: whoever has a key of their own, and a provider that signs for them what it does not publish.
#[tokio::test]
async fn a_thousand_made_up_key_names_cost_a_few_fetches() {
    let ground = Ground::start().await;
    let mut told = Vec::new();
    for number in 0..30 {
        ground.provider.lie(|faults| faults.edit_header = claim("kid", json!(format!("made-up-{number}"))));
        told.push(ground.sign_in().await);
    }
    assert!(told.iter().all(|answer| answer.status() == 403), "{told:?}");
    let fetches = ground.provider.calls().jwks;
    // Three at once, and one more in each five seconds that this took.
    assert!(fetches <= 1 + 3 + 12, "{fetches} fetches for 30 tokens");
    ground.provider.be_honest();
    assert_eq!(ground.sign_in().await.status(), 303);
}

#[tokio::test]
async fn keys_that_do_not_come_keep_nobody_longer_than_the_first_who_asks() {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let timeout = format!("{}s", TIMEOUT.as_secs());
    let ground = Ground::start_with(|config| config.set("/providers/0/timeout", timeout)).await;
    let mut people = Vec::new();
    for _ in 0..8 {
        people.push(ground.back_from_the_provider().await);
    }
    ground.provider.rotate_keys(Algorithm::Es256, false).unwrap();
    ground.provider.lie(|faults| faults.jwks = Fault::Hang);
    ground.clock.set(A_WHILE).unwrap();

    let (lateness, begin) = (Lateness::watch(), Instant::now());
    let answers = join_all(
        people.iter_mut().map(async |(visitor, callback)| visitor.navigate(&path_and_query(callback)).await.unwrap()),
    );
    for answer in answers.await {
        assert_eq!(told(&answer), (503, "provider_unavailable".to_owned()));
    }
    let (took, bound) = (begin.elapsed(), TIMEOUT * 2 + lateness.p99());
    assert!(took <= bound, "the last was answered after {took:?}, and not within {bound:?}");
    assert_eq!(ground.provider.calls().jwks, 2, "somebody who had waited asked once more");

    // The control: once the keys come, so do people, and nobody has to wait for half a minute.
    ground.provider.be_honest();
    let begin = Instant::now();
    while ground.sign_in().await.status() != 303 {
        assert!(begin.elapsed() < Duration::from_secs(20), "nobody can sign in");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_key_set_that_flaps_lets_only_published_keys_sign() {
    let ground = Ground::start().await;
    let stranger = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    assert_eq!(ground.sign_in().await.status(), 303);
    ground.provider.rotate_keys(Algorithm::Es256, false).unwrap();

    let set = |keys: &[serde_json::Value]| Fault::Body(json!({ "keys": keys }).to_string());
    let steps = [
        ("500", Fault::Status(500), (503, "provider_unavailable"), 1),
        ("no keys", set(&[]), (403, "id_token_invalid"), 1),
        ("no JSON", Fault::Body("<html>".to_owned()), (503, "provider_answer_invalid"), 1),
        ("a stranger's key", set(&[stranger.jwk()]), (403, "id_token_invalid"), 1),
        ("half of it, then the connection ends", Fault::Truncated, (503, "provider_unavailable"), 1),
        ("honest", Fault::None, (303, ""), 1),
        ("500 while the key is known", Fault::Status(500), (303, ""), 0),
    ];
    let mut seconds = 0;
    for (what, fault, expected, fetches) in steps {
        seconds += A_WHILE;
        ground.clock.set(seconds).unwrap();
        let before = ground.provider.calls().jwks;
        ground.provider.lie(|faults| faults.jwks = fault);
        let answer = ground.sign_in().await;
        assert_eq!(told(&answer), (expected.0, expected.1.to_owned()), "{what}");
        assert_eq!(ground.provider.calls().jwks - before, fetches, "{what}");
    }
    // What was published for a while and no longer is counts no more.
    seconds += A_WHILE;
    ground.clock.set(seconds).unwrap();
    ground.provider.lie(|faults: &mut Faults| {
        faults.jwks = Fault::None;
        faults.forge = forge(move |_, _, claims| stranger.sign(claims).unwrap());
    });
    assert_eq!(told(&ground.sign_in().await), (403, "id_token_invalid".to_owned()));
    ground.provider.be_honest();
    assert_eq!(ground.sign_in().await.status(), 303);
}

#[tokio::test]
async fn a_discovery_that_begins_to_lie_changes_nothing() {
    const HOUR: i64 = 3600;
    let ground = Ground::start().await;
    let thief = Provider::start(Settings::default()).await.unwrap();
    assert_eq!(ground.sign_in().await.status(), 303);
    let elsewhere = json!(format!("{}/token", thief.issuer()));
    let lies = [
        ("another issuer", claim("issuer", json!(thief.issuer())), Fault::None),
        ("no issuer", claim("issuer", json!(null)), Fault::None),
        ("only plain PKCE", claim("code_challenge_methods_supported", json!(["plain"])), Fault::None),
        ("no token endpoint", claim("token_endpoint", json!(null)), Fault::None),
        ("another token endpoint, said twice", None, Fault::Twice("token_endpoint", elsewhere)),
        ("500", None, Fault::Status(500)),
        ("a redirect", None, Fault::Redirect(format!("{}/.well-known/openid-configuration", thief.issuer()))),
    ];
    let mut seconds = 0;
    for (what, change, fault) in lies {
        // It is asked again once an hour, and after a failure within a minute.
        seconds += HOUR + 1;
        let before = ground.refused_documents().await;
        ground.provider.lie(|faults| {
            (faults.edit_discovery, faults.discovery) = (change, fault);
            faults.edit_claims = off_by(seconds);
        });
        ground.clock.set(seconds).unwrap();
        let begin = Instant::now();
        while ground.refused_documents().await == before {
            assert!(begin.elapsed() < SOON, "{what}: the document is not fetched again, or not refused");
            // A check, since a runtime that sleeps does not see that its clock was moved.
            assert_eq!(ground.sign_in().await.status(), 303, "{what}");
        }
        assert_eq!(ground.sign_in().await.status(), 303, "{what}");
    }
    assert_eq!(thief.calls(), <_>::default(), "something went elsewhere");
}

/// Shifts the dates of the ID token, as a provider does whose clock is as far off as ours.
fn off_by(seconds: i64) -> Option<Edit> {
    edit(move |claims| {
        for name in ["iat", "exp", "auth_time"] {
            claims[name] = json!(claims[name].as_i64().unwrap() + seconds);
        }
    })
}
