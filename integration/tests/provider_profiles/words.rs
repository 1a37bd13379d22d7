//! The words of the pages are needed: without them the same people do not sign in, or somebody else does.

use portcullis_integration::check_client::Answer;
use portcullis_integration::check_visitor::location;
use portcullis_integration::faults::edit;
use portcullis_integration::portcullis::SESSION_COOKIE;
use portcullis_integration::visitor::{log_in, path_and_query};

use super::ground::Ground;

/// What becomes of a sign-in of alice: the answer to the page that she wanted, or to the callback, or to the first page.
async fn sign_in(ground: &Ground, path: &str) -> Answer {
    let mut alice = ground.visitor();
    let first = alice.navigate(path).await.unwrap();
    let Ok(to_provider) = location(&first) else { return first };
    let callback = log_in(&to_provider, "alice").await.unwrap();
    let answer = alice.navigate(&path_and_query(&callback)).await.unwrap();
    if alice.cookies.contains_key(SESSION_COOKIE) { alice.navigate(path).await.unwrap() } else { answer }
}

#[tokio::test]
async fn without_their_words_the_same_people_do_not_sign_in() {
    let rows = [
        ("entra", None, "email_claim", 403, "identity_unusable"),
        ("entra", Some("sts.windows.net"), "discovery_url", 503, "sign_in_not_set_up"),
        ("entra", Some("b2clogin.com"), "discovery_url", 503, "sign_in_not_set_up"),
        ("entra", Some("b2clogin.com"), "scopes", 503, "provider_answer_invalid"),
        ("adfs", None, "email_claim", 403, "identity_unusable"),
        ("authentik", None, "trust_unverified_email", 403, "identity_unusable"),
        // They sign in, and are in no group that the rules know.
        ("adfs", None, "groups_claim", 403, "not_permitted"),
        ("auth0", None, "groups_claim", 403, "not_permitted"),
        ("cognito", None, "groups_claim", 403, "not_permitted"),
        ("zitadel", None, "groups_of_objects", 403, "not_permitted"),
    ];
    for (page, variant, word, status, reason) in rows {
        let ground = Ground::start_without(page, variant, &[word]).await;
        let answer = sign_in(&ground, &ground.closed).await;
        let told = (answer.status(), answer.reason());
        assert_eq!(told, (status, Some(reason.to_owned())), "{page} {variant:?} without `{word}`");
    }
}

#[tokio::test]
async fn without_the_word_for_it_a_private_account_signs_in_at_google() {
    let ground = Ground::start_without("google", None, &["required_claims"]).await;
    ground.provider.lie(|faults| faults.edit_claims = edit(ground.profile.attack.claims));
    assert!(sign_in(&ground, "/").await.is_allowed(), "then the word would be for nothing");
}

#[tokio::test]
async fn without_the_words_for_it_no_refresh_token_comes() {
    for (page, word) in [("dex", "scopes"), ("google", "authorization_parameters")] {
        let ground = Ground::start_without(page, None, &[word]).await;
        assert!(sign_in(&ground, "/").await.is_allowed(), "{page}");
        assert_eq!(ground.provider.refresh_tokens(), 0, "{page}");
    }
}
