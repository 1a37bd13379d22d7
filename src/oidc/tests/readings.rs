//! What decides of an answer is refused where it is another, and what does not decide is whatever it likes.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::{
    back_channel::{ended, send, sign_in},
    refresh::Person,
    support::{Lies, World},
};
use crate::{
    jose::testing::merged,
    oidc::CallbackOutcome,
    providers::{Answer, Reading, StrictAsk, StrictConfig, TABLE},
};

const EVERY: Duration = Duration::from_secs(30);

/// An answer of which this member is `value`.
fn lie(answer: Answer, name: &str, value: &Value) -> Lies {
    let member = json!({ name: value });
    match answer {
        Answer::Discovery => Lies::discovery(member),
        Answer::Token => Lies { token: member, ..Lies::default() },
        Answer::IdToken => Lies::claims(member),
        // The ID token lacks what makes userinfo decide.
        Answer::Userinfo => Lies { userinfo: member, ..Lies::claims(json!({"email": null, "groups": null})) },
        Answer::Introspection | Answer::LogoutToken => unreachable!("they sign nobody in"),
    }
}

fn at_sign_in() -> impl Iterator<Item = (Answer, &'static str, Reading)> {
    let members = TABLE.iter().map(|member| (member.answer, member.name, member.reading));
    members.filter(|(answer, ..)| !matches!(answer, Answer::Introspection | Answer::LogoutToken))
}

/// Who signs in; none where nobody does.
async fn who(lies: Lies) -> Option<(String, String)> {
    let world = World::new();
    world.provider.tell(lies);
    let browser = world.browser();
    let url = browser.begin("/").await.ok()?;
    match browser.callback(&world.provider.authorize(&url)).await {
        CallbackOutcome::SignedIn { session, .. } => {
            Some((session.user().userid.as_str().to_owned(), session.user().subject.clone()))
        }
        _ => None,
    }
}

fn alice() -> (String, String) {
    ("user@example.com".to_owned(), "subject-1".to_owned())
}

#[tokio::test]
async fn what_decides_is_refused_where_it_is_of_another_type() {
    assert_eq!(who(Lies::default()).await, Some(alice()));
    let (mut decides, odd) = (0, [json!({"a": 1}), json!([["nothing that is known"]])]);
    for (answer, name, reading) in at_sign_in() {
        let values = match reading {
            Reading::Decides => odd.to_vec(),
            Reading::ListDecides => vec![json!(["nothing that is known"])],
            Reading::Lenient(_) => continue,
        };
        for value in values {
            assert_eq!(who(lie(answer, name, &value)).await, None, "{answer:?}: {name} is {value}");
            decides += 1;
        }
    }
    assert!(decides > 40, "{decides}");
}

/// Any JSON value, of the sizes that answers have.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,20}".prop_map(Value::from),
        (0..10_000_usize).prop_map(|length| Value::from("x".repeat(length))),
        prop::sample::select(&["https://idp.example.com/x", "RS256", "true", "1800000000", "mallory@evil.example"][..])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,8}", inner, 0..6).prop_map(|object| json!(object)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_answer_that_differs_only_in_what_does_not_decide_signs_the_same_person_in(
        place in any::<prop::sample::Index>(),
        value in any_json(),
        unread in any_json(),
    ) {
        let lenient: Vec<_> = at_sign_in()
            .filter(|(.., reading)| matches!(reading, Reading::Lenient(_)))
            .chain([
                (Answer::Discovery, "x_unread", Reading::Decides),
                (Answer::Token, "scope", Reading::Decides),
                (Answer::IdToken, "name", Reading::Decides),
                (Answer::IdToken, "updated_at", Reading::Decides),
                (Answer::Userinfo, "address", Reading::Decides),
            ])
            .collect();
        let (answer, name, _) = lenient[place.index(lenient.len())];
        let mut lies = lie(answer, name, &value);
        // And all of them carry something that nobody reads.
        lies.token = merged(&lies.token, &json!({"x_unread": unread}));
        lies.claims = merged(&lies.claims, &json!({"x_unread": unread, "preferred_username": unread}));
        let signed_in = Builder::new_current_thread().enable_all().build().unwrap().block_on(who(lies));
        prop_assert_eq!(signed_in, Some(alice()), "{:?}: {} is {}", answer, name, value);
    }

    #[test]
    fn introspection_that_differs_only_in_what_does_not_decide_keeps_the_session(
        name in prop::sample::select(&["x_unread", "scope", "exp", "iat", "aud", "username", "client_id", "iss"][..]),
        value in any_json(),
    ) {
        let answer = json!({"active": true, "sub": "subject-1", name: value}).to_string();
        let kept = Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let strict = StrictConfig { every: EVERY, ask: StrictAsk::Introspection };
            let person = Person::with(Lies::default(), |provider| provider.strict = Some(strict)).await;
            person.world.provider.tell(Lies { bodies: [("/introspect", answer.clone())].into(), ..Lies::default() });
            let kept = person.after(EVERY).await;
            (person.world.provider.calls("/introspect"), kept.is_ok())
        });
        prop_assert_eq!(kept, (1, true), "{}", answer);
    }

    #[test]
    fn a_logout_token_that_differs_only_in_what_does_not_decide_ends_the_session(
        name in prop::sample::select(&["x_unread", "auth_time", "name", "trace", "azp", "email", "groups"][..]),
        // A token has 16 KiB at most.
        value in any_json().prop_filter("too long", |value| value.to_string().len() < 10_000),
    ) {
        let claims = json!({ name: value });
        let outcome = Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let world = World::new();
            sign_in(&world.browser(), &world).await;
            send(&world, json!({}), claims.clone()).await
        });
        prop_assert_eq!(outcome, ended(1), "{}", claims);
    }
}
