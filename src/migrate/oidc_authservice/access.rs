//! Who may pass, what needs no sign-in, and which tokens count.

use crate::migrate::{openings, work::Work};

/// What scripts ask the API server for where nothing is said.
const AUDIENCE: &str = "istio-ingressgateway.istio-system.svc.cluster.local";
/// What a cluster writes into its tokens unless it is told otherwise.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

pub(super) fn access(work: &mut Work) {
    for name in ["SKIP_AUTH_URLS", "SKIP_AUTH_URI"] {
        if let Some(setting) = work.settings.take(name) {
            openings::open_prefixes(work, &setting);
        }
    }
    openings::tell_of_dex(work);
    groups(work);
    service_accounts(work);
    if let Some(setting) = work.settings.take("EXTERNAL_AUTHZ_URL") {
        work.close(&setting, "nobody else is asked who may pass: write `rules`");
    }
    if let Some(setting) = work.settings.take("AUTHZ_CONFIG_PATH") {
        work.close(&setting, "write its hosts and groups as `rules`, each with `hosts` and `groups`");
    }
}

fn groups(work: &mut Work) {
    let Some(setting) = work.settings.take("GROUPS_ALLOWLIST") else { return };
    match setting.items() {
        Some(groups) if groups.contains(&"*") => {
            work.report.carried(setting.told(), "everybody who is signed in passes");
        }
        Some(groups) => {
            work.draft.everybody.groups = groups.into_iter().map(str::to_owned).collect();
            work.draft.everybody.comment.push(setting.told());
            let how = "a ServiceAccount passes by a group of its own (`system:serviceaccounts:NAMESPACE`), or where \
                       `service_accounts` of the rule name it";
            work.report.changed(setting.told(), "rules: signed-in: groups", how);
        }
        None => work.close(&setting, "its value is in none of the files"),
    }
}

fn service_accounts(work: &mut Work) {
    let accepted = work.switch("KUBERNETES_AUTHN_ENABLED");
    let audiences = work.known("AUDIENCES", "service_accounts.audiences");
    if let Some((setting, false)) = &accepted {
        work.report.carried(setting.told(), "no `service_accounts`");
        if let Some(audiences) = audiences {
            work.report.dropped(audiences.told(), "no ServiceAccount tokens were accepted");
        }
        return;
    }
    if let Some((setting, _)) = accepted {
        work.report.carried(setting.told(), "service_accounts");
    }
    let (told, audiences) = match &audiences {
        Some(setting) => {
            work.report.carried(setting.told(), "service_accounts.audiences");
            (setting.told(), setting.items().unwrap_or_default())
        }
        None => ("The default of `AUDIENCES`.".to_owned(), vec![AUDIENCE]),
    };
    let accounts = &mut work.draft.service_accounts;
    accounts.set("audiences", audiences, told);
    accounts.set("issuers", vec![ISSUER], "TO DO: as `kubectl get --raw /.well-known/openid-configuration` shows it.");
    work.report.by_hand(
        "see that `service_accounts.issuers` is your cluster's (`kubectl get --raw /.well-known/openid-configuration`): before, \
         none was named",
    );
}
