//! What the services behind are told.

use crate::{config_draft::Fields, gatekeepers::Setting, migrate::work::Work};

/// The names that a gateway takes from its answers.
const OF_ANSWERS: [&str; 3] = ["X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups"];
/// The names that it tells services itself.
const OF_REQUESTS: [&str; 3] = ["X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups"];

pub(super) fn headers(work: &mut Work) {
    let is_proxy = upstreams(work);
    if let Some(setting) = work.switched_on("set_xauthrequest") {
        tell(work, &setting, &OF_ANSWERS);
    }
    for name in ["pass_user_headers", "pass_basic_auth"] {
        let Some(setting) = work.switched_on(name) else { continue };
        if is_proxy {
            tell(work, &setting, &OF_REQUESTS);
        } else {
            work.report.dropped(setting.told(), "nothing was passed on by it: it only answered");
        }
    }
    for setting in work.settings.take_all("inject.") {
        injected(work, &setting);
    }
    tokens(work);
}

/// Whether it stood in the way of the requests itself.
fn upstreams(work: &mut Work) -> bool {
    let Some(setting) = work.settings.take("upstreams") else { return false };
    let is_static = |url: &&str| url.starts_with("static://");
    if setting.items().is_some_and(|urls| urls.iter().all(is_static)) {
        work.report.dropped(setting.told(), "it only answered checks, as Portcullis does");
        return false;
    }
    work.report.dropped(setting.told(), "Portcullis passes nothing on: it answers the checks of a gateway");
    work.report.by_hand(format!(
        "lead the requests to {} through an Envoy or Istio gateway that asks Portcullis (docs/install-istio.md)",
        setting.told()
    ));
    true
}

/// User, address and groups under these names, where no others are told yet.
fn tell(work: &mut Work, setting: &Setting, names: &[&str; 3]) {
    let headers = &mut work.draft.everybody.headers;
    if !headers.is_empty() {
        work.report.dropped(setting.told(), "the same is told under other names already, and a rule knows one of each");
        return;
    }
    let [user, email, groups] = *names;
    for (field, name) in [("user", user), ("email", email), ("groups", groups)] {
        headers.set(field, name, "");
    }
    work.draft.everybody.comment.push(setting.told());
    let how = format!(
        "{user} holds the user id, and no longer the provider's `sub`; there is no preferred user name; a service account has \
         no address"
    );
    work.report.changed(setting.told(), "rules: signed-in: headers", how);
}

/// Headers of the alpha configuration, each `Name=claim`.
fn injected(work: &mut Work, setting: &Setting) {
    let mut headers = Fields::default();
    for item in setting.items().unwrap_or_default() {
        let (name, claim) = item.split_once('=').unwrap_or((item, ""));
        let field = match claim {
            "user" => "user",
            "email" => "email",
            "groups" => "groups",
            _ => {
                work.report
                    .dropped(setting.told_item(item), "services are told the user id, the address and the groups");
                continue;
            }
        };
        if headers.has(field) {
            work.report.dropped(setting.told_item(item), "the same is told under another name already");
        } else {
            headers.set(field, name, "");
        }
    }
    if headers.is_empty() || !work.draft.everybody.headers.is_empty() {
        work.report.dropped(setting.told(), "nothing of it is told that is not told already");
        return;
    }
    work.draft.everybody.headers = headers;
    work.draft.everybody.comment.push(setting.told());
    let how = "the user is the user id, and no longer the provider's `sub`";
    work.report.changed(setting.told(), "rules: signed-in: headers", how);
}

/// No token of the provider reaches a service.
fn tokens(work: &mut Work) {
    let assertion = "the provider's token reaches no service: the signed assertion in `portcullis-assertion` takes its place, \
                     in RequestAuthentication as well";
    for name in ["set_authorization_header", "pass_authorization_header", "pass_access_token"] {
        work.drop_switch(name, assertion, "it is off");
    }
    let basic = "no password is made up for services";
    work.drop_switch("set_basic_auth", basic, "it is off");
    work.drop_each(&[
        ("basic_auth_password", basic),
        ("prefer_email_to_user", "the user id is the address unless `userid_claim` says otherwise"),
        ("skip_auth_strip_headers", "protected headers are removed from every request, on public paths too"),
        ("signature_key", "the assertion is signed with a key of our own"),
    ]);
}
