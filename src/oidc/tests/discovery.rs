//! Discovery: what is refused, and what a provider that is down costs.

use std::time::Duration;

use http::StatusCode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::{
    signed_in,
    support::{CLIENT_SECRET, ISSUER, Lies, World, provider_config},
};
use crate::{
    oidc::{Config, Limits, LoginAsk, LoginError, Metrics, Oidc, ReturnTarget},
    providers::{ConfigError, ProviderConfig, unusable},
    reason::Reason,
};

const DOCUMENT: &str = "/.well-known/openid-configuration";

async fn begin(world: &World) -> Result<(), LoginError> {
    world.browser().begin("/").await.map(|_| ())
}

const UNAVAILABLE: Result<(), LoginError> = Err(LoginError { reason: Reason::ProviderUnavailable });
const NOT_SET_UP: Result<(), LoginError> = Err(LoginError { reason: Reason::SignInNotSetUp });

#[tokio::test]
async fn documents_that_must_not_be_believed() {
    let lies: Vec<Value> = vec![
        json!({"issuer": "https://idp.example.com/dex/"}),
        json!({"issuer": "https://IDP.example.com/dex"}),
        json!({"issuer": "https://evil.example.com"}),
        json!({"issuer": null}),
        json!({"authorization_endpoint": "http://idp.example.com/dex/auth"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"token_endpoint": "http://idp.example.com/dex/token"}),
        json!({"token_endpoint": null}),
        json!({"userinfo_endpoint": "http://idp.example.com/dex/userinfo"}),
        json!({"jwks_uri": "http://idp.example.com/dex/keys"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"code_challenge_methods_supported": ["plain"]}),
        json!({"code_challenge_methods_supported": []}),
        json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    ];
    for lie in lies {
        let world = World::new();
        world.provider.tell(Lies::discovery(lie.clone()));
        assert_eq!(begin(&world).await, NOT_SET_UP, "{lie}");
    }
    let world = World::new();
    let twice = format!("{{\"issuer\":\"{ISSUER}\",\"issuer\":\"{ISSUER}\"}}");
    world.provider.tell(Lies { bodies: [(DOCUMENT, twice)].into(), ..Lies::default() });
    assert_eq!(begin(&world).await, NOT_SET_UP);
}

#[tokio::test]
async fn endpoints_that_no_client_can_call_are_not_believed() {
    for endpoint in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"] {
        for url in unusable() {
            let world = World::new();
            world.provider.tell(Lies::discovery(json!({endpoint: url})));
            assert_eq!(begin(&world).await, NOT_SET_UP, "{endpoint}: {url:.60}");
        }
    }
}

#[tokio::test]
async fn keys_are_not_fetched_over_http() {
    let world = World::new();
    world.provider.tell(Lies::discovery(json!({"jwks_uri": "http://idp.example.com/dex/keys"})));
    assert_eq!(begin(&world).await, NOT_SET_UP);
    assert_eq!((world.provider.calls(DOCUMENT), world.provider.calls("/keys")), (1, 0));
}

#[tokio::test]
async fn a_document_that_says_nothing_of_pkce_is_fine_and_http_needs_a_word() {
    let world = World::new();
    world.provider.tell(Lies::discovery(json!({"code_challenge_methods_supported": null})));
    assert_eq!(begin(&world).await, Ok(()));

    let world = World::with(|config| config.allow_http = true, Limits::default());
    world.provider.tell(Lies::discovery(json!({"token_endpoint": "http://idp.example.com/dex/token"})));
    assert_eq!(begin(&world).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn sign_in_works_once_the_provider_is_up() {
    let world = World::new();
    world.provider.tell(Lies { statuses: [(DOCUMENT, StatusCode::BAD_GATEWAY)].into(), ..Lies::default() });
    assert_eq!(begin(&world).await, UNAVAILABLE);
    assert_eq!(world.oidc.providers.known().map(|(_, known)| known).collect::<Vec<_>>(), [false]);

    // Within the next second nobody waits, and nobody asks.
    let calls = world.provider.calls(DOCUMENT);
    for _ in 0..100 {
        assert_eq!(begin(&world).await, UNAVAILABLE);
    }
    assert_eq!(world.provider.calls(DOCUMENT), calls);

    world.provider.tell(Lies::default());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(begin(&world).await, Ok(()));
    assert_eq!(world.oidc.providers.known().map(|(_, known)| known).collect::<Vec<_>>(), [true]);
}

#[tokio::test(start_paused = true)]
async fn discovery_recovers_by_itself() {
    let world = World::new();
    world.provider.tell(Lies { statuses: [(DOCUMENT, StatusCode::BAD_GATEWAY)].into(), ..Lies::default() });
    tokio::time::sleep(Duration::from_mins(5)).await;
    let calls = world.provider.calls(DOCUMENT);
    assert!((6..=12).contains(&calls), "retries back off: {calls} in five minutes");
    world.provider.tell(Lies::default());
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(world.oidc.providers.known().all(|(_, known)| known));
}

#[tokio::test(start_paused = true)]
async fn one_attempt_serves_all_who_wait() {
    let world = World::new();
    let starts = futures::future::join_all((0..50).map(|_| begin(&world))).await;
    assert!(starts.into_iter().all(|start| start == Ok(())));
    assert_eq!((world.provider.calls(DOCUMENT), world.provider.calls("/keys")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_kept_while_refreshing_fails() {
    let world = World::new();
    assert_eq!(begin(&world).await, Ok(()));
    world.provider.tell(Lies::discovery(json!({"issuer": "https://evil.example.com"})));
    tokio::time::sleep(Duration::from_hours(3)).await;
    assert!(world.provider.calls(DOCUMENT) > 10);
    assert_eq!(signed_in(&world.sign_in_with(Lies::default()).await), "/");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_keeps_nobody_for_long() {
    let world = World::new();
    world.provider.tell(Lies { hanging: vec![DOCUMENT], ..Lies::default() });
    let within = |seconds| tokio::time::timeout(Duration::from_secs(seconds), begin(&world));
    assert_eq!(within(6).await, Ok(UNAVAILABLE));
    // Once it has failed, people wait for two seconds at most.
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(within(3).await, Ok(UNAVAILABLE));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_was_known_of_the_same_provider() {
    let world = World::new();
    assert_eq!(begin(&world).await, Ok(()));
    world.provider.tell(Lies { statuses: [(DOCUMENT, StatusCode::BAD_GATEWAY)].into(), ..Lies::default() });
    let reload = |provider: ProviderConfig| {
        let config = Config { providers: vec![provider], limits: Limits::default() };
        let metrics = Metrics::register(&mut Registry::default());
        let (keys, sessions) = (world.keys.clone(), world.sessions.clone());
        Oidc::new(config, keys, sessions, world.clock.clone(), metrics, Some(&world.oidc)).unwrap()
    };
    let same = reload(provider_config(&world.provider));
    assert!(same.sign_in.begin(&world.origin, ReturnTarget::root(), &[], 0, LoginAsk::nothing()).await.is_ok());
    let other =
        reload(ProviderConfig { issuer: "https://other.example.com".to_owned(), ..provider_config(&world.provider) });
    assert!(other.sign_in.begin(&world.origin, ReturnTarget::root(), &[], 0, LoginAsk::nothing()).await.is_err());
}

#[tokio::test]
async fn configurations_that_are_refused() {
    let world = World::new();
    let refusal = |edit: fn(&mut ProviderConfig)| {
        let mut provider = provider_config(&world.provider);
        edit(&mut provider);
        refused(&world, vec![provider])
    };
    for issuer in ["", "idp", "ftp://idp", "https://idp/?a=b", "https://idp/#a", "data:text/plain,a", "https://{t}.idp"]
    {
        let mut provider = provider_config(&world.provider);
        issuer.clone_into(&mut provider.issuer);
        assert!(matches!(refused(&world, vec![provider]), ConfigError::Issuer { .. }), "{issuer}");
    }
    let insecure = refusal(|provider| provider.issuer = "http://idp".to_owned());
    assert!(matches!(insecure, ConfigError::InsecureIssuer { .. }));
    let careless = refusal(|provider| provider.claims.trust_unverified_email = true);
    assert!(matches!(careless, ConfigError::UnverifiedEmail { .. }));
    let twice = refused(&world, vec![provider_config(&world.provider), provider_config(&world.provider)]);
    assert!(matches!(twice, ConfigError::Repeated { .. }));
}

fn refused(world: &World, providers: Vec<ProviderConfig>) -> ConfigError {
    let config = Config { providers, limits: Limits::default() };
    let metrics = Metrics::register(&mut Registry::default());
    Oidc::new(config, world.keys.clone(), world.sessions.clone(), world.clock.clone(), metrics, None).unwrap_err()
}

#[tokio::test]
async fn debug_output_holds_no_secret() {
    let world = World::new();
    assert!(!format!("{:?}", world.oidc).contains(CLIENT_SECRET));
}

#[tokio::test]
async fn a_document_may_lie_elsewhere_and_its_endpoints_be_written_down() {
    let elsewhere = |config: &mut ProviderConfig| {
        config.discovery_url = Some("https://inner.example.com/dex/well-known?p=policy".to_owned());
        config.endpoints.token = Some("https://inner.example.com/dex/token".to_owned());
        config.endpoints.end_session = Some("https://inner.example.com/v2/logout".to_owned());
    };
    let world = World::with(elsewhere, Limits::default());
    let document = |issuer: &str| {
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{ISSUER}/auth"),
            "jwks_uri": format!("{ISSUER}/keys"),
            "id_token_signing_alg_values_supported": ["ES256"],
        })
        .to_string()
    };
    let lies = |issuer: &str| Lies { bodies: [("/well-known", document(issuer))].into(), ..Lies::default() };
    world.provider.tell(Lies { statuses: [("/well-known", StatusCode::OK)].into(), ..lies(ISSUER) });
    assert_eq!(begin(&world).await, Ok(()));
    let ends_at = world.oidc.rp_initiated_logout.end_session_endpoint(&world.origin).unwrap();
    assert_eq!(ends_at.as_str(), "https://inner.example.com/v2/logout");
    // The attack beside it: whose document it is, it says itself.
    let world = World::with(elsewhere, Limits::default());
    let lies = Lies { statuses: [("/well-known", StatusCode::OK)].into(), ..lies("https://evil.example.com") };
    world.provider.tell(lies);
    assert_eq!(begin(&world).await, NOT_SET_UP);
}

#[tokio::test]
async fn places_that_are_written_down_can_be_called() {
    let world = World::new();
    for url in unusable() {
        let mut provider = provider_config(&world.provider);
        provider.endpoints.jwks = Some(url.clone());
        assert!(matches!(refused(&world, vec![provider]), ConfigError::Endpoint { .. }), "{url:.60}");
    }
    let mut provider = provider_config(&world.provider);
    provider.claims.email_claim = "upn".to_owned();
    assert!(matches!(refused(&world, vec![provider]), ConfigError::EmailClaim { .. }));
}
