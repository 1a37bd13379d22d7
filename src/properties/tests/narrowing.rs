//! What makes a rule stricter opens nothing: a hole would be in one direction only. Whole rule sets, with and without what
//! narrows one of their rules, are asked the same requests.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, attribute_context::HttpRequest};
use proptest::{collection::vec, option, prelude::*, strategy::ValueTree, test_runner::TestRunner};
use prost::Message as _;

use super::{
    super::{
        exchange::{filled, message},
        grammar,
        house::{HOST, House, NOW, SESSION_COOKIE, TICKET, TOKEN},
    },
    outcome,
};
use crate::{
    decision::Decision,
    kubernetes::{AccessAnswer, AccessQuestion, AccessReviews, ReviewError},
    reason::Reason,
    secret::sha256,
    session::Login,
};

/// An API server's answers to all that it is asked; the last one answers each question otherwise.
#[derive(Clone, Copy, Debug)]
enum Answers {
    Yes,
    No,
    Unanswered,
    Mixed,
}

#[async_trait]
impl AccessReviews for Answers {
    async fn review_access(&self, question: &AccessQuestion) -> Result<AccessAnswer, ReviewError> {
        let answer = match self {
            Self::Mixed => [Self::Yes, Self::Yes, Self::No, Self::Unanswered]
                [usize::from(sha256(question.attributes.to_string().as_bytes())[0] % 4)],
            one => *one,
        };
        match answer {
            Self::Yes => Ok(AccessAnswer { allowed: true, denied: false }),
            Self::No => Ok(AccessAnswer::default()),
            Self::Unanswered | Self::Mixed => Err(ReviewError::Unavailable("played".to_owned())),
        }
    }
}

/// What of a request a rule holds for. Most of them meet.
const PATHS: &[&str] = &[
    "",
    "paths: [{prefix: /team}]",
    "paths: [{prefix: /team}]",
    "paths: [{exact: /team/a}]",
    "paths: [{exact: /Team/a/}]",
    "paths: [{prefix: /team/a}, {prefix: /x}]",
    "paths: [{template: '/team/{namespace}/**'}]",
    "paths: [{template: '/*/a/Get*'}]",
    "paths: [{prefix: /Team/A}]",
    "paths: [{prefix: /x}]",
];
const METHODS: &[&str] = &["", "", "", "methods: [GET]", "methods: [POST, DELETE]"];
/// Who may pass; all but the last three can be asked for more.
const ACCESS: &[&str] = &[
    "",
    "",
    "groups: [dev]",
    "groups: [admins]",
    "preflight: allow",
    "access: public",
    "access: optional",
    "access: deny",
];
/// Among [`ACCESS`].
const AUTHENTICATED: usize = 5;
/// Captures, with reviews that use them.
const REVIEWS: &[&str] = &[
    "captures: [{path: ['/*/{namespace}/**']}], reviews: [{verb: get, resource: pods, namespace: '{namespace}'}]",
    "captures: [{path: ['/team/{namespace}', '/**']}, {query: namespace}], reviews: [{resource: pods, namespace: '{namespace}', optional: true}]",
    "captures: [{query: namespace}, {header: x-namespace, as: namespace}], reviews: [{resource: pods, namespace: '{namespace}'}]",
    "captures: [{query: key, key: ['p/{namespace}/**', 's/**']}], reviews: [{resource: pods, namespace: '{namespace}', name: '{namespace}-0', optional: true}]",
    "captures: [{host: ['{namespace}.example.com']}], reviews: [{verb: list, resource: pods, namespace: '{namespace}'}]",
    "reviews: [{verb: list, resource: pods}]",
    "reviews: [{verb: list, resource: pods, only_where: [{query: all}]}, {verb: get, resource: pods, only_where: [{header: referer, contains: team}]}]",
];
const LOGINS: &[&str] = &[
    "login: {max_age: 15m}",
    "login: {max_age: 1h}",
    "login: {acr: [gold, silver]}",
    "login: {acr: [gold], max_age: 5m}",
    "login: {amr: [otp]}",
];
const CONDITIONS: &[&str] = &[
    "only_where: [{query: all}]",
    "only_where: [{query: namespace}]",
    "only_where: [{header: referer, contains: team}]",
    "only_where: [{query: all}, {header: referer, contains: team}]",
];

const METHODS_OF_LOGINS: &[&[&str]] = &[&["otp"], &["pwd", "otp"], &[]];
/// How a request comes: from a page of the same origin, as a navigation, as a preflight, and without any word of that.
const KINDS: &[&[(&str, &str)]] = &[
    &[("sec-fetch-site", "same-origin"), ("origin", "https://kf.example.com")],
    &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
    &[("origin", "https://kf.example.com"), ("access-control-request-method", "PUT")],
    &[],
];
/// Headers with what begins their credential.
const CREDENTIALS: &[Option<(&str, &str)>] =
    &[Some(("cookie", SESSION_COOKIE)), Some(("cookie", SESSION_COOKIE)), Some(("authorization", "Bearer")), None];

/// A rule of a set, without its name.
#[derive(Clone, Debug)]
struct Drawn {
    fields: Vec<&'static str>,
    asks: Option<&'static str>,
    login: Option<&'static str>,
    in_shadow: bool,
}

fn rules() -> impl Strategy<Value = Vec<Drawn>> {
    let rule = |most: usize| {
        let access = prop::sample::select(&ACCESS[..most]);
        let more =
            (option::weighted(0.3, prop::sample::select(REVIEWS)), option::weighted(0.2, prop::sample::select(LOGINS)));
        let fields =
            (prop::sample::select(PATHS), prop::sample::select(METHODS), access, more, prop::bool::weighted(0.1));
        fields.prop_map(|(paths, methods, access, (asks, login), in_shadow)| {
            let may_ask = ACCESS[..AUTHENTICATED].contains(&access);
            Drawn {
                fields: vec![paths, methods, access],
                asks: asks.filter(|_| may_ask),
                login: login.filter(|_| may_ask),
                in_shadow,
            }
        })
    };
    // One at least can be asked for more.
    (vec(rule(ACCESS.len()), 0..3), rule(AUTHENTICATED), vec(rule(ACCESS.len()), 0..3))
        .prop_map(|(before, one, after)| [before, vec![one], after].concat())
}

/// The rules as a configuration has them. `change` may change the lines of each.
fn written(rules: &[Drawn], change: impl Fn(usize, &mut Vec<String>)) -> String {
    let mut text = String::new();
    for (index, rule) in rules.iter().enumerate() {
        let fields = rule.fields.iter().copied().chain(rule.asks).chain(rule.login);
        let mode = if rule.in_shadow { "mode: shadow" } else { "" };
        let fields = [mode].into_iter().chain(fields).filter(|field| !field.is_empty());
        let own: Vec<_> = std::iter::once(format!("name: r{index}")).chain(fields.map(str::to_owned)).collect();
        let mut lines = vec![own.join(", ")];
        change(index, &mut lines);
        for line in &lines {
            writeln!(text, "  - {{{line}}}").unwrap();
        }
    }
    text
}

/// A place in a list that is not empty.
type Place = prop::sample::Index;

/// One of the rules that can be asked for more, and is not yet.
fn one_without(rules: &[Drawn], place: Place, has: impl Fn(&Drawn) -> bool) -> Option<usize> {
    let may_ask = |rule: &Drawn| ACCESS[..AUTHENTICATED].contains(&rule.fields[2]) && !has(rule);
    let all: Vec<usize> = (0..rules.len()).filter(|index| may_ask(&rules[*index])).collect();
    (!all.is_empty()).then(|| *place.get(&all))
}

fn requests() -> impl Strategy<Value = Vec<CheckRequest>> {
    let paths = "/team/a|/team/a/b|/(team|Team|TEAM|x)/(a|A|b|%61)(/|/Get|/Put|/[a-z]{1,3}|;x|//b|/\\.\\./b)?|/x|/team|/[a-z]{0,3}";
    let query =
        "((namespace|Namespace|all|key|%61ll|namespace\\[\\]|\\[namespace\\])=(a|b|kf|p/a/x|p%2fb%2fx|s/x|)[&;]?){0,3}";
    let headers = vec(
        prop::sample::select(
            &[("referer", "https://kf.example.com/team/"), ("x-namespace", "a"), ("x-namespace", "b")][..],
        ),
        0..3,
    );
    let methods = prop::sample::select(&["GET", "GET", "GET", "POST", "DELETE", "HEAD", "OPTIONS"][..]);
    let who = (prop::sample::select(KINDS), prop::sample::select(CREDENTIALS));
    let one = (methods, paths, query, headers, who).prop_map(|(method, path, query, headers, (kind, credential))| {
        let credential = credential.map(|(name, begins)| {
            (name, if name == "cookie" { format!("{begins}={TICKET}") } else { format!("{begins} {TOKEN}") })
        });
        let told = kind.iter().copied().chain(headers).map(|(name, value)| (name, value.to_owned()));
        let lines = told.chain(credential).map(|(name, value)| (name.to_owned(), value)).collect();
        let request = HttpRequest {
            method: method.into(),
            host: HOST.into(),
            path: if query.is_empty() { path } else { format!("{path}?{query}") },
            ..HttpRequest::default()
        };
        message(grammar::raw(request, lines))
    });
    vec(one, 8)
}

fn around() -> impl Strategy<Value = (Answers, Login)> {
    let answers =
        prop::sample::select(&[Answers::Yes, Answers::Yes, Answers::No, Answers::Unanswered, Answers::Mixed][..]);
    let logins = (option::weighted(0.9, 0_u64..30), option::of(prop::sample::select(&["gold", "silver", "x"][..])));
    let logins = (logins, prop::sample::select(METHODS_OF_LOGINS));
    (answers, logins).prop_map(|(answers, ((minutes, context), methods))| {
        let at = minutes.map(|minutes| NOW.minus(Duration::from_mins(minutes)));
        (answers, Login::new(at, context, methods.iter().copied()))
    })
}

/// How each request ends: whether it passes, and why.
fn ends(rules: &str, (answers, login): &(Answers, Login), requests: &[CheckRequest]) -> Vec<(bool, Reason)> {
    let house = House::asking(rules, Arc::new(*answers), login.clone());
    let end = |request: &CheckRequest| {
        let (checked, _) = house.answer(&filled(request.clone(), &house).encode_to_vec()).unwrap();
        (matches!(checked.decision, Decision::Allow(_)), checked.record.reason)
    };
    requests.iter().map(end).collect()
}

/// That nothing passes with what narrows a rule that did not pass without it. Where `settles`, the narrowed rule may have
/// become one that asks no less than each other one that could be meant: then what was ambiguous is decided by it, and
/// whoever passes it would pass each of them.
fn opens_nothing(
    [before, after]: [&str; 2],
    around: &(Answers, Login),
    requests: &[CheckRequest],
    settles: bool,
) -> Result<(), TestCaseError> {
    for (request, (before, after)) in
        requests.iter().zip(ends(before, around, requests).into_iter().zip(ends(after, around, requests)))
    {
        let was_settled = settles && before.1 == Reason::AmbiguousPath;
        prop_assert!(before.0 || !after.0 || was_settled, "{before:?}, then {after:?}: {request:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn reviews_open_nothing(
        rules in rules(), place in any::<Place>(), added in prop::sample::select(REVIEWS), same in any::<bool>(),
        around in around(), requests in requests(),
    ) {
        if let Some(place) = one_without(&rules, place, |rule| rule.asks.is_some()) {
            // What no other rule asks.
            let added = if same { added.to_owned() } else { added.replace("pods", "jobs") };
            let narrowed = |index, lines: &mut Vec<String>| {
                if index == place {
                    lines[0] = format!("{}, {added}", lines[0]);
                }
            };
            opens_nothing([&written(&rules, |_, _| {}), &written(&rules, narrowed)], &around, &requests, same)?;
        }
    }

    #[test]
    fn a_login_opens_nothing(
        rules in rules(), place in any::<Place>(), added in prop::sample::select(LOGINS),
        around in around(), requests in requests(),
    ) {
        if let Some(place) = one_without(&rules, place, |rule| rule.login.is_some()) {
            let narrowed = |index, lines: &mut Vec<String>| {
                if index == place {
                    lines[0] = format!("{}, {added}", lines[0]);
                }
            };
            let settles = rules.iter().any(|rule| rule.login.is_some());
            opens_nothing([&written(&rules, |_, _| {}), &written(&rules, narrowed)], &around, &requests, settles)?;
        }
    }

    #[test]
    fn a_rule_that_denies_where_something_is_so_opens_nothing(
        rules in rules(), place in any::<Place>(), conditions in prop::sample::select(CONDITIONS),
        paths in prop::sample::select(PATHS), around in around(), requests in requests(),
    ) {
        let place = place.index(rules.len());
        let denied = |index, lines: &mut Vec<String>| {
            if index == place {
                let fields = ["name: denies", "access: deny", conditions, paths];
                lines.insert(0, fields.into_iter().filter(|field| !field.is_empty()).collect::<Vec<_>>().join(", "));
            }
        };
        opens_nothing([&written(&rules, |_, _| {}), &written(&rules, denied)], &around, &requests, false)?;
    }

    #[test]
    fn reviews_in_shadow_change_no_answer(
        rules in rules(), place in any::<Place>(), added in prop::sample::select(REVIEWS),
        paths in prop::sample::select(PATHS), (answers, login) in around(), requests in requests(),
    ) {
        let place = place.index(rules.len());
        let watched = |index, lines: &mut Vec<String>| {
            if index == place {
                let fields = ["name: watches", "mode: shadow", added, paths];
                lines.insert(0, fields.into_iter().filter(|field| !field.is_empty()).collect::<Vec<_>>().join(", "));
            }
        };
        let [without, with] = [written(&rules, |_, _| {}), written(&rules, watched)]
            .map(|rules| House::asking(&rules, Arc::new(answers), login.clone()));
        for request in &requests {
            let asked = |house: &House| filled(request.clone(), house).encode_to_vec();
            prop_assert_eq!(outcome(&without, &asked(&without)), outcome(&with, &asked(&with)));
        }
    }
}

/// Else the properties above would compare refusals alone.
#[test]
fn rules_that_ask_for_more_are_passed_and_refused() {
    let mut runner = TestRunner::deterministic();
    let strategy = (rules(), around(), requests());
    let (mut reasons, mut passed) = (BTreeSet::new(), 0);
    for _ in 0..100 {
        let (rules, around, requests) = strategy.new_tree(&mut runner).unwrap().current();
        for (passes, reason) in ends(&written(&rules, |_, _| {}), &around, &requests) {
            passed += u32::from(passes);
            reasons.insert(reason);
        }
    }
    assert!((100..700).contains(&passed), "{passed} of 800 pass: {reasons:?}");
    for reason in [
        Reason::Session,
        Reason::ServiceAccount,
        Reason::AmbiguousPath,
        Reason::DeniedByRule,
        Reason::NotPermitted,
        Reason::AccessReviewDenied,
        Reason::ApiServerUnavailable,
        Reason::ResourceMissing,
        Reason::ResourceAmbiguous,
        Reason::InsufficientUserAuthentication,
    ] {
        assert!(reasons.contains(&reason), "{reason} is not reached: {reasons:?}");
    }
}
