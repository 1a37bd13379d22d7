//! Who somebody is, and what the services behind are told.

use crate::migrate::{
    place,
    work::{Work, carry},
};

/// The names of the headers where nothing else is said, which are ours, too.
const USER: &str = "kubeflow-userid";
const GROUPS: &str = "kubeflow-groups";

pub(super) fn identity(work: &mut Work) {
    names(work);
    headers(work);
}

fn names(work: &mut Work) {
    let to = "providers[0].userid_claim";
    match work.text("USERID_CLAIM", to) {
        Some((setting, claim)) if claim != "email" => {
            work.draft.provider.set("userid_claim", claim, setting.told());
            let how = "a value with an `@` is refused: only an address that the provider vouches for may have one. Where it is \
                       an address, write `email_claim` instead, with `trust_unverified_email` and `email_domains`";
            work.report.changed(setting.told(), to, how);
        }
        Some(told) => carry(&mut work.draft.provider, &mut work.report, "userid_claim", to, told),
        None => {}
    }
    place::userid_case(work);
    let to = "providers[0].userid_prefix";
    if let Some((setting, prefix)) = work.text("USERID_PREFIX", to) {
        work.draft.provider.set("userid_prefix", prefix, setting.told());
        let how = "it stands before people's names alone; before, also before the names of service accounts";
        work.report.changed(setting.told(), to, how);
    }
    let to = "providers[0].groups_claim";
    if let Some(told) = work.text("GROUPS_CLAIM", to) {
        carry(&mut work.draft.provider, &mut work.report, "groups_claim", to, told);
    }
    if let Some(setting) = work.settings.take("USERID_TRANSFORMERS") {
        work.report.dropped(setting.told(), "a name is what the provider says, with a prefix at most");
        work.report.by_hand(format!(
            "people have other names with their services without {}: have the provider put the name that they had into a claim, \
             and name that in `providers[0].userid_claim`",
            setting.told()
        ));
    }
}

fn headers(work: &mut Work) {
    for (name, key, default) in [
        ("USERID_HEADER", "user", USER),
        ("GROUPS_HEADER", "groups", GROUPS),
        ("AUTH_METHOD_HEADER", "method", "auth-method"),
    ] {
        let to = format!("identity.headers.{key}");
        match work.text(name, &to) {
            Some((setting, header)) => {
                let header = header.to_ascii_lowercase();
                carry(&mut work.draft.headers, &mut work.report, key, &to, (setting, header));
            }
            None => work.draft.headers.set(key, default, format!("The default of `{name}`.")),
        }
    }
    work.drop_each(&[
        ("USERID_TOKEN_HEADER", "it did nothing; the signed assertion is in `portcullis-assertion`"),
        ("TOKEN_HEADER", "the provider's token reaches no service: the signed assertion takes its place"),
        ("TOKEN_SCHEME", "the provider's token reaches no service: the signed assertion takes its place"),
    ]);
}
