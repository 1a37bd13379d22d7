//! A provider that lies signs nobody in: every wrong thing that it can say, one a row, through the whole process.
//!
//! Each row names the answer, its reason, and how often the provider is asked. No session begins and no identity is
//! passed on; the same sign-in at the honest provider succeeds, in the same run.
#![expect(clippy::unwrap_used, reason = "a panic fails the test and shows what its children wrote")]

mod lying_provider {
    pub(crate) mod ground;
    pub(crate) mod honest;
    pub(crate) mod ignored;
    pub(crate) mod keys;
    pub(crate) mod urls;
}

use std::sync::Arc;
use std::time::Duration;

use portcullis_integration::faults::{Fault, edit};
use portcullis_integration::jwt::{self, Algorithm, SigningKey};
use portcullis_integration::provider::{Faults, Provider, Settings, Signature, forge};
use portcullis_integration::visitor::path_and_query;
use serde_json::{Value, json};
use url::Url;

use self::lying_provider::ground::{Lie, claim, lie, no_login_begins_with, nobody_is_signed_in_by};

/// More than any answer may have.
const TOO_MUCH: usize = 10 << 20;

/// Lies by a claim of the ID token.
fn says(name: &'static str, value: Value) -> Lie {
    lie(format!("{name} is {value}"), move |faults| faults.edit_claims = claim(name, value.clone()))
}

/// Lies by a date of the ID token, so many seconds from now.
fn dated(name: &'static str, from_now: i64) -> Lie {
    lie(format!("{name} is {from_now} s from now"), move |faults| {
        faults.edit_claims = edit(move |claims| claims[name] = json!(jwt::now() + from_now));
    })
}

#[tokio::test]
async fn an_id_token_with_lying_claims_signs_nobody_in() {
    let refused = |lie: Lie| lie.refused("id_token_invalid");
    let lies: Vec<Lie> = [
        says("iss", json!("https://evil.test")),
        lie("iss ends with a slash", |faults| {
            faults.edit_claims = edit(|claims| claims["iss"] = format!("{}/", claims["iss"].as_str().unwrap()).into());
        }),
        says("aud", json!(null)),
        says("aud", json!("another-client")),
        says("aud", json!("Portcullis")),
        says("aud", json!([])),
        says("aud", json!(["portcullis", "another-client"])),
        lie("two audiences, and azp is another", |faults| {
            faults.edit_claims = edit(|claims| {
                claims["aud"] = json!(["portcullis", "another-client"]);
                claims["azp"] = json!("another-client");
            });
        }),
        lie("azp is us, and the audience another", |faults| {
            faults.edit_claims = edit(|claims| {
                claims["aud"] = json!(["another-client"]);
                claims["azp"] = json!("portcullis");
            });
        }),
        says("azp", json!("another-client")),
        says("azp", json!("")),
        says("nonce", json!("another-nonce")),
        says("nonce", json!("")),
        says("nonce", json!(null)),
        says("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        says("at_hash", json!("")),
        lie("at_hash of another access token", |faults| {
            faults.edit_token = edit(|answer| answer["access_token"] = json!("another"));
        }),
        dated("exp", -61),
        dated("exp", -86_400),
        says("exp", json!(0)),
        dated("iat", 86_400),
        dated("iat", -12 * 60),
        says("iat", json!(0)),
        dated("nbf", 86_400),
        says("iss", json!(null)),
        says("iss", json!("")),
        says("iss", json!(["https://evil.test"])),
        says("sub", json!(null)),
        says("sub", json!(7)),
        says("aud", json!({ "portcullis": true })),
        says("exp", json!(null)),
        says("exp", json!("never")),
        says("iat", json!(null)),
        says("nonce", json!(["a"])),
    ]
    .map(refused)
    .into();
    nobody_is_signed_in_by(lies).await;
}

/// Lies by a member of the ID token's header.
fn headed(name: &'static str, value: Value) -> Lie {
    lie(format!("the header's {name} is {value:.40}"), move |faults| faults.edit_header = claim(name, value.clone()))
}

/// Lies by how the ID token is made.
fn made(
    what: &'static str,
    make: impl Fn(&SigningKey, &Value, &Value) -> String + Clone + Send + Sync + 'static,
) -> Lie {
    lie(what, move |faults| faults.forge = forge(make.clone()))
}

fn signed(what: &'static str, signature: Signature) -> Lie {
    lie(what, move |faults| faults.signature = signature)
}

#[tokio::test]
async fn an_id_token_that_is_not_signed_as_published_signs_nobody_in() {
    let refused = |lie: Lie| lie.refused("id_token_invalid");
    // Newer keys could verify these: they are fetched, once.
    let fetched = |lie: Lie| lie.fetches_keys(1);
    let with = |header: &Value, name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header.to_string()
    };
    let secret = Provider::start(Settings::default()).await.unwrap().client().secret.unwrap();
    let for_encryption = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let mut encryption_key = for_encryption.jwk();
    encryption_key["use"] = json!("enc");
    let mut lies: Vec<Lie> = [
        fetched(signed("an unknown key under the published kid", Signature::UnknownKey)),
        signed("no signature, alg none", Signature::Unsigned),
        signed("HS256 keyed with the public key", Signature::PublicKeyAsSecret),
        fetched(signed("r = s = 0", Signature::Zeros)),
        fetched(made("the published alg, and no signature", |_, header, claims| {
            jwt::unsigned(header.to_string().as_bytes(), claims.to_string().as_bytes(), b"")
        })),
        made("HS256 keyed with the client secret", move |_, header, claims| {
            let header = with(header, "alg", json!("HS256"));
            jwt::hmac_signed(secret.as_bytes(), header.as_bytes(), claims.to_string().as_bytes())
        }),
        fetched(made("a key of its own, brought along as jwk", move |_, header, claims| {
            let own = SigningKey::generate(Algorithm::Es256).unwrap();
            own.sign_bytes(with(header, "jwk", own.jwk()).as_bytes(), claims.to_string().as_bytes()).unwrap()
        })),
        made("RS256 under the kid of an ES256 key", |key, _, claims| {
            let header = json!({ "alg": "RS256", "kid": key.kid() });
            key.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap()
        }),
        fetched(made("one bit of the signature turned", |key, header, claims| {
            let token = key.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap();
            let (rest, signature) = token.rsplit_once('.').unwrap();
            let turned = if signature.starts_with('A') { 'B' } else { 'A' };
            format!("{rest}.{turned}{}", &signature[1..])
        })),
        fetched(made("claims of a token that was signed before", |key, header, claims| {
            let token = key.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap();
            let mut other = claims.clone();
            other["email"] = json!("bob@example.com");
            let other = jwt::unsigned(header.to_string().as_bytes(), other.to_string().as_bytes(), b"");
            format!("{}{}", other.trim_end_matches('.'), &token[token.rfind('.').unwrap()..])
        })),
        made("HS256 keyed with a secret among the published keys", |_, _, claims| {
            let header = json!({ "alg": "HS256", "kid": "shared" });
            jwt::hmac_signed(b"a secret that is none", header.to_string().as_bytes(), claims.to_string().as_bytes())
        })
        .publishes(json!({ "kty": "oct", "kid": "shared", "alg": "HS256", "k": "YSBzZWNyZXQgdGhhdCBpcyBub25l" })),
        fetched(
            made("a published key that is for encryption", move |_, _, claims| for_encryption.sign(claims).unwrap())
                .publishes(encryption_key),
        ),
        fetched(headed("kid", json!("another"))),
        fetched(headed("kid", json!("../../x"))),
        headed("typ", json!("at+jwt")),
        headed("typ", json!("logout+jwt")),
        headed("crit", json!(["b64"])),
        headed("b64", json!(false)),
        headed("zip", json!("DEF")),
        headed("alg", json!("ES512")),
        headed("cty", json!("JWT")),
    ]
    .map(refused)
    .into();
    let too_long = lie("300 KiB", |faults| faults.edit_claims = claim("filler", json!("x".repeat(300 << 10))));
    lies.push(too_long.unavailable("provider_answer_invalid"));
    lies.extend(
        [
            made("alg nOnE", move |_, header, claims| {
                jwt::unsigned(with(header, "alg", json!("nOnE")).as_bytes(), claims.to_string().as_bytes(), b"")
            }),
            made("email said twice", |key, header, claims| {
                let claims = claims.to_string();
                let claims = format!("{},\"email\":\"bob@example.com\"}}", claims.strip_suffix('}').unwrap());
                key.sign_bytes(header.to_string().as_bytes(), claims.as_bytes()).unwrap()
            }),
            made("alg said twice", |key, header, claims| {
                let header = header.to_string();
                let header = format!("{},\"alg\":\"none\"}}", header.strip_suffix('}').unwrap());
                key.sign_bytes(header.as_bytes(), claims.to_string().as_bytes()).unwrap()
            }),
            headed("alg", json!("")),
            made("five parts: encrypted", |_, _, _| "a.b.c.d.e".to_owned()),
            made("one part", |_, _, _| "token".to_owned()),
            made("nothing", |_, _, _| String::new()),
            made("JSON instead of base64url", |_, header, claims| format!("{header}.{claims}.x")),
        ]
        .map(refused),
    );
    nobody_is_signed_in_by(lies).await;
}

#[tokio::test]
async fn claims_that_name_nobody_sign_nobody_in() {
    let lies = [
        says("email_verified", json!(false)),
        says("email_verified", json!("true")),
        says("email", json!("a@x@example.com")),
        says("email", json!("alice@example.com,bob@example.com")),
        says("email", json!("\u{212a}elvin@example.com")),
        says("email", json!("alice@example.com\r\nkubeflow-userid: bob@example.com")),
        says("email", json!("")),
        says("email", json!(format!("{}@example.com", "a".repeat(250)))),
        says("sub", json!("")),
        says("sub", json!("a\nb")),
        says("sub", json!("a".repeat(256))),
        says("email_verified", json!(1)),
        says("email", json!(["alice@example.com"])),
    ];
    nobody_is_signed_in_by(lies.map(|lie| lie.refused("identity_unusable")).into()).await;
}

fn tokens(what: &'static str, fault: Fault) -> Lie {
    lie(what, move |faults| faults.token = fault.clone())
}

/// Lies by a member of the token endpoint's answer.
fn answers(name: &'static str, value: Value) -> Lie {
    lie(format!("the answer's {name} is {value}"), move |faults| faults.edit_token = claim(name, value.clone()))
}

#[tokio::test]
async fn a_lying_token_endpoint_signs_nobody_in() {
    // Whoever follows a redirect brings the code and the client's secret there.
    let thief = Provider::start(Settings::default()).await.unwrap();
    let elsewhere = format!("{}/token", thief.issuer());
    let unusable = |lie: Lie| lie.unavailable("provider_answer_invalid");
    let down = |lie: Lie| lie.unavailable("provider_unavailable");
    let html = "text/html";
    let error = |error: &str| json!({ "error": error }).to_string();
    let mut lies: Vec<Lie> = [
        tokens("302 to elsewhere", Fault::Redirect(elsewhere.clone())),
        tokens("307 to elsewhere", Fault::TemporaryRedirect(elsewhere)),
        tokens("201", Fault::Answer(201, "application/json", "{}".to_owned())),
        tokens("204", Fault::Answer(204, "application/json", String::new())),
        tokens("400 and a page", Fault::Answer(400, html, "<h1>No</h1>".to_owned())),
        tokens("401", Fault::Status(401)),
        tokens("403", Fault::Status(403)),
        tokens("404", Fault::Status(404)),
        tokens("200 and an error", Fault::Body(error("invalid_grant"))),
        tokens("a page", Fault::Answer(200, html, "<h1>Yes</h1>".to_owned())),
        tokens("no JSON", Fault::Body("{\"access_token\":".to_owned())),
        tokens("an array", Fault::Body("[]".to_owned())),
        tokens("null", Fault::Body("null".to_owned())),
        tokens("nothing", Fault::Body(String::new())),
        tokens("deeply nested", Fault::Body("[".repeat(100_000))),
        tokens("10 MiB", Fault::Huge(TOO_MUCH)),
        tokens("1 TiB announced", Fault::Announced(1 << 40)),
        tokens("endless", Fault::Endless),
        tokens("half of it announced and sent", Fault::TooShort),
        tokens("compressed", Fault::Gzip),
        tokens("2 MiB compressed to little", Fault::GzipBomb(2 << 20)),
        tokens("of the type of a page", Fault::ContentType("text/html")),
        tokens("of the type of a JWT", Fault::ContentType("application/jwt")),
        tokens("id_token said twice", Fault::Twice("id_token", json!("x"))),
        tokens("access_token said twice", Fault::Twice("access_token", json!("x"))),
        tokens("token_type said twice", Fault::Twice("token_type", json!("Bearer"))),
        lie("a member that nobody knows said twice", |faults| {
            faults.edit_token = claim("x", json!(1));
            faults.token = Fault::Twice("x", json!(2));
        }),
        tokens("something behind it", Fault::Behind("{}")),
        tokens("a byte order mark before it", Fault::Before("\u{feff}")),
        answers("id_token", json!(null)),
        answers("id_token", json!(7)),
        answers("id_token", json!([])),
        answers("access_token", json!(null)),
        answers("access_token", json!(["a"])),
        answers("token_type", json!(null)),
        answers("token_type", json!(7)),
    ]
    .map(unusable)
    .into();
    lies.extend(
        [
            tokens("429", Fault::RetryAfter(429, "3600".to_owned())),
            tokens("500", Fault::Status(500)),
            tokens("502", Fault::Status(502)),
            tokens("503", Fault::RetryAfter(503, "soon".to_owned())),
            tokens("half of it, then the connection ends", Fault::Truncated),
            tokens("a header of 1 MiB", Fault::HugeHeader(1 << 20)),
            tokens("10,000 headers", Fault::Headers(10_000)),
        ]
        .map(down),
    );
    let refused = Fault::Answer(400, "application/json", error("invalid_grant"));
    lies.push(tokens("invalid_grant", refused).refused("provider_denied"));
    // What is wrong for everybody.
    let of_us = |what, status| tokens(what, Fault::Answer(status, "application/json", error(what)));
    lies.extend(
        [of_us("invalid_client", 401), of_us("unauthorized_client", 400), of_us("invalid_scope", 400)]
            .map(|lie| lie.unavailable("sign_in_not_set_up")),
    );
    nobody_is_signed_in_by(lies).await;
    assert_eq!(thief.calls(), <_>::default(), "something went elsewhere");
}

fn userinfo(what: &'static str, fault: Fault) -> Lie {
    lie(what, move |faults| faults.userinfo = fault.clone())
}

/// Lies by a claim of userinfo.
fn tells(name: &'static str, value: Value) -> Lie {
    lie(format!("userinfo's {name} is {value}"), move |faults| faults.edit_userinfo = claim(name, value.clone()))
}

/// Claims of userinfo as a JWT (OpenID Connect Core section 5.3.2).
fn as_jwt(what: &'static str, make: impl Fn(&Value) -> String) -> Lie {
    let claims = json!({ "sub": "subject-of-alice", "email": "bob@example.com", "email_verified": true, "groups": [] });
    userinfo(what, Fault::Answer(200, "application/jwt", make(&claims)))
}

#[tokio::test]
async fn a_lying_userinfo_signs_nobody_in() {
    let thief = Provider::start(Settings::default()).await.unwrap();
    let elsewhere = format!("{}/userinfo", thief.issuer());
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let unusable = |lie: Lie| lie.asks_userinfo().unavailable("provider_answer_invalid");
    let down = |lie: Lie| lie.asks_userinfo().unavailable("provider_unavailable");
    let nobody = |lie: Lie| lie.asks_userinfo().refused("identity_unusable");
    let mut lies: Vec<Lie> = [
        tells("sub", json!("subject-of-bob")),
        tells("sub", json!("Subject-of-alice")),
        tells("sub", json!("subject-of-alice ")),
        tells("sub", json!("")),
        tells("sub", json!(null)),
        tells("sub", json!(["subject-of-alice"])),
        userinfo("sub said twice", Fault::Twice("sub", json!("subject-of-bob"))),
        userinfo("email said twice", Fault::Twice("email", json!("bob@example.com"))),
        userinfo("groups said twice", Fault::Twice("groups", json!(["admins"]))),
        userinfo("302 to elsewhere", Fault::Redirect(elsewhere.clone())),
        userinfo("307 to elsewhere", Fault::TemporaryRedirect(elsewhere)),
        userinfo("401", Fault::Status(401)),
        userinfo("403", Fault::Status(403)),
        userinfo("204", Fault::Answer(204, "application/json", String::new())),
        userinfo("no JSON", Fault::Body("sub=subject-of-alice".to_owned())),
        userinfo("an array", Fault::Body("[]".to_owned())),
        userinfo("nothing", Fault::Body(String::new())),
        userinfo("10 MiB", Fault::Huge(TOO_MUCH)),
        userinfo("1 TiB announced", Fault::Announced(1 << 40)),
        userinfo("endless", Fault::Endless),
        userinfo("half of it announced and sent", Fault::TooShort),
        userinfo("compressed", Fault::Gzip),
        userinfo("2 MiB compressed to little", Fault::GzipBomb(2 << 20)),
        userinfo("of the type of a page", Fault::ContentType("text/html")),
        as_jwt("an unsigned JWT", |claims| jwt::unsigned(br#"{"alg":"none"}"#, claims.to_string().as_bytes(), b"")),
        as_jwt("a JWT of a stranger", move |claims| stranger.sign(claims).unwrap()),
        as_jwt("plain JSON that claims to be a JWT", Value::to_string),
    ]
    .map(unusable)
    .into();
    // With such an access token nobody can be asked.
    lies.extend(
        [
            lie("an access token that is no header's value", |faults| {
                faults.edit_claims = claim("at_hash", json!(null));
                faults.edit_token = edit(|answer| answer["access_token"] = json!("a\r\nX-Evil: b"));
            }),
            lie("an access token that is no bearer's", |faults| {
                faults.edit_token = edit(|answer| answer["token_type"] = json!("mac"));
            }),
        ]
        .map(|lie| unusable(lie).calls(1, 0)),
    );
    lies.extend(
        [
            userinfo("429", Fault::RetryAfter(429, "3600".to_owned())),
            userinfo("500", Fault::Status(500)),
            userinfo("503", Fault::RetryAfter(503, "0".to_owned())),
            userinfo("half of it, then the connection ends", Fault::Truncated),
            userinfo("a header of 1 MiB", Fault::HugeHeader(1 << 20)),
        ]
        .map(down),
    );
    lies.extend(
        [
            tells("email_verified", json!(false)),
            tells("email_verified", json!("true")),
            tells("email_verified", json!(null)),
            tells("email", json!(null)),
            tells("email", json!("a@x@example.com")),
            lie("its voucher is for the address of the ID token", |faults| {
                faults.edit_claims = claim("email", json!("bob@example.com"));
                faults.edit_userinfo = claim("email", json!(null));
            }),
        ]
        .map(nobody),
    );
    nobody_is_signed_in_by(lies).await;
    assert_eq!(thief.calls(), <_>::default(), "something went elsewhere");
}

/// The callback with a parameter set to these values, in their order; none removes it.
fn with(name: &'static str, values: Vec<String>) -> impl Fn(&Url) -> String + Send + Sync {
    move |callback| {
        let mut edited = callback.clone();
        let kept: Vec<_> = callback.query_pairs().filter(|(key, _)| key != name).collect();
        edited.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(values.iter().map(|value| (name, value)));
        path_and_query(&edited)
    }
}

/// The browser brings something else than the provider said, or the provider says something else.
fn brings(what: &'static str, name: &'static str, values: &[&str]) -> Lie {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    lie(what, |_: &mut Faults| ()).back(with(name, values)).calls(0, 0)
}

#[tokio::test]
async fn a_lying_answer_at_the_callback_signs_nobody_in() {
    let long = "c".repeat(5000);
    let mut lies: Vec<Lie> = [
        brings("iss of another", "iss", &["https://evil.test"]),
        brings("no iss, which the provider promised", "iss", &[]),
        brings("an empty iss", "iss", &[""]),
    ]
    .map(|lie| lie.refused("provider_mix_up"))
    .into();
    lies.push(
        lie("the provider itself says another iss", |faults| {
            faults.edit_callback = edit(|answer| answer["iss"] = json!("https://evil.test"));
        })
        .calls(0, 0)
        .refused("provider_mix_up"),
    );
    lies.extend(
        [
            brings("no state", "state", &[]),
            brings("an empty state", "state", &[""]),
            brings("a made-up state", "state", &["AAAAAAAAAAAAAAAA"]),
            brings("code twice", "code", &["a", "b"]),
            brings("iss twice", "iss", &["https://evil.test", "https://evil.test"]),
            brings("error twice", "error", &["a", "b"]),
            lie("state twice", |_| ()).calls(0, 0).back(|callback| {
                let (_, state) = callback.query_pairs().find(|(name, _)| name == "state").unwrap();
                with("state", vec![state.to_string(), state.to_string()])(callback)
            }),
            lie("a state of which one byte is another", |_| ()).calls(0, 0).back(|callback| {
                let (_, state) = callback.query_pairs().find(|(name, _)| name == "state").unwrap();
                let turned = if state.ends_with('A') { 'Q' } else { 'A' };
                with("state", vec![format!("{}{turned}", &state[..state.len() - 1])])(callback)
            }),
        ]
        .map(|lie| lie.bad("state_invalid")),
    );
    lies.extend(
        [
            brings("no code", "code", &[]),
            brings("an empty code", "code", &[""]),
            brings("a code of 5000 bytes", "code", &[long.as_str()]),
            brings("a code that holds a line's end", "code", &["a\r\nX-Evil: b"]),
        ]
        .map(|lie| lie.unavailable("provider_answer_invalid")),
    );
    lies.extend(
        [
            brings("access_denied beside a code", "error", &["access_denied"]),
            brings("an error that holds a line's end", "error", &["x\r\nSet-Cookie: a=b"]),
            brings("an empty error", "error", &[""]),
        ]
        .map(|lie| lie.refused("provider_denied")),
    );
    lies.push(
        brings("temporarily_unavailable", "error", &["temporarily_unavailable"]).unavailable("provider_unavailable"),
    );
    lies.push(brings("invalid_scope", "error", &["invalid_scope"]).unavailable("sign_in_not_set_up"));
    lies.push(brings("a made-up code", "code", &["made-up"]).calls(1, 0).refused("provider_denied"));
    let too_long = |callback: &Url| format!("{}&x={}", path_and_query(callback), "x".repeat(17 << 10));
    lies.push(lie("17 KiB", |_| ()).calls(0, 0).back(too_long).bad("malformed_request"));
    nobody_is_signed_in_by(lies).await;
}

fn discovers(what: &'static str, fault: Fault) -> Lie {
    lie(what, move |faults| faults.discovery = fault.clone())
}

fn documents(name: &'static str, value: Value) -> Lie {
    let what = format!("the document's {name} is {value}");
    lie(what, move |faults| faults.edit_discovery = claim(name, value.clone()))
}

fn keys(what: &'static str, fault: Fault) -> Lie {
    lie(what, move |faults| faults.jwks = fault.clone())
}

#[tokio::test]
async fn a_lying_discovery_or_key_set_begins_no_login() {
    let thief = Provider::start(Settings::default()).await.unwrap();
    let elsewhere = |path: &str| format!("{}{path}", thief.issuer());
    let document = "/.well-known/openid-configuration";
    let lies = [
        documents("issuer", json!("https://evil.test")),
        documents("issuer", json!(null)),
        documents("issuer", json!(7)),
        lie("the issuer ends with a slash", |faults| {
            faults.edit_discovery =
                edit(|document| document["issuer"] = format!("{}/", document["issuer"].as_str().unwrap()).into());
        }),
        lie("the issuer is in capitals", |faults| {
            faults.edit_discovery =
                edit(|document| document["issuer"] = document["issuer"].as_str().unwrap().to_uppercase().into());
        }),
        documents("authorization_endpoint", json!("javascript:alert(1)")),
        documents("authorization_endpoint", json!(null)),
        documents("token_endpoint", json!(null)),
        documents("token_endpoint", json!("file:///etc/passwd")),
        documents("userinfo_endpoint", json!("ftp://evil.test/")),
        documents("jwks_uri", json!("file:///etc/passwd")),
        documents("jwks_uri", json!(null)),
        documents("code_challenge_methods_supported", json!(["plain"])),
        documents("code_challenge_methods_supported", json!([])),
        documents("token_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
        discovers("302 to another's document", Fault::Redirect(elsewhere(document))),
        discovers("404", Fault::Status(404)),
        discovers("no JSON", Fault::Body("<html>".to_owned())),
        discovers("an array", Fault::Body("[]".to_owned())),
        discovers("nothing", Fault::Body(String::new())),
        discovers("10 MiB", Fault::Huge(TOO_MUCH)),
        discovers("1 TiB announced", Fault::Announced(1 << 40)),
        discovers("endless", Fault::Endless),
        discovers("half of it announced and sent", Fault::TooShort),
        discovers("compressed", Fault::Gzip),
        discovers("2 MiB compressed to little", Fault::GzipBomb(2 << 20)),
        discovers("issuer said twice", Fault::Twice("issuer", json!("https://evil.test"))),
        discovers("token_endpoint said twice", Fault::Twice("token_endpoint", json!(elsewhere("/token")))),
        discovers("something behind it", Fault::Behind("{}")),
        keys("302 to another's keys", Fault::Redirect(elsewhere("/jwks"))),
        keys("keys: 404", Fault::Status(404)),
        keys("keys: no JSON", Fault::Body("<html>".to_owned())),
        keys("keys: no list of keys", Fault::Body("{\"keys\":{}}".to_owned())),
        keys("keys: 10 MiB", Fault::Huge(TOO_MUCH)),
        keys("keys: endless", Fault::Endless),
        keys("keys: 2 MiB compressed to little", Fault::GzipBomb(2 << 20)),
        keys("keys said twice", Fault::Twice("keys", json!([]))),
    ];
    let down = [
        discovers("429", Fault::RetryAfter(429, "3600".to_owned())),
        discovers("500", Fault::Status(500)),
        discovers("half of it, then the connection ends", Fault::Truncated),
        discovers("a header of 1 MiB", Fault::HugeHeader(1 << 20)),
        keys("keys: 500", Fault::Status(500)),
        keys("keys: half of it, then the connection ends", Fault::Truncated),
    ];
    let mut rows: Vec<Lie> = lies.map(|lie| lie.unavailable("sign_in_not_set_up")).into();
    rows.extend(down.map(|lie| lie.unavailable("provider_unavailable")));
    no_login_begins_with(rows).await;
    assert_eq!(thief.calls(), <_>::default(), "something went elsewhere");
}

/// How long a call may take in the rows below: long enough for honest ones on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_provider_that_hangs_or_drips_is_left_at_its_deadline() {
    let faults = || {
        [
            ("never answers", Fault::Hang),
            ("answers a minute later", Fault::Delay(Duration::from_mins(1))),
            ("sends a byte each 50 ms", Fault::Drip(Duration::from_millis(50))),
            ("stops before the end that it announced", Fault::TooLong),
            ("announces a body and sends none", Fault::Announced(512)),
        ]
    };
    let unavailable = |lie: Lie| lie.timeout(TIMEOUT).unavailable("provider_unavailable");
    let late: Vec<Lie> = faults()
        .into_iter()
        .flat_map(|(what, fault)| {
            let other = fault.clone();
            [
                unavailable(lie(format!("token {what}"), move |faults| faults.token = fault.clone())),
                unavailable(lie(format!("userinfo {what}"), move |faults| faults.userinfo = other.clone()))
                    .asks_userinfo(),
            ]
        })
        .collect();
    let never: Vec<Lie> = faults()
        .into_iter()
        .flat_map(|(what, fault)| {
            let other = fault.clone();
            [
                unavailable(lie(format!("discovery {what}"), move |faults| faults.discovery = fault.clone())),
                unavailable(lie(format!("the key set {what}"), move |faults| faults.jwks = other.clone())),
            ]
        })
        .collect();
    tokio::join!(nobody_is_signed_in_by(late), no_login_begins_with(never));
}
