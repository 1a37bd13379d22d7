//! What a provider's document says of what is configured.

use std::time::Duration;

use serde_json::{Map, Value};

use super::report::{Report, list};
use crate::{
    authz::LoginRequirement,
    clock::Timestamp,
    providers::{Answer, Discovered, ProviderConfig, StrictAsk, told_times::LEEWAY},
};

/// How far the provider's clock may be from ours before anybody should look.
const CLOCKS_APART: Duration = Duration::from_secs(15);

/// Whether the two clocks agree: times in tokens are held to ours.
pub(super) fn clock(report: &mut Report, theirs: Option<Timestamp>, ours: Timestamp) {
    let Some(theirs) = theirs else { return };
    let (apart, side) = if theirs > ours { (theirs.since(ours), "ahead of") } else { (ours.since(theirs), "behind") };
    let text = format!("the provider's clock is {} s {side} ours", apart.as_secs());
    if apart > LEEWAY {
        report.fault("clock", format!("{text}: its ID tokens are refused"));
    } else if apart > CLOCKS_APART {
        report.warning("clock", text);
    } else {
        report.fine("clock", text);
    }
}

/// What the document says.
pub(super) fn found(
    report: &mut Report,
    config: &ProviderConfig,
    members: &Map<String, Value>,
    discovered: &Discovered,
) {
    let document = Document { members };
    let odd: Vec<&str> = Answer::Discovery.odd(members).collect();
    if !odd.is_empty() {
        report.note("discovery", format!("of another type than they should be, and not believed: {}", list(odd)));
    }
    algorithms(report, config, discovered);
    pkce(report, &document);
    scopes(report, config, discovered, &document);
    refresh(report, config, discovered, &document);
    endpoints(report, config, discovered, &document);
}

/// Whether it tells what rules ask of logins. Whether it does, the first sign-in shows: these lists bind nobody.
pub(super) fn logins(report: &mut Report, logins: &[(&str, &LoginRequirement)], members: &Map<String, Value>) {
    let document = Document { members };
    let claims = document.list("claims_supported").unwrap_or_default();
    let known = document.list("acr_values_supported").unwrap_or_default();
    for (rule, wanted) in logins {
        let told = [("auth_time", wanted.max_age().is_some()), ("amr", !wanted.methods().is_empty())];
        let untold: Vec<&str> =
            told.iter().filter(|(claim, asked)| *asked && !claims.contains(claim)).map(|(claim, _)| *claim).collect();
        for claim in &untold {
            let text = format!(
                "the rule `{rule}` needs `{claim}` in the ID token, and `claims_supported` does not list it: many tell it all \
                 the same, and where this provider does not, nobody passes that rule"
            );
            report.warning("login", text);
        }
        let contexts = wanted.contexts().iter().map(String::as_str);
        let unknown: Vec<&str> = contexts.filter(|context| !known.contains(context)).collect();
        if !unknown.is_empty() {
            let text = format!(
                "the rule `{rule}` asks for an `acr` that `acr_values_supported` does not list: {}",
                list(unknown)
            );
            report.warning("login", text);
        } else if untold.is_empty() {
            report.fine("login", format!("it tells what the rule `{rule}` asks of logins"));
        }
    }
}

struct Document<'a> {
    members: &'a Map<String, Value>,
}

impl<'a> Document<'a> {
    /// The texts of a list, where there is one that is not empty.
    fn list(&self, name: &str) -> Option<Vec<&'a str>> {
        let texts: Vec<&str> = self.members.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect();
        (!texts.is_empty()).then_some(texts)
    }

    fn says(&self, name: &str) -> bool {
        self.members.get(name) == Some(&Value::Bool(true))
    }
}

fn algorithms(report: &mut Report, config: &ProviderConfig, discovered: &Discovered) {
    let taken = list(discovered.algorithms.iter().map(|algorithm| algorithm.name()));
    let keys = &discovered.keys;
    if keys.is_empty() {
        report.fault("keys", "its key set holds no key that can verify a signature".to_owned());
    } else if discovered.algorithms.iter().any(|algorithm| keys.has_for(*algorithm)) {
        report.fine("keys", format!("{} that can verify; ID tokens may be signed with {taken}", keys.len()));
    } else {
        let origin =
            if config.signing_algorithms.is_some() { "`id_token_signing_algorithms` says" } else { "it lists" };
        report.fault("keys", format!("none of its {} keys is for what {origin}: {taken}", keys.len()));
    }
}

fn pkce(report: &mut Report, document: &Document<'_>) {
    match document.list("code_challenge_methods_supported") {
        Some(methods) => report.fine("PKCE", list(methods)),
        None => report.note("PKCE", "it lists no methods; S256 is sent all the same".to_owned()),
    }
}

fn scopes(report: &mut Report, config: &ProviderConfig, discovered: &Discovered, document: &Document<'_>) {
    let asked = config.scopes.at(&discovered.scopes);
    let unlisted: Vec<&str> = asked
        .iter()
        .copied()
        .filter(|scope| !discovered.scopes.is_empty() && !discovered.scopes.iter().any(|listed| listed == scope))
        .collect();
    if unlisted.is_empty() {
        report.fine("scopes", list(asked));
    } else {
        let text =
            format!("`scopes_supported` does not list {}: it may refuse for them (`invalid_scope`)", list(unlisted));
        report.warning("scopes", text);
    }
    let claims = document.list("claims_supported");
    let wanted = [Some(&config.claims.userid_claim), config.claims.groups_claim.as_ref()];
    for claim in wanted.into_iter().flatten() {
        if claims.as_ref().is_some_and(|claims| !claims.contains(&claim.as_str())) {
            report
                .note("claims", format!("`claims_supported` does not list `{claim}`: it may need a mapper or a scope"));
        }
    }
}

fn refresh(report: &mut Report, config: &ProviderConfig, discovered: &Discovered, document: &Document<'_>) {
    if config.refresh.is_none() && config.strict.is_none() {
        return;
    }
    if document.list("grant_types_supported").is_some_and(|grants| !grants.contains(&"refresh_token")) {
        let text = "`grant_types_supported` does not list refresh_token: sessions would end with their access token";
        report.warning("refresh", text.to_owned());
    }
    let offline = "offline_access";
    let lists = discovered.scopes.iter().any(|scope| scope == offline);
    if config.refresh.is_some() && lists && !config.scopes.at(&discovered.scopes).contains(&offline) {
        let text =
            "it lists the scope offline_access: some issue a refresh token for it alone, others (Keycloak) without it";
        report.note("refresh", text.to_owned());
    }
}

fn endpoints(report: &mut Report, config: &ProviderConfig, discovered: &Discovered, document: &Document<'_>) {
    let endpoints = &discovered.endpoints;
    for (name, usable) in [
        ("end_session_endpoint", endpoints.end_session.is_some()),
        ("revocation_endpoint", endpoints.revocation.is_some()),
        ("introspection_endpoint", endpoints.introspection.is_some()),
    ] {
        if !usable && document.members.get(name).is_some_and(|told| !told.is_null()) {
            report.warning("endpoints", format!("its `{name}` cannot be used, and counts as none"));
        }
    }
    if config.logout.at_provider && endpoints.end_session.is_none() {
        let text =
            "it has no `end_session_endpoint`: sign-out ends the session here, and the provider remembers the person";
        report.note("sign-out", text.to_owned());
    }
    if config.logout.back_channel {
        if document.says("backchannel_logout_supported") {
            let by_sid = document.says("backchannel_logout_session_supported");
            let by = if by_sid { "by `sid`" } else { "by person alone" };
            report.fine("back-channel", format!("it tells of sign-outs, {by}, where the client has our URI"));
        } else {
            report.note("back-channel", "it does not say that it tells of sign-outs".to_owned());
        }
    }
    match discovered.nobody_to_ask(config) {
        Some(StrictAsk::Introspection) => report.fault(
            "strict",
            "it has no `introspection_endpoint`: write `endpoints.introspection` or `strict.ask: userinfo`".to_owned(),
        ),
        Some(StrictAsk::Userinfo) => report.fault(
            "strict",
            "it has no `userinfo_endpoint`: write `endpoints.userinfo` or leave `strict` out".to_owned(),
        ),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider_check::{Finding, Level};

    #[test]
    fn what_rules_ask_of_logins_is_looked_for_in_the_lists() {
        let told = |wanted: LoginRequirement, document: Value| {
            let mut report = Report::default();
            logins(&mut report, &[("admin", &wanted)], document.as_object().unwrap());
            let told = report.findings.into_iter().map(|finding| (finding.level, finding.text));
            told.collect::<Vec<_>>()
        };
        let recent = || LoginRequirement::new(Some(Duration::from_mins(15)), Vec::new(), Vec::new()).unwrap();
        let gold = |acr: &[&str]| {
            let acr = acr.iter().map(|value| (*value).to_owned()).collect();
            LoginRequirement::new(None, acr, vec!["otp".to_owned()]).unwrap()
        };
        let lists = json!({"claims_supported": ["sub", "auth_time", "amr"], "acr_values_supported": ["gold"]});
        let fine = "it tells what the rule `admin` asks of logins".to_owned();
        for wanted in [recent(), gold(&["gold"]), gold(&[])] {
            assert_eq!(told(wanted, lists.clone()), [(Level::Fine, fine.clone())]);
        }
        for document in [json!({}), json!({"claims_supported": ["sub"]}), json!({"claims_supported": "auth_time"})] {
            let [(level, text)] = &told(recent(), document)[..] else { panic!("one finding") };
            assert!(*level == Level::Warning && text.contains("`auth_time`") && text.contains("`admin`"), "{text}");
        }
        let [(level, text)] = &told(gold(&["gold", "silver"]), lists)[..] else { panic!("one finding") };
        assert!(*level == Level::Warning && text.ends_with("does not list: silver"), "{text}");
        let both: Vec<Level> = told(gold(&["gold"]), json!({})).into_iter().map(|(level, _)| level).collect();
        assert_eq!(both, [Level::Warning; 2]);
    }

    #[test]
    fn a_clock_that_refuses_tokens_is_a_fault() {
        let ours = Timestamp::from_unix_seconds(1_800_000_000);
        for (seconds, level) in
            [(0, Level::Fine), (15, Level::Fine), (16, Level::Warning), (60, Level::Warning), (61, Level::Fault)]
        {
            let apart = Duration::from_secs(seconds);
            for theirs in [ours.plus(apart), ours.minus(apart)] {
                let mut report = Report::default();
                clock(&mut report, Some(theirs), ours);
                let [Finding { level: found, text, .. }] = &report.findings[..] else { panic!("one finding") };
                assert_eq!(*found, level, "{text}");
                assert!(text.contains(&format!("{seconds} s")), "{text}");
            }
        }
    }
}
