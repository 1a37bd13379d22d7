//! The ID-token verifier of `openidconnect` as a second opinion on every kind of token: what it refuses we refuse, and
//! what we refuse it refuses, but for the differences that are listed here, each with its reason.

mod corpus;
mod differences;

use std::{collections::BTreeMap, sync::Arc};

use futures::FutureExt as _;
use openidconnect::{
    AccessToken, AccessTokenHash, ClientId, IdTokenVerifier, IssuerUrl, Nonce,
    core::{CoreIdToken, CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use self::{
    corpus::{
        ACCESS_TOKEN, CLIENT_ID, CODE, Edit, ISSUER, NONCE, NOW, all_keys, claim_edits, corpus, header_edits, token,
    },
    differences::{ACCEPTED_BY_US_ALONE, Difference, REFUSED_BY_US_ALONE, is_listed},
};
use super::*;
use crate::{
    clock::{ManualClock, SharedClock},
    jose::{Algorithm, FetchJwks, Jwks, JwksCacheConfig},
};

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn our_verdict(token: &str, keys: &str) -> Result<(), IdTokenError> {
    let clock: SharedClock = ManualClock::at(now());
    let fetch: FetchJwks = Arc::new(|| async { panic!("the keys are new: none are fetched") }.boxed());
    let jwks = Jwks::parse(keys.as_bytes(), 1 << 20).unwrap();
    let keys = JwksCache::filled(fetch, clock, JwksCacheConfig::default(), jwks);
    let nonce = SecretString::new(NONCE.to_owned());
    let rules = IdTokenRules {
        issuer: ISSUER,
        client_id: CLIENT_ID,
        nonce: NonceRule::Required(&nonce),
        access_token: ACCESS_TOKEN,
        code: Some(CODE),
        algorithms: Algorithm::ALL,
        now: now(),
    };
    rules.verify(token, &keys).now_or_never().expect("nothing is waited for").map(drop)
}

/// The library's verdict, asked as strictly as it can be.
fn library_verdict(token: &str, keys: &str) -> Result<(), String> {
    const ALGORITHMS: [CoreJwsSigningAlgorithm; 10] = [
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
        CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        CoreJwsSigningAlgorithm::RsaSsaPssSha384,
        CoreJwsSigningAlgorithm::RsaSsaPssSha512,
        CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        CoreJwsSigningAlgorithm::EcdsaP384Sha384,
        CoreJwsSigningAlgorithm::EcdsaP521Sha512,
        CoreJwsSigningAlgorithm::EdDsa,
    ];
    let text = |error: &dyn fmt::Display| error.to_string();
    let token: CoreIdToken = token.parse().map_err(|error: serde_json::Error| text(&error))?;
    let keys: CoreJsonWebKeySet = serde_json::from_str(keys).map_err(|error| text(&error))?;
    let (client_id, issuer) = (ClientId::new(CLIENT_ID.to_owned()), IssuerUrl::new(ISSUER.to_owned()).unwrap());
    // As for a public client: then no shared secret verifies anything.
    let checks = IdTokenVerifier::new_public_client(client_id, issuer, keys)
        .set_allowed_algs(ALGORITHMS)
        // Who else it is meant for is the caller's to judge; we want `azp` then.
        .set_other_audience_verifier_fn(|_| true)
        .set_time_fn(|| now().minus(told_times::LEEWAY).to_system_time().into())
        .set_issue_time_verifier_fn(|issued_at| {
            let issued_at = u64::try_from(issued_at.timestamp()).map_err(|error| error.to_string())?;
            told_times::issued_recently(Timestamp::from_unix_seconds(issued_at), now()).map_err(str::to_owned)
        });
    let nonce = |found: Option<&Nonce>| match found {
        Some(found) if found.secret() == NONCE => Ok(()),
        _ => Err("another nonce".to_owned()),
    };
    let claims = token.claims(&checks, nonce).map_err(|error| text(&error))?;
    if let Some(told) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|error| text(&error))?;
        let key = token.signing_key(&checks).map_err(|error| text(&error))?;
        let access_token = AccessToken::new(ACCESS_TOKEN.to_owned());
        if AccessTokenHash::from_token(&access_token, algorithm, key).ok().as_ref() != Some(told) {
            return Err("another access token".to_owned());
        }
    }
    Ok(())
}

#[test]
fn the_library_agrees_but_for_what_is_listed() {
    let (mut accepted, mut refused, mut agreed) = (BTreeMap::new(), BTreeMap::new(), 0);
    for (name, token, keys) in corpus() {
        match (our_verdict(&token, &keys), library_verdict(&token, &keys)) {
            (Ok(()), Err(theirs)) => drop(accepted.insert(name, theirs)),
            (Err(ours), Ok(())) => drop(refused.insert(name, ours.to_string())),
            (ours, _) => agreed += usize::from(ours.is_ok()),
        }
    }
    for (found, list) in [(&accepted, ACCEPTED_BY_US_ALONE), (&refused, REFUSED_BY_US_ALONE)] {
        let unlisted: Vec<_> = found.iter().filter(|(name, _)| !is_listed(list, name)).collect();
        assert!(unlisted.is_empty(), "we accept or refuse alone: {unlisted:#?}");
        for Difference { why, cases } in list {
            for case in *cases {
                assert!(found.contains_key(*case), "no difference: {case} ({why})");
            }
        }
    }
    assert!(agreed > 100, "too little is accepted by both to tell a difference: {agreed}");
}

/// Any JSON value that is no deeper than a token may be.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (NOW - 1000..NOW + 1000).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[a-z.:/\\\\\"é-]{0,12}".prop_map(Value::from),
        prop::sample::select(&[ISSUER, CLIENT_ID, NONCE, "subject-1"][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(|object| json!(object)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_library_agrees_on_several_differences_at_once(
        algorithm in prop::sample::select(Algorithm::ALL),
        edits in prop::sample::subsequence([header_edits(), claim_edits()].concat(), 0..4),
    ) {
        let token = token(algorithm, &edits);
        let (ours, theirs) = (our_verdict(&token, &all_keys()), library_verdict(&token, &all_keys()));
        let listed = |list| edits.iter().any(|edit| is_listed(list, &edit.name)) || is_listed(list, algorithm.name());
        let told = format!("{edits:?}: {ours:?}, {theirs:?}");
        prop_assert!(ours.is_err() || theirs.is_ok() || listed(ACCEPTED_BY_US_ALONE), "{}", told);
        prop_assert!(ours.is_ok() || theirs.is_err() || listed(REFUSED_BY_US_ALONE), "{}", told);
    }

    #[test]
    fn what_the_library_refuses_of_any_claims_is_refused(
        claims in prop::collection::btree_map(
            "iss|sub|aud|exp|iat|nonce|azp|at_hash|groups|sid|x", any_json(), 1..4,
        ),
    ) {
        let edit = Edit { name: String::new(), header: json!({}), claims: json!(claims) };
        let token = token(Algorithm::Es256, &[edit]);
        let (ours, theirs) = (our_verdict(&token, &all_keys()), library_verdict(&token, &all_keys()));
        prop_assert!(ours.is_err() || theirs.is_ok(), "{claims:?}: {theirs:?}");
    }

    #[test]
    fn a_token_with_any_bit_flipped_is_refused(
        algorithm in prop::sample::select(&[Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa][..]),
        place in any::<prop::sample::Index>(),
        bit in 0..7_u8,
    ) {
        let mut bytes = token(algorithm, &[]).into_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let flipped = String::from_utf8(bytes).unwrap();
        prop_assert!(our_verdict(&flipped, &all_keys()).is_err());
    }
}
