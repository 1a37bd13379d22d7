//! What operators hear of a provider that fails: `/readyz?verbose` says it as it is.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::{
    failure,
    refresh::Person,
    signed_in,
    support::{Lies, World},
};
use crate::{
    oidc::Limits,
    providers::{ClientAuthentication, RefreshConfig},
    reason::Reason,
};

const LIFE: Duration = Duration::from_mins(5);
const DOCUMENT: &str = "/.well-known/openid-configuration";

async fn person() -> Person {
    let ahead = Duration::from_mins(1);
    Person::with(Lies::default(), |provider| provider.refresh = Some(RefreshConfig { ahead })).await
}

/// What is said of the provider, and since how many seconds of a test's time.
fn told(world: &World) -> Option<(u64, String)> {
    let failure = world.oidc.providers.failure(&world.origin.provider)?;
    Some((failure.since.as_unix_seconds() - 1_800_000_000, failure.problem))
}

fn down(path: &'static str) -> Lies {
    Lies { statuses: [(path, StatusCode::SERVICE_UNAVAILABLE)].into(), ..Lies::default() }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_from_its_beginning_to_the_first_answer() {
    let person = person().await;
    let world = &person.world;
    assert_eq!(told(world), None);
    world.provider.tell(down("/token"));
    assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::ProviderUnavailable);
    let since = |problem: &str| Some((300, problem.to_owned()));
    assert_eq!(told(world), since("refresh: it does not answer: status 503"));
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(failure(&world.sign_in_with(down("/token")).await), Reason::ProviderUnavailable);
    assert_eq!(told(world), since("sign_in: it does not answer: status 503"));
    // Whoever gets through first ends it for all.
    assert_eq!(signed_in(&world.sign_in_with(Lies::default()).await), "/");
    assert_eq!(told(world), None);
}

#[tokio::test]
async fn a_stumble_of_userinfo_is_told_as_such() {
    let person = person().await;
    person.world.provider.tell(Lies { claims: json!({"groups": null}), ..down("/userinfo") });
    assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::ProviderUnavailable);
    assert_eq!(told(&person.world), Some((300, "userinfo: it does not answer: status 503".to_owned())));
}

#[tokio::test]
async fn a_provider_that_refuses_this_client_is_not_told_to_be_away() {
    let person = person().await;
    let body = json!({"error": "unauthorized_client", "error_description": "Invalid client credentials"}).to_string();
    let (bodies, statuses) = ([("/token", body)].into(), [("/token", StatusCode::UNAUTHORIZED)].into());
    person.world.provider.tell(Lies { bodies, statuses, ..Lies::default() });
    assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::SignInNotSetUp);
    let refused = Some((300, "refresh: it refuses this client: error `unauthorized_client`".to_owned()));
    assert_eq!(told(&person.world), refused);
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_told_also_where_the_token_endpoint_answers_well() {
    let person = person().await;
    person.world.provider.tell(Lies::claims(json!({"aud": "another"})));
    assert_eq!(person.after(LIFE).await.unwrap_err(), Reason::ProviderAnswerInvalid);
    let (_, problem) = told(&person.world).unwrap();
    assert!(problem.starts_with("refresh_answer: its answer cannot be used: the ID token is refused"), "{problem}");
}

/// Anybody can bring an error, with a state of their own.
#[tokio::test]
async fn what_a_stranger_brings_from_the_provider_says_nothing_of_it() {
    let world = World::new();
    let browser = world.browser();
    let url = browser.begin("/").await.unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let query = format!("state={state}&error=invalid_scope&iss=https%3A%2F%2Fidp.example.com%2Fdex");
    assert_eq!(failure(&browser.callback(&query).await), Reason::SignInNotSetUp);
    assert_eq!(told(&world), None);
}

#[tokio::test(start_paused = true)]
async fn discovery_that_fails_is_told_with_its_cause_also_across_a_reload() {
    let world = World::new();
    world.provider.tell(Lies { statuses: [(DOCUMENT, StatusCode::NOT_FOUND)].into(), ..Lies::default() });
    assert_eq!(world.browser().begin("/").await.unwrap_err().reason, Reason::SignInNotSetUp);
    let (since, problem) = told(&world).unwrap();
    let document = "https://idp.example.com/dex/.well-known/openid-configuration";
    assert!(problem.starts_with("discovery: ") && problem.contains(document) && problem.contains("404"), "{problem}");
    let reloaded = world.reconfigured(|provider| provider.timeout = Duration::from_secs(1));
    world.clock.advance(Duration::from_secs(10));
    let now = reloaded.providers.failure(&world.origin.provider).unwrap();
    assert_eq!((now.since.as_unix_seconds() - 1_800_000_000, now.problem), (since, problem));
    let another = world.reconfigured(|provider| provider.client_id = "another".to_owned());
    assert_eq!(another.providers.failure(&world.origin.provider), None, "of another client nothing is known yet");
}

#[tokio::test]
async fn a_token_of_ours_that_is_not_there_is_ours_to_mend() {
    let file = std::path::PathBuf::from("/nowhere/token");
    let world =
        World::with(|provider| provider.authentication = ClientAuthentication::AssertionFile(file), Limits::default());
    assert_eq!(failure(&world.sign_in_with(Lies::default()).await), Reason::SignInNotSetUp);
    let (_, problem) = told(&world).unwrap();
    assert!(problem.contains("client_assertion_file"), "{problem}");
    assert_eq!(world.provider.calls("/token"), 0);
}
