//! Which question a request is.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    authz::{Separator, Template, Value},
    principal::{Email, Groups, ProviderName, ServiceAccount, User, Userid},
    request::RawRequest,
};

fn naming(text: &str) -> Naming {
    Naming::parse(text).unwrap()
}

fn notebooks() -> Reviews {
    Reviews {
        captures: vec![
            Capture::Path(vec![Template::parse("/notebook/{namespace}/{name}/**", Separator::Path).unwrap()]),
            Capture::Query { parameter: "namespace".to_owned(), value: Value::Of("namespace".to_owned()) },
        ],
        questions: vec![
            Review {
                verb: Some("create".to_owned()),
                resource: "pods".to_owned(),
                subresource: "exec".to_owned(),
                namespace: Some(naming("{namespace}")),
                name: Some(naming("{name}-0")),
                ..Review::default()
            },
            Review {
                resource: "secrets".to_owned(),
                namespace: Some(naming("{namespace}")),
                only_where: vec![Condition::Query("providerInfo".to_owned())],
                ..Review::default()
            },
        ],
    }
}

fn asked(reviews: &Reviews, method: &str, target: &str) -> Result<Vec<String>, Reason> {
    let request = Request::parse(RawRequest::new(method, "kf", target)).unwrap();
    let questions = reviews.questions(&request, &Arc::default())?;
    Ok(questions.iter().map(|(_, question)| question.attributes.to_string()).collect())
}

#[test]
fn a_request_is_the_questions_that_its_rule_has_for_it() {
    let reviews = notebooks();
    for (method, target, questions) in [
        ("GET", "/notebook/team-a/nb/lab", &["create pods/exec nb-0 -n team-a"][..]),
        ("GET", "/notebook/team-a/nb/", &["create pods/exec nb-0 -n team-a"]),
        ("GET", "/notebook/team-a/nb/files/a%20b;c", &["create pods/exec nb-0 -n team-a"]),
        (
            "DELETE",
            "/notebook/team-a/nb?providerInfo=x&namespace=team-a",
            &["create pods/exec nb-0 -n team-a", "delete secrets -n team-a"],
        ),
        ("BREW", "/notebook/team-a/nb?providerInfo", &["create pods/exec nb-0 -n team-a", "* secrets -n team-a"]),
    ] {
        assert_eq!(asked(&reviews, method, target).unwrap(), questions, "{method} {target}");
    }
}

#[test]
fn what_names_nothing_or_two_things_is_refused() {
    let reviews = notebooks();
    for (target, reason) in [
        ("/notebook", Reason::ResourceMissing),
        ("/notebook/", Reason::ResourceMissing),
        ("/notebook/team-a", Reason::ResourceMissing),
        ("/notebook/team-a/", Reason::ResourceMissing),
        ("/notebook/Team-A/nb/lab", Reason::ResourceAmbiguous),
        ("/notebook/team_a/nb/lab", Reason::ResourceAmbiguous),
        ("/notebook/team-a./nb/lab", Reason::ResourceAmbiguous),
        ("/notebook/-/nb/lab", Reason::ResourceAmbiguous),
        ("/notebook/team-a/nb/lab?namespace=team-b", Reason::ResourceAmbiguous),
        ("/notebook/team-a/nb/lab?namespace=team-a&namespace=team-a", Reason::ResourceAmbiguous),
        ("/notebook/team-a/nb/lab?Namespace=team-a", Reason::ResourceAmbiguous),
        ("/notebook/%74eam-a/nb/lab", Reason::AmbiguousPath),
        ("/notebook/team-a;x/nb/lab", Reason::AmbiguousPath),
        ("/notebook//team-a/nb/lab", Reason::AmbiguousPath),
        ("/notebook/team-a%2Fnb/lab/x", Reason::AmbiguousPath),
    ] {
        assert_eq!(asked(&reviews, "GET", target), Err(reason), "{target}");
    }
    let mut optional = notebooks();
    for question in &mut optional.questions {
        question.optional = true;
    }
    optional.captures.remove(0);
    optional.questions.remove(0);
    assert_eq!(asked(&optional, "GET", "/x?providerInfo"), Ok(vec![]), "it is none of its business");
    assert_eq!(asked(&optional, "GET", "/x?providerInfo&namespace=A"), Err(Reason::ResourceAmbiguous));
}

#[test]
fn somebody_is_asked_about_as_services_know_them() {
    let user = Principal::User(Arc::new(User {
        provider: ProviderName::parse("dex").unwrap(),
        issuer: "https://idp".into(),
        subject: "1".into(),
        userid: Userid::parse("Ada@example.com").unwrap(),
        email: Email::parse("ada@example.com").ok(),
        groups: Groups::from_provider(["team-a", "system:masters"]),
    }));
    assert_eq!(subject(&user, false), AccessSubject { user: "Ada@example.com".to_owned(), ..AccessSubject::default() });
    assert_eq!(subject(&user, true).groups, ["team-a", "system:authenticated"], "never a group of Kubernetes' own");
    let extra = BTreeMap::from([("authentication.kubernetes.io/pod-name".to_owned(), vec!["p".to_owned()])]);
    let account = Principal::ServiceAccount(Arc::new(ServiceAccount {
        namespace: "team-a".into(),
        name: "robot".into(),
        uid: "u".into(),
        pod: None,
        credential_id: None,
        groups: Groups::from_kubernetes(["system:serviceaccounts", "system:authenticated"]),
        extra: extra.clone(),
    }));
    let expected = AccessSubject {
        user: "system:serviceaccount:team-a:robot".to_owned(),
        uid: "u".to_owned(),
        groups: vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()],
        extra,
    };
    assert_eq!(subject(&account, false), expected);
}

#[test]
fn names_are_read_with_their_variables() {
    assert_eq!(naming("{name}-0").to_string(), "{name}-0");
    assert_eq!(naming("{a}x{b}").variables().collect::<Vec<_>>(), ["a", "b"]);
    for text in ["", "{", "{a", "a}", "{A}", "{}", "a b"] {
        assert_eq!(Naming::parse(text), Err(NamingError), "{text}");
    }
}

proptest! {
    /// Whatever is captured is one DNS label, and what the path says there.
    #[test]
    fn what_is_asked_about_stands_in_the_request(
        namespace in "[a-zA-Z0-9%._;/?&=-]{0,12}",
        rest in "[a-z0-9%2fF5cC;./?&=-]{0,24}",
    ) {
        let target = format!("/notebook/{namespace}/{rest}");
        let Ok(request) = Request::parse(RawRequest::new("GET", "kf", &target)) else { return Ok(()) };
        let Ok(questions) = notebooks().questions(&request, &Arc::default()).map(|questions| {
            questions.into_iter().map(|(_, question)| question.attributes).collect::<Vec<_>>()
        }) else { return Ok(()) };
        for AccessAttributes { namespace: asked, name, .. } in questions {
            prop_assert!(Namespace::parse(&asked).is_ok());
            for reading in request.path().readings().unwrap() {
                let mut segments = reading.split('/').skip(2);
                prop_assert_eq!(segments.next(), Some(asked.as_str()));
                let read = segments.next().map(|read| format!("{read}-0"));
                prop_assert!(name.is_empty() || read.as_ref() == Some(&name), "{:?} {}", read, name);
            }
        }
    }
}
