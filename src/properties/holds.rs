//! The properties of every check. Each is written out again here, from what is promised, and asks no code of the
//! product whether the product is right.

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use serde_json::Value;
use url::Url;

use super::{
    exchange::{Exchange, Line, lines_of},
    house::{ACCOUNT, LOGIN_COOKIE, ORIGINS, SESSION_COOKIE, USER},
    provider,
};
use crate::{reason::Reason, secret::decode};

/// A property of every check: it panics where it does not hold.
pub type Property = fn(&Exchange);

/// Every property of every check.
pub const PROPERTIES: &[Property] = &[
    no_protected_header_survives,
    nobody_is_named_without_a_credential,
    credentials_of_ours_end_here,
    set_and_removed_never_meet,
    at_most_one_cookie_is_set,
    values_hold_no_line_ends,
    public_rules_match_clean_paths_only,
    no_reading_of_a_closed_path_passes,
    every_decision_has_a_reason,
    other_cookies_pass,
    redirects_stay_with_us_or_the_provider,
];

/// The names that only we may set, as we promise them, and those that could turn a request into another one behind us.
const PROTECTED: &[&str] = &[
    "kubeflow-userid",
    "kubeflow-groups",
    "auth-method",
    "portcullis-assertion",
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];
/// The header of each thing that is told of a principal.
const TOLD: [&str; 4] = ["kubeflow-userid", "kubeflow-groups", "auth-method", "portcullis-assertion"];

fn is_protected(name: &str) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte.to_ascii_lowercase()) } else { '-' };
    let folded: String = name.bytes().map(fold).collect();
    folded.starts_with("x-auth-request-") || PROTECTED.contains(&folded.as_str())
}

/// The values that stand at `name` in `lines`.
fn values<'a>(lines: &'a [Line], name: &str) -> Vec<&'a str> {
    lines.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str()).collect()
}

/// On every request that goes on, a protected header in any spelling is one that we set about who was authenticated, once,
/// or is not there.
///
/// # Panics
/// Where it does not hold.
pub fn no_protected_header_survives(exchange: &Exchange) {
    let Some(upstream) = exchange.upstream() else { return };
    let (userid, groups, method) = match exchange.record.reason {
        Reason::Session => (Some(USER), Some("dev,ops"), Some("cookie")),
        Reason::ServiceAccount => (Some(ACCOUNT), Some("system:serviceaccounts,system:authenticated"), Some("header")),
        _ => (None, None, None),
    };
    let expected = |value: Option<&'static str>| value.into_iter().collect::<Vec<_>>();
    assert_eq!(values(&upstream, TOLD[0]), expected(userid));
    assert_eq!(values(&upstream, TOLD[1]), expected(groups));
    assert_eq!(values(&upstream, TOLD[2]), expected(method));
    let assertions = values(&upstream, TOLD[3]);
    assert_eq!(assertions.len(), usize::from(userid.is_some()), "assertions: {assertions:?}");
    for assertion in assertions {
        let payload = assertion.split('.').nth(1).and_then(decode).expect("an assertion is a JWT");
        let claims: Value = serde_json::from_slice(&payload).expect("claims are JSON");
        assert_eq!(claims["userid"].as_str(), userid);
    }
    for (name, value) in &upstream {
        assert!(!is_protected(name) || TOLD.contains(&name.as_str()), "{name}: {value} goes on");
    }
}

/// A person is named only where their ticket came in the cookie, a service account only where its token came as the one
/// bearer.
///
/// # Panics
/// Where it does not hold.
pub fn nobody_is_named_without_a_credential(exchange: &Exchange) {
    let came =
        |name: &str, credential: &str| exchange.received_values(name).iter().any(|value| value.contains(credential));
    match exchange.record.principal().as_deref() {
        None => {
            let reason = exchange.record.reason;
            assert!(!matches!(reason, Reason::Session | Reason::ServiceAccount), "{reason} names nobody");
        }
        Some(USER) => {
            assert!(came("cookie", &exchange.ticket), "the person's ticket did not come");
            assert_eq!(
                exchange.asked.host.to_ascii_lowercase().split([':']).next().map(|host| host.trim_end_matches('.')),
                Some(ORIGINS[0].0)
            );
        }
        Some(ACCOUNT) => {
            let authorization = exchange.received_values("authorization");
            assert_eq!(authorization.len(), 1, "several credentials: {authorization:?}");
            assert!(authorization[0].trim().ends_with(&exchange.token), "the account's token did not come");
        }
        Some(other) => panic!("{other} is nobody that could be authenticated"),
    }
}

/// No cookie of ours and no token that was ours to judge reaches a service.
///
/// # Panics
/// Where it does not hold.
pub fn credentials_of_ours_end_here(exchange: &Exchange) {
    let Some(upstream) = exchange.upstream() else { return };
    for cookies in values(&upstream, "cookie") {
        // The login cookie's name begins with the session cookie's.
        assert!(!cookies.contains(SESSION_COOKIE), "a cookie of ours goes on: {cookies}");
    }
    for authorization in values(&upstream, "authorization") {
        let is_bearer =
            |value: &str| value.trim().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let bearers = authorization.split(',').filter(|value| is_bearer(value));
        assert!(!bearers.into_iter().any(|value| value.contains(&exchange.token)), "a token of ours goes on");
    }
}

/// No name is both set and removed, and none is set twice: clients carry the two out in opposite orders.
///
/// # Panics
/// Where it does not hold.
pub fn set_and_removed_never_meet(exchange: &Exchange) {
    let Some(ok) = exchange.allowed() else { return };
    let lower = |name: &String| name.to_ascii_lowercase();
    let mut names: Vec<String> = lines_of(&ok.headers).iter().map(|(name, _)| lower(name)).collect();
    names.extend(ok.headers_to_remove.iter().map(lower));
    names.sort();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
}

/// No answer holds two `Set-Cookie`: one is what every client of `ext_authz` delivers.
///
/// # Panics
/// Where it does not hold.
pub fn at_most_one_cookie_is_set(exchange: &Exchange) {
    let set: Vec<Line> =
        exchange.to_client().into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).collect();
    assert!(set.len() <= 1, "{} cookies are set", set.len());
    for (_, cookie) in set {
        let name = cookie.split('=').next().unwrap_or_default();
        assert!([SESSION_COOKIE, LOGIN_COOKIE].contains(&name), "{name} is no cookie of ours");
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(cookie.split("; ").any(|have| have == attribute), "{name} lacks {attribute}");
        }
    }
}

/// No value that we send holds CR, LF or NUL, is empty, or has spaces at its ends; every name is a token; and each
/// overwrites, in the one way that all clients read alike.
///
/// # Panics
/// Where it does not hold.
pub fn values_hold_no_line_ends(exchange: &Exchange) {
    for option in exchange.sent() {
        let header = option.header.as_ref().expect("an option without a header");
        let (name, value) = (&header.key, &header.value);
        assert!(http::HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name:?} is no token");
        assert!(!value.contains(['\r', '\n', '\0']), "{name}: {value:?}");
        assert!(!value.is_empty() && value.trim_matches([' ', '\t']) == value, "{name}: {value:?}");
        assert!(header.raw_value.is_empty(), "{name}");
        assert_eq!(option.append_action, HeaderAppendAction::OverwriteIfExistsOrAdd as i32, "{name}");
    }
}

/// A public rule lets pass only what every server behind reads alike: neither `%`, `\`, `;`, `#`, `//`, dot segments,
/// controls nor anything that is not ASCII in the path, nor `!`, which Envoy writes for a byte that is not UTF-8.
///
/// # Panics
/// Where it does not hold.
pub fn public_rules_match_clean_paths_only(exchange: &Exchange) {
    let path = exchange.asked.path.split('?').next().unwrap_or_default();
    let segments = || path.split('/').skip(1);
    let last = segments().count().saturating_sub(1);
    let dots = segments().any(|segment| segment == "." || segment == "..");
    let empty = segments().enumerate().any(|(at, segment)| segment.is_empty() && at != last);
    let strange = |next: char| !next.is_ascii_graphic() || "%\\;#!".contains(next);
    let clean = path.starts_with('/') && !dots && !empty && !path.contains(strange);
    match exchange.record.reason {
        Reason::Public => {
            assert!(clean, "{path:?} is not byte-clean");
            let rule = exchange.record.rule().unwrap_or_default();
            assert!(["public", "hooks"].contains(&rule), "{rule} is not public");
            assert_eq!(segments().next(), Some(rule), "{path:?}");
        }
        // Our own endpoints are addresses like a public rule's.
        Reason::Page | Reason::SignedOut | Reason::SignedIn | Reason::LoginResumed | Reason::LoginRestarted => {
            assert!(clean, "{path:?} is not byte-clean");
        }
        _ => {}
    }
}

/// Where a rule lets nobody pass, or nobody who could ask, no way to write its path passes: not decoded, with its
/// parameters cut in either way, with slashes merged, nor in another case.
///
/// # Panics
/// Where it does not hold.
pub fn no_reading_of_a_closed_path_passes(exchange: &Exchange) {
    if exchange.allowed().is_none() {
        return;
    }
    let mut path = exchange.asked.path.split('?').next().unwrap_or_default().to_owned();
    for _ in 0..12 {
        path = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
    }
    let path = path.replace('\\', "/").to_ascii_lowercase();
    let segments_cut: Vec<&str> =
        path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    for reading in [path.as_str(), path.split(';').next().unwrap_or_default(), &segments_cut.join("/")] {
        let first = reading.split('/').find(|segment| !matches!(*segment, "" | "."));
        let closed = first.is_some_and(|first| ["closed", "admins"].contains(&first.trim_end_matches(['.', ' '])));
        assert!(!closed, "{} passes, and could be {reading}", exchange.asked.path);
    }
}

/// Every decision has exactly one reason, which its answer tells in one spelling; none can be read as its contrary; and
/// nothing that comes from outside makes us fail inside.
///
/// # Panics
/// Where it does not hold.
pub fn every_decision_has_a_reason(exchange: &Exchange) {
    let (record, status) = (&exchange.record, exchange.answer.status.as_ref().expect("an answer has a status"));
    let (reason, goes_on) = (record.reason, record.disposition.is_none());
    assert_ne!(reason, Reason::Internal, "an input made us fail inside");
    let passes = [Reason::Public, Reason::Anonymous, Reason::Session, Reason::ServiceAccount, Reason::Preflight];
    assert_eq!(goes_on, passes.contains(&reason), "{reason}");
    assert_eq!(goes_on, status.code == 0, "{reason}");
    assert_eq!(goes_on, exchange.allowed().is_some(), "{reason}");
    let Some(denied) = exchange.denied() else {
        assert!(goes_on, "{reason}: neither allowed nor answered");
        return;
    };
    assert_eq!(status.message, reason.as_str());
    let code = denied.status.as_ref().map(|status| status.code);
    assert!(code.is_some_and(|code| (200..600).contains(&code)), "{reason}: {code:?}");
    match exchange.header("content-type").as_deref() {
        Some("application/problem+json") => {
            let problem: Value = serde_json::from_str(&denied.body).expect("a problem is JSON");
            assert_eq!(problem["reason"], reason.as_str());
            assert_eq!(problem["request_id"].as_str(), Some(record.request_id()));
        }
        None if exchange.header("grpc-status").is_some() => {
            let message = exchange.header("grpc-message").unwrap_or_default();
            assert!(message.contains(reason.as_str()) && message.contains(record.request_id()), "{message}");
        }
        // A page, the document of an endpoint, or a redirect without a body.
        _ => {}
    }
}

/// The cookies that are not ours pass byte for byte, in their order; the header is taken away whole only where nothing is
/// left, or what is left cannot be told from a cookie of ours or cannot be sent as it is.
///
/// # Panics
/// Where it does not hold.
pub fn other_cookies_pass(exchange: &Exchange) {
    let Some(upstream) = exchange.upstream() else { return };
    let (came, goes_on) = (exchange.received_values("cookie"), values(&upstream, "cookie"));
    if !came.iter().any(|line| line.contains(SESSION_COOKIE)) {
        assert_eq!(goes_on, came, "none of ours was there");
        return;
    }
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().trim_matches([' ', '\t']).to_owned();
    let is_ours = |pair: &&str| [SESSION_COOKIE, LOGIN_COOKIE].contains(&name(pair).as_str());
    let others: Vec<&str> = came.iter().flat_map(|line| line.split(';')).filter(|pair| !is_ours(pair)).collect();
    match goes_on.as_slice() {
        [] => {
            let rest = others.join(";");
            let rest = rest.trim_start_matches([' ', '\t']);
            let ambiguous = rest.contains(SESSION_COOKIE);
            let cannot_be_sent = rest.trim() != rest || rest.contains(char::is_control);
            assert!(rest.is_empty() || ambiguous || cannot_be_sent, "lost: {rest:?}");
        }
        [line] => {
            let pairs: Vec<&str> = line.split(';').collect();
            assert_eq!(pairs.len(), others.len(), "{line:?} of {came:?}");
            for (at, (pair, other)) in pairs.iter().zip(&others).enumerate() {
                let other = if at == 0 { other.trim_start_matches([' ', '\t']) } else { other };
                assert_eq!(*pair, other, "{line:?} of {came:?}");
            }
        }
        several => panic!("several lines go on: {several:?}"),
    }
}

/// Where an answer sends a client is a place on the origin that was asked, or the provider's own address with our
/// callback of that origin; so is every link and form of a page.
///
/// # Panics
/// Where it does not hold.
pub fn redirects_stay_with_us_or_the_provider(exchange: &Exchange) {
    let Some(denied) = exchange.denied() else { return };
    let asked = exchange.asked.host.to_ascii_lowercase();
    let asked = asked.split(':').next().unwrap_or_default().trim_end_matches('.');
    let origin = ORIGINS.iter().find(|(host, _)| *host == asked).map(|(_, url)| *url);
    if let Some(location) = exchange.header("location") {
        if exchange.record.reason == Reason::LoginStarted || exchange.record.reason == Reason::LoginRestarted {
            is_authorization_at(&location, origin.expect("a login begins at a host of ours"));
        } else {
            is_place_on(&location, origin.expect("a redirect comes from a host of ours"));
        }
    }
    if exchange.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
        for attribute in [" href=\"", " action=\""] {
            for link in denied.body.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                is_place_on(&unescape(link), origin.expect("a page of a host that is not ours has no links"));
            }
        }
    }
}

/// What an attribute's value says.
fn unescape(value: &str) -> String {
    ["&#38;", "&#34;", "&#39;", "&#60;", "&#62;"]
        .iter()
        .zip(["&", "\"", "'", "<", ">"])
        .fold(value.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// # Panics
/// Where a browser at `origin` would go elsewhere.
pub(super) fn is_place_on(location: &str, origin: &str) {
    let read = Url::parse(location).unwrap_or_else(|error| panic!("{location:?}: {error}"));
    let ours = Url::parse(origin).expect("an origin of ours");
    assert_eq!(read.origin(), ours.origin(), "{location:?}");
    assert!(read.username().is_empty() && read.password().is_none(), "{location:?}");
    // Not only as the standard reads it: whoever cuts at the first slash comes to the same.
    assert!(location.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/')), "{location:?}");
}

/// # Panics
/// Where it is not the provider's address, or the answer would go elsewhere than to our callback.
pub(super) fn is_authorization_at(location: &str, origin: &str) {
    let read = Url::parse(location).unwrap_or_else(|error| panic!("{location:?}: {error}"));
    assert_eq!(location.split('?').next(), Some(provider::authorization_endpoint().as_str()));
    let callbacks: Vec<String> =
        read.query_pairs().filter(|(name, _)| name == "redirect_uri").map(|(_, value)| value.into_owned()).collect();
    assert_eq!(callbacks, [format!("{origin}/portcullis/callback")]);
}
