//! The way of people through the product, at the provider of one profile.

use std::collections::BTreeSet;

use portcullis_integration::check_client::{Answer, Check};
use portcullis_integration::check_visitor::location;
use portcullis_integration::faults::edit;
use portcullis_integration::patience::until;
use portcullis_integration::portcullis::{HOST, ORIGIN, SESSION_COOKIE};
use portcullis_integration::profiles::{Membership, Person};
use portcullis_integration::visitor::{log_in, path_and_query, sent_on};
use portcullis_integration::{http, jwt, wire};

use super::ground::Ground;

/// Everything that this provider's people do.
pub(crate) async fn walk(page: &str, variant: Option<&str>) {
    let ground = Ground::start(page, variant).await;
    everybody_signs_in_and_rules_tell_them_apart(&ground).await;
    a_session_is_refreshed_and_the_person_stays(&ground).await;
    a_sign_out_goes_through_the_provider(&ground).await;
    the_provider_ends_a_session(&ground).await;
    the_attack_is_refused(&ground).await;
}

/// The service is told who somebody is, by the headers and the assertion.
fn is_told_who(ground: &Ground, person: &Person, answer: &Answer) {
    let name = &person.user.login;
    assert!(answer.is_allowed(), "{name}: {answer:?}\n{}", ground.portcullis.log_tail());
    assert_eq!(answer.passed("kubeflow-userid"), [ground.userid(person)], "{name}");
    let group = ground.site.group.as_deref().filter(|_| person.membership == Membership::Member);
    let groups = answer.passed("kubeflow-groups").join(",");
    // What is a list cannot hold a name with a comma; the assertion can.
    if let Some(group) = group.filter(|group| !group.contains(',')) {
        let group = wire::text(group.as_bytes());
        assert!(groups.split(',').any(|told| told == group), "{name}: {groups}");
    }
    let [assertion] = answer.passed("portcullis-assertion")[..] else { panic!("{name}: no assertion") };
    let claims = jwt::claims(assertion).unwrap();
    assert_eq!(claims["email"], person.address.as_str(), "{name}");
    let told = |group: &str| claims["groups"].as_array().is_some_and(|groups| groups.iter().any(|told| told == group));
    assert_eq!(group.is_some_and(told), group.is_some(), "{name}: {claims}");
    if person.membership == Membership::Untold {
        assert_eq!(claims["groups_omitted"], true, "{name}: {claims}");
    }
}

async fn everybody_signs_in_and_rules_tell_them_apart(ground: &Ground) {
    let mut entered = 0;
    for person in &ground.people {
        let mut visitor = ground.signed_in(&person.user.login).await;
        is_told_who(ground, person, &visitor.navigate("/").await.unwrap());
        let answer = visitor.navigate(&ground.closed).await.unwrap();
        if ground.may_enter(person) {
            is_told_who(ground, person, &answer);
            entered += 1;
        } else {
            let told = (answer.status(), answer.reason());
            assert_eq!(told, (403, Some("not_permitted".to_owned())), "{}", person.user.login);
        }
    }
    assert!((1..ground.people.len()).contains(&entered), "the rule tells nobody apart: {entered} entered");
}

async fn a_session_is_refreshed_and_the_person_stays(ground: &Ground) {
    if ground.written["refresh"].is_null() {
        return;
    }
    let before = ground.provider.calls().refresh;
    let alice = ground.signed_in("alice").await;
    assert!(ground.provider.refresh_tokens() > 0, "no refresh token came for what the page asks for");
    let labels = [r#"outcome="success""#];
    until("the refresh", async || {
        let answer = alice.clone().navigate("/").await.unwrap();
        is_told_who(ground, &ground.people[0], &answer);
        let refreshed = ground.portcullis.metric("portcullis_oidc_refreshes_total", &labels).await.unwrap();
        (refreshed > 0 && ground.provider.calls().refresh > before).then_some(())
    })
    .await;
    is_told_who(ground, &ground.people[0], &alice.clone().navigate(&ground.closed).await.unwrap());
}

async fn a_sign_out_goes_through_the_provider(ground: &Ground) {
    let mut alice = ground.signed_in("alice").await;
    let stolen = alice.clone();
    let answer = alice.follow("/portcullis/logout").await.unwrap();
    let there = location(&answer).unwrap();
    assert!(!alice.cookies.contains_key(SESSION_COOKIE));
    assert!(!ground.is_signed_in(&stolen).await, "the session is gone");
    if ground.profile.ways.paths.revocation.is_some() {
        until("the revocation", async || (!ground.provider.revoked().is_empty()).then_some(())).await;
    }
    let own_page = format!("{ORIGIN}/portcullis/signed-out");
    let Some(path) = ground.profile.ways.paths.end_session else {
        assert_eq!(there.as_str(), own_page, "there is nothing to end at this provider");
        return;
    };
    assert!(there.as_str().starts_with(&format!("{}?", ground.provider.url(path))), "{there}");
    let back = sent_on(&there).await.unwrap();
    assert!(back.as_str().starts_with(&own_page), "{back}");
    let brought = ground.provider.end_sessions().last().unwrap().clone();
    let words = &ground.written["logout"];
    let redirect_parameter = words["redirect_parameter"].as_str().unwrap_or("post_logout_redirect_uri");
    let mut expected = BTreeSet::from(["client_id", redirect_parameter]);
    expected.extend(["id_token_hint", "state"].into_iter().filter(|name| words[*name] != false));
    assert_eq!(brought.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    assert_eq!(brought[redirect_parameter], own_page);
    let page = alice.navigate(&path_and_query(&back)).await.unwrap();
    let Answer::Deny { status: 200, body, .. } = &page else { panic!("{page:?}") };
    assert!(body.contains("signed out"), "{body}");
}

/// Where the provider sends logout tokens, as it makes them; who else is signed in stays so.
async fn the_provider_ends_a_session(ground: &Ground) {
    if ground.profile.ways.logout_token.is_none() {
        return;
    }
    let bob = ground.signed_in("bob").await;
    let alice = ground.signed_in("alice").await;
    let ended = ground.provider.signed_in().last().unwrap().clone();
    let token = ground.provider.logout_token(&ended).unwrap();
    let path = format!("/backchannel-logout/{}", ground.written["name"].as_str().unwrap());
    let at_the_gateway = ground.visitor().ask(Check::new("POST", HOST, &path)).await.unwrap();
    assert!(at_the_gateway.is_allowed(), "the page's rules keep the provider's logout tokens out");
    let url = format!("http://{}{path}", ground.portcullis.http_address());
    let request = http::plain_client().unwrap().post(url).header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(format!("logout_token={token}")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", ground.portcullis.log_tail());
    assert!(!ground.is_signed_in(&alice).await, "alice's session lives on");
    assert!(ground.is_signed_in(&bob).await, "bob's session was meant by nobody");
}

async fn the_attack_is_refused(ground: &Ground) {
    let attack = ground.profile.attack;
    ground.provider.lie(|faults| faults.edit_claims = edit(attack.claims));
    let mut visitor = ground.visitor();
    let callback = log_in(&visitor.begin("/").await.unwrap(), "alice").await.unwrap();
    let answer = visitor.navigate(&path_and_query(&callback)).await.unwrap();
    let told = (answer.status(), answer.reason());
    assert_eq!(told, (403, Some(attack.reason.to_owned())), "{}", attack.what);
    assert!(!visitor.cookies.contains_key(SESSION_COOKIE), "{}", attack.what);
    ground.provider.be_honest();
    ground.signed_in("alice").await;
}
