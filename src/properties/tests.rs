mod narrowing;

use std::collections::BTreeMap;

use allocation_counter::measure;
use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use super::{exchange::filled, house::House, *};
use crate::{decision::Decision, reason::Reason};

/// Ends that requests reach: what the properties say of an allow is shown on allows.
pub(super) const REACHED: &[Reason] = &[
    Reason::Public,
    Reason::Anonymous,
    Reason::Session,
    Reason::ServiceAccount,
    Reason::Preflight,
    Reason::LoginStarted,
    Reason::SignedOut,
    Reason::Page,
    Reason::MalformedRequest,
    Reason::UnknownHost,
    Reason::AmbiguousPath,
    Reason::ProtectedHeaderHidden,
    Reason::NotFound,
    Reason::MethodNotAllowed,
    Reason::CrossOrigin,
    Reason::NotANavigation,
    Reason::NotSignedIn,
    Reason::TicketInvalid,
    Reason::DeniedByRule,
    Reason::NotPermitted,
];

/// Choices for the grammar, and texts of every kind; shrinks toward few bytes.
fn exchanges() -> impl Strategy<Value = Exchange> {
    let paths = "/[a-z%2eEfF5cC;./\\\\#!]{0,30}|/public[a-z%2e;./\\\\#! é]{0,12}|\
                 [/;.]{0,3}/(closed|CLOSED|%63losed|%u0063losed|admins|Admins)[a-z%2eEu0fF3B;./ \\\\]{0,8}|\\PC{0,20}";
    let cookies = "([a-z]{1,4}=[ -~]{0,6}|__Host-portcullis(-login)?=(\\{ticket\\}|x)|\\PC{0,6}|,|;|\n){0,6}";
    prop_oneof![
        6 => vec(any::<u8>(), 0..160).prop_map(|bytes| Exchange::of_choices(&bytes)),
        1 => paths.prop_map(|path| Exchange::of_path(path.as_bytes())),
        1 => cookies.prop_map(|lines| Exchange::of_cookies(lines.as_bytes())),
    ]
}

macro_rules! properties_of_every_check {
    ($($name:ident)+) => {
        proptest! {
            $(
                #[test]
                fn $name(exchange in exchanges()) {
                    super::$name(&exchange);
                }
            )+
        }

        #[test]
        fn every_property_has_its_test() {
            assert_eq!([$(stringify!($name)),+].len(), PROPERTIES.len());
        }
    };
}

properties_of_every_check! {
    no_protected_header_survives
    nobody_is_named_without_a_credential
    credentials_of_ours_end_here
    set_and_removed_never_meet
    at_most_one_cookie_is_set
    values_hold_no_line_ends
    public_rules_match_clean_paths_only
    no_reading_of_a_closed_path_passes
    every_decision_has_a_reason
    other_cookies_pass
    redirects_stay_with_us_or_the_provider
}

/// Rules that would open, close and change all, and decide nothing.
const IN_SHADOW: &str = r"
  - {name: opens, mode: shadow, paths: [{prefix: /admins}, {prefix: /closed}], access: public}
  - {name: tells, mode: shadow, paths: [{prefix: /robots}, {prefix: /optional}], headers: {user: x-user}, keep_bearer: true}
  - {name: closes, mode: shadow, methods: [GET, POST], access: deny}
";

/// Why a request ends how, and what becomes of its headers; an assertion is never signed twice alike.
pub(super) fn outcome(house: &House, message: &[u8]) -> Option<(Reason, String)> {
    let (checked, _) = house.answer(message)?;
    let changes = match &checked.decision {
        Decision::Allow(allow) => {
            let mutations = allow.mutations();
            let sets = mutations.sets().filter(|(name, _)| *name != "portcullis-assertion");
            let sets: Vec<_> = sets.map(|(name, value)| format!("{name}: {}", value.as_str())).collect();
            format!("{sets:?} {:?}", mutations.removes().collect::<Vec<_>>())
        }
        Decision::Respond(respond) => format!("{:?}", respond.disposition),
    };
    Some((checked.record.reason, changes))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rules_in_shadow_change_no_answer(choices in vec(any::<u8>(), 0..160)) {
        let (without, with) = (House::new(), House::with_rules(IN_SHADOW));
        let asked = |house: &House| filled(grammar::request(&choices), house).encode_to_vec();
        prop_assert_eq!(outcome(&without, &asked(&without)), outcome(&with, &asked(&with)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_way_back_leads_home(target in "\\PC{0,30}|/[/\\\\@:.%a-z0-9?#&\t\r\n]{0,30}|[a-z]{0,6}:?/{0,3}[a-z@./\\\\]{0,20}") {
        super::the_way_back_leads_home(target.as_bytes());
    }
}

/// A template, a path, a query and a parameter that have much to do with each other.
const CAPTURES: &str = "(/(\\{a\\}|a|a\\*|\\*){1,3}(/\\*\\*)?|(\\{a\\}|p|\\*)(/(\\{a\\}|p|\\*)){0,2}(/\\*\\*)?|\\PC{0,12})\n\
    (/(a|b|p|%61|%2f|%5c|%252f|;x|;|\\.|\\.\\.|%2e|#|!|\\\\|/|é|%ff|%){0,6}){1,3}\n\
    ((namespace|NameSpace|%6eamespace|%256eamespace|key|a|[\\[\\]%&;=+ ]|%5[bBdD]|%255b|\\[\\]|%00|%ff){0,4}=(p|a|/|%2f|%252f|\\.\\.|%2e|\\\\|[;&\\]=%+]){0,5}[&;]?){0,4}\n\
    (key|namespace|a)?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_captured_is_what_is_read(lines in CAPTURES) {
        super::what_is_captured_is_what_is_read(lines.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn messages_are_read_as_by_the_stock_codec(choices in vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
        let mut message = codec::message_of(&choices);
        super::messages_are_read_as_by_the_stock_codec(&message);
        super::messages_are_read_as_by_the_stock_codec(&choices);
        if !message.is_empty() {
            let byte = at.index(message.len());
            message[byte] ^= choices.first().copied().unwrap_or(1);
            super::messages_are_read_as_by_the_stock_codec(&message);
        }
    }
}

/// Else the property above would compare refusals alone.
#[test]
fn messages_of_choices_are_read_or_refused_each_often() {
    let messages: Vec<Vec<u8>> = (0..1000)
        .map(|number| codec::message_of(&(0..3).flat_map(|part| corpus::bytes(number * 3 + part)).collect::<Vec<_>>()))
        .collect();
    let read: Vec<_> = messages.iter().filter_map(|message| crate::ext_authz::raw_request(message)).collect();
    let holding = |what: fn(&crate::request::RawRequest) -> bool| read.iter().filter(|raw| what(raw)).count();
    let found = [
        messages.len() - read.len(),
        holding(|raw| !raw.method().is_empty()),
        holding(|raw| raw.source().is_some()),
        holding(|raw| raw.headers().names().count() > 1),
    ];
    assert!(found.iter().all(|count| *count >= 20), "refused, with a method, a source, two lines: {found:?}");
}

/// What a message takes while it is decoded and read.
fn most_held(message: &[u8]) -> u64 {
    measure(|| decoding(message)).bytes_max
}

proptest! {
    #[test]
    fn decoding_neither_panics_nor_takes_much_memory(
        garbage in vec(any::<u8>(), 0..2000),
        choices in vec(any::<u8>(), 0..160),
        at in any::<prop::sample::Index>(),
    ) {
        let mut damaged = grammar::request(&choices).encode_to_vec();
        let byte = at.index(damaged.len());
        damaged[byte] ^= garbage.first().copied().unwrap_or(1);
        for message in [&garbage, &damaged] {
            prop_assert!(most_held(message) <= most_allocated(message.len()) as u64, "{}", most_held(message));
            super::message(message);
        }
    }
}

#[test]
fn what_asks_for_most_memory_stays_within_the_bound() {
    let nested = |mut inner: Vec<u8>| {
        // headers of header_map (13) of http (2) of request (4) of attributes (1).
        for field in [13_u8, 2, 4, 1] {
            let mut length = Vec::new();
            prost::encoding::encode_varint(inner.len() as u64, &mut length);
            inner = [&[field << 3 | 2][..], &length, &inner].concat();
        }
        inner
    };
    for lines in [0, 1, 100, 10_000, 100_000] {
        let message = nested([10, 0].repeat(lines));
        let held = most_held(&message);
        assert!(held <= most_allocated(message.len()) as u64, "{lines} lines: {held}");
        assert!(held >= lines as u64 * 16, "{lines} lines take {held}: nothing was measured");
    }
}

#[test]
fn requests_of_the_grammar_get_far() {
    let (mut reasons, mut rules) = (BTreeMap::<Reason, u32>::new(), BTreeMap::<String, u32>::new());
    let (mut allowed, tried) = (0, 2000);
    for number in 0..tried {
        let record = Exchange::of_choices(&corpus::bytes(number)).record;
        *reasons.entry(record.reason).or_default() += 1;
        *rules.entry(record.rule().unwrap_or_default().to_owned()).or_default() += 1;
        allowed += u32::from(record.disposition.is_none());
    }
    assert!(allowed > tried / 8 && allowed < tried * 7 / 8, "{allowed} of {tried} are allowed: {reasons:?}");
    for reason in REACHED {
        assert!(reasons.contains_key(reason), "{reason} is not reached: {reasons:?}");
    }
    for reason in [Reason::Public, Reason::Anonymous, Reason::Session, Reason::LoginStarted] {
        assert!(reasons[&reason] >= 20, "{reason}: {reasons:?}");
    }
    for rule in ["public", "hooks", "optional", "closed", "admins", "robots", "cors", "default"] {
        assert!(rules.get(rule).is_some_and(|count| *count >= 4), "{rule}: {rules:?}");
    }
}

/// A property that lets everything pass would show nothing.
#[test]
fn a_check_that_was_decided_wrongly_breaks_its_property() {
    let good = || Exchange::of_path(b"/optional/page");
    let breaks = |property: Property, change: fn(&mut Exchange)| {
        let mut exchange = good();
        property(&exchange);
        change(&mut exchange);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| property(&exchange))).is_err()
    };
    assert!(breaks(super::no_protected_header_survives, |exchange| exchange.ok().headers.clear()));
    assert!(breaks(super::credentials_of_ours_end_here, |exchange| exchange.ok().headers_to_remove.clear()));
    assert!(breaks(super::other_cookies_pass, |exchange| {
        exchange.asked.headers.insert("cookie".into(), "a=1".into());
    }));
    assert!(breaks(super::set_and_removed_never_meet, |exchange| {
        exchange.ok().headers_to_remove.push("Kubeflow-UserID".into());
    }));
    assert!(breaks(super::values_hold_no_line_ends, |exchange| {
        exchange.ok().headers[0].header.as_mut().unwrap().value.push_str("\r\nx: y");
    }));
    assert!(breaks(super::public_rules_match_clean_paths_only, |exchange| {
        (exchange.record.reason, exchange.asked.path) = (Reason::Public, "/public/%2e".into());
    }));
    assert!(breaks(super::no_reading_of_a_closed_path_passes, |exchange| {
        exchange.asked.path = "/;x/CLOSED".into();
    }));
    assert!(breaks(super::every_decision_has_a_reason, |exchange| exchange.record.reason = Reason::NotSignedIn));
    assert!(breaks(super::nobody_is_named_without_a_credential, |exchange| exchange.asked = HttpRequest::default()));
    assert!(breaks(super::at_most_one_cookie_is_set, |exchange| {
        let mut cookie = exchange.ok().headers[0].clone();
        cookie.header.as_mut().unwrap().key = "set-cookie".into();
        exchange.ok().response_headers_to_add = vec![cookie.clone(), cookie];
    }));
}

impl Exchange {
    fn ok(&mut self) -> &mut envoy_types::pb::envoy::service::auth::v3::OkHttpResponse {
        use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
        match &mut self.answer.http_response {
            Some(HttpResponse::OkResponse(ok)) => ok,
            _ => panic!("not allowed"),
        }
    }
}
