use std::collections::HashMap;

use reqwest::StatusCode;
use serde_json::json;
use url::Url;

use super::*;
use crate::faults::{Fault, edit};
use crate::http::plain_client;
use crate::jwt;

const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-of-pkce";
const REDIRECT: &str = "https://app.test/callback";

/// Signs alice in, and gives what the client is sent back with.
async fn callback(provider: &Provider) -> HashMap<String, String> {
    let challenge = jwt::pkce_challenge(VERIFIER);
    let request = [
        ("client_id", "portcullis"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "a state & more"),
        ("nonce", "n1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let client = plain_client().unwrap();
    let url = Url::parse_with_params(&provider.shared.url("/authorize"), request).unwrap();
    let page = client.get(url).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("value=\"a state &amp; more\""), "{page}");
    assert!(page.contains("alice@example.com"), "{page}");

    let form: Vec<_> = request.into_iter().chain([("user", "alice")]).collect();
    let login = form_post(&client, &provider.shared.url("/login"), &form).await;
    assert_eq!(login.status(), StatusCode::SEE_OTHER);
    let location = login.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(REDIRECT), "{location}");
    let location = Url::parse(location).unwrap();
    location.query_pairs().into_owned().collect()
}

async fn form_post(client: &reqwest::Client, url: &str, form: &[(&str, &str)]) -> reqwest::Response {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded");
    request.body(body).send().await.unwrap()
}

async fn exchange(provider: &Provider, code: &str, verifier: &str) -> (StatusCode, Value) {
    let secret = provider.client().secret.unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier),
        ("client_id", "portcullis"),
        ("client_secret", &secret),
    ];
    let client = plain_client().unwrap();
    let answer = form_post(&client, &provider.shared.url("/token"), &form).await;
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn an_honest_sign_in_works_once() {
    let provider = Provider::start(Settings::default()).await.unwrap();
    let back = callback(&provider).await;
    assert_eq!(back["state"], "a state & more");
    assert_eq!(back["iss"], provider.issuer());

    let (status, answer) = exchange(&provider, &back["code"], VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let claims = jwt::claims(answer["id_token"].as_str().unwrap()).unwrap();
    assert_eq!(claims["nonce"], "n1");
    assert_eq!(claims["email"], "alice@example.com");
    assert_eq!(claims["groups"], json!(["team-a", "everyone"]));

    let (status, answer) = exchange(&provider, &back["code"], VERIFIER).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    assert_eq!(provider.calls().token, 2);
}

#[tokio::test]
async fn another_verifier_gets_nothing() {
    let provider = Provider::start(Settings::default()).await.unwrap();
    let back = callback(&provider).await;
    let (status, _) = exchange(&provider, &back["code"], "another").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn it_lies_as_told() {
    let provider = Provider::start(Settings::default()).await.unwrap();
    provider.lie(|faults| {
        faults.edit_claims = edit(|claims| claims["iss"] = "https://evil.test".into());
        faults.edit_callback = edit(|answer| answer["iss"] = "https://evil.test".into());
        faults.signature = Signature::Unsigned;
        faults.jwks = Fault::Status(500);
    });
    let back = callback(&provider).await;
    assert_eq!(back["iss"], "https://evil.test");
    let (_, answer) = exchange(&provider, &back["code"], VERIFIER).await;
    let token = answer["id_token"].as_str().unwrap();
    assert_eq!(jwt::claims(token).unwrap()["iss"], "https://evil.test");
    assert_eq!(jwt::header(token).unwrap()["alg"], "none");
    assert!(token.ends_with('.'));

    let client = plain_client().unwrap();
    let jwks = client.get(provider.shared.url("/jwks"));
    let jwks = jwks.send().await.unwrap();
    assert_eq!(jwks.status(), StatusCode::INTERNAL_SERVER_ERROR);
    provider.be_honest();
    provider.rotate_keys(Algorithm::Rs256, true).unwrap();
    let jwks = client.get(provider.shared.url("/jwks"));
    let jwks: Value = jwks.send().await.unwrap().json().await.unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_scope_that_it_does_not_know_is_answered_in_its_way() {
    let asked = async |scopes: Scopes| {
        let ways = Ways { scopes, issuer_path: "/realm", ..Ways::default() };
        let provider = Provider::start(Settings { ways, ..Settings::default() }).await.unwrap();
        assert_eq!(provider.issuer(), provider.url("/realm"));
        let request = [
            ("client_id", "portcullis"),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid groups"),
            ("state", "s"),
            ("code_challenge", "c"),
            ("code_challenge_method", "S256"),
        ];
        let url = Url::parse_with_params(&provider.url("/authorize"), request).unwrap();
        let answer = plain_client().unwrap().get(url).send().await.unwrap();
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), location)
    };
    assert_eq!(asked(Scopes::Any).await.0, StatusCode::OK);
    assert_eq!(asked(Scopes::StaysThere(&["openid"])).await, (StatusCode::BAD_REQUEST, None));
    let (status, location) = asked(Scopes::SendsBack(&["openid"])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let back = Url::parse(&location.unwrap()).unwrap();
    let back: HashMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("invalid_scope", "s"));
    assert_eq!(asked(Scopes::SendsBack(&["openid", "groups"])).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_token_is_for_those_that_its_ways_say() {
    let after_sign_in = async |refresh: RefreshFor, rotates: bool| {
        let ways = Ways { refresh, rotates, ..Ways::default() };
        let settings = Settings { refresh_tokens: true, ways, ..Settings::default() };
        let provider = Provider::start(settings).await.unwrap();
        let back = callback(&provider).await;
        let (_, answer) = exchange(&provider, &back["code"], VERIFIER).await;
        let token = answer["refresh_token"].as_str().map(str::to_owned)?;
        let secret = provider.client().secret.unwrap();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
            ("client_id", "portcullis"),
            ("client_secret", secret.as_str()),
        ];
        let answer = form_post(&plain_client().unwrap(), &provider.url("/token"), &form).await;
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(provider.refresh_tokens(), 1);
        assert!(jwt::claims(answer["id_token"].as_str().unwrap()).unwrap()["nonce"].is_null());
        Some(answer["refresh_token"].as_str().is_some_and(|another| another != token))
    };
    assert_eq!(after_sign_in(RefreshFor::Everybody, true).await, Some(true));
    assert_eq!(after_sign_in(RefreshFor::Everybody, false).await, Some(false));
    assert_eq!(after_sign_in(RefreshFor::Scope("email"), true).await, Some(true));
    assert_eq!(after_sign_in(RefreshFor::Scope("offline_access"), true).await, None);
    assert_eq!(after_sign_in(RefreshFor::Parameters(&[("access_type", "offline")]), true).await, None);
}

#[tokio::test]
async fn a_session_ends_as_its_ways_say() {
    let ended = async |query: &str| {
        let end_session = EndSession { redirect_parameter: "logout_uri", wants: &["client_id"], brings_state: false };
        let mut settings = Settings { ways: Ways { end_session, ..Ways::default() }, ..Settings::default() };
        settings.clients[0].post_logout_redirect_uris = vec!["https://app.test/out".to_owned()];
        let provider = Provider::start(settings).await.unwrap();
        let answer = plain_client().unwrap().get(provider.url(&format!("/end-session?{query}"))).send().await.unwrap();
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), location)
    };
    let back = Some("https://app.test/out".to_owned());
    assert_eq!(ended("client_id=a&state=s&logout_uri=https://app.test/out").await, (StatusCode::SEE_OTHER, back));
    for wrong in ["logout_uri=https://app.test/out", "client_id=a&logout_uri=https://app.test/other"] {
        assert_eq!(ended(wrong).await, (StatusCode::BAD_REQUEST, None), "{wrong}");
    }
}
