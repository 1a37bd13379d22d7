//! Scripts that bring a token.

use crate::migrate::work::Work;

/// What scripts ask the API server for.
const AUDIENCE: &str = "portcullis";

pub(super) fn tokens(work: &mut Work) {
    let accepted = work.switch("skip_jwt_bearer_tokens");
    let is_on = matches!(accepted, Some((_, true)));
    let issuers = work.settings.take("extra_jwt_issuers");
    work.drop_switch(
        "bearer_token_login_fallback",
        "a bearer that is judged and refused is 401, and no sign-in",
        "so it is in any case",
    );
    let mut clusters = Vec::new();
    if let Some(setting) = &issuers {
        for item in setting.items().unwrap_or_default() {
            let issuer = item.split_once('=').map_or(item, |(issuer, _)| issuer);
            let told = setting.told_item(item);
            if !is_on {
                work.report.dropped(told, "it counted with `skip_jwt_bearer_tokens` alone");
            } else if is_of_a_cluster(issuer) {
                let how = "tokens are asked for with the audience `portcullis`, never the API server's own, which every pod's \
                           has; the API server judges each (TokenReview)";
                work.report.changed(told, "service_accounts", how);
                clusters.push(issuer.to_owned());
            } else {
                work.report.dropped(&told, "bearers are ServiceAccount tokens alone");
                work.report
                    .by_hand(format!("where {told} is a cluster's own issuer, name it in `service_accounts.issuers`"));
            }
        }
        if setting.items().is_none() {
            work.report
                .by_hand(format!("{}: its value is in none of the files; see `service_accounts`", setting.told()));
        }
    }
    if let Some((setting, is_on)) = &accepted {
        if *is_on {
            let how = "the provider's own tokens are no bearers here; ServiceAccount tokens are, where `service_accounts` is \
                       written";
            work.report.changed(setting.told(), "service_accounts", how);
        } else {
            work.report.dropped(setting.told(), "it is off");
        }
    }
    if clusters.is_empty() {
        if is_on {
            work.report.by_hand(
                "where scripts bring tokens, write `service_accounts` (docs/configuration.md), and have them ask for tokens with \
                 your audience: `kubectl create token NAME --audience portcullis`",
            );
        }
        return;
    }
    let told = issuers.map(|setting| setting.told()).unwrap_or_default();
    let asks = "What scripts ask for: kubectl create token NAME --audience portcullis";
    work.draft.service_accounts.set("audiences", vec![AUDIENCE], asks);
    work.draft.service_accounts.set("issuers", clusters, told);
    work.report.by_hand(
        "have scripts ask for tokens with the new audience: `kubectl create token NAME --audience portcullis`, or a projected \
         token with it",
    );
}

/// Issuers as clusters are known to have them.
fn is_of_a_cluster(issuer: &str) -> bool {
    let host = issuer.strip_prefix("https://").unwrap_or(issuer);
    host == "kubernetes.default.svc"
        || host.starts_with("kubernetes.default.svc.")
        || host.starts_with("oidc.eks.")
        || host.starts_with("oidc-eks.")
        || host.starts_with("container.googleapis.com/")
        || host.contains(".oic.prod-aks.azure.com/")
}
