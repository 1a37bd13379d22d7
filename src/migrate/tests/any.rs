//! Whatever the settings say: what comes out passes `check-config`, and restricts people where they did.

use proptest::prelude::*;

use super::{oauth2_proxy, oidc_authservice, read};
use crate::authz::Access;

/// Texts that are right for some setting, and texts that are right for none.
fn values() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "true",
        "false",
        "*",
        "/",
        "^/a/",
        "^/a$",
        "GET=^/b",
        "/a,/b",
        "a,b",
        "ml",
        ".example.org",
        "example.org",
        "ada@example.org",
        "24h",
        "0",
        "-1h",
        "9999h",
        "redis",
        "cookie",
        "redis://:pw@r:6379/1",
        "rediss://r",
        "r:6379",
        "email",
        "preferred_username",
        "realm_access.roles",
        "X-User",
        "cookie",
        "host",
        "kubeflow-userid",
        "kubeflow_userid",
        "a b",
        "https://x.example.org/y?z#w",
        "http://x.example.org",
        "/oauth2",
        "/portcullis",
        "/portcullis/login",
        "//",
        "none",
        "RS256",
        "HS256",
        "openid email",
        "\"",
        "{a: b}",
        "- x",
        "#",
        "system:x",
        "é",
        "kubernetes.default.svc",
        "null",
        "~",
        "https://kubernetes.default.svc=x",
        "{tenant}",
        "*.example.org",
        "!",
        "%",
        "\\",
        "'",
        "a:b",
        "5",
        "1.5",
        "[]",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => "[ -~]{0,20}", 1 => "\\PC{0,8}"]
}

/// Settings that leave nothing to mend by hand, and those that may say anything.
fn lines(prefix: &'static str, names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let setting = (prop::sample::select(names), values());
    prop::collection::vec(setting, 0..8).prop_map(move |settings| {
        let line = |(name, value): (&str, String)| format!("{prefix}{}={value}\n", name.to_ascii_uppercase());
        settings.into_iter().map(line).collect()
    })
}

const PROXY: &[&str] = &[
    "email_domains",
    "allowed_groups",
    "keycloak_groups",
    "skip_auth_routes",
    "skip_auth_regex",
    "skip_auth_preflight",
    "cookie_expire",
    "cookie_refresh",
    "session_store_type",
    "redis_connection_url",
    "redis_username",
    "redis_use_sentinel",
    "redis_ca_path",
    "scope",
    "prompt",
    "acr_values",
    "oidc_email_claim",
    "user_id_claim",
    "oidc_groups_claim",
    "oidc_enabled_signing_algs",
    "login_url",
    "redeem_url",
    "profile_url",
    "proxy_prefix",
    "redirect_url",
    "insecure_oidc_allow_unverified_email",
    "set_xauthrequest",
    "extra_jwt_issuers",
    "skip_jwt_bearer_tokens",
    "provider_ca_files",
    "skip_claims_from_profile_url",
    "entra_id_allowed_tenants",
    "upstreams",
    "pass_user_headers",
];
const SERVICE: &[&str] = &[
    "OIDC_AUTH_URL",
    "OIDC_SCOPES",
    "AUTHSERVICE_URL_PREFIX",
    "REDIRECT_URL",
    "STRICT_SESSION_VALIDATION",
    "CA_BUNDLE",
    "SKIP_AUTH_URLS",
    "AUDIENCES",
    "AFTER_LOGOUT_URL",
    "LOG_LEVEL",
    "USERID_HEADER",
    "GROUPS_HEADER",
    "AUTH_METHOD_HEADER",
    "USERID_PREFIX",
    "USERID_CLAIM",
    "GROUPS_CLAIM",
    "SESSION_STORE_TYPE",
    "SESSION_STORE_REDIS_ADDR",
    "SESSION_MAX_AGE",
    "GROUPS_ALLOWLIST",
    "KUBERNETES_AUTHN_ENABLED",
];

/// Whether who may pass is restricted beyond a sign-in.
fn is_restricted(configuration: &str) -> bool {
    let settings = read(configuration);
    let by_rule = settings.rules.rules.iter().any(|rule| {
        rule.paths.is_empty() && (rule.access == Access::Deny || !rule.groups.is_empty() || !rule.emails.is_empty())
    });
    by_rule
        || !settings.providers[0].claims.email_domains.is_empty()
        || !settings.providers[0].claims.required_claims.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_oauth2_proxy_is_told_the_outcome_is_read_and_restricts(
        lines in lines("OAUTH2_PROXY_", PROXY),
        restricting in prop::sample::select(vec!["EMAIL_DOMAINS", "ALLOWED_GROUPS", "ENTRA_ID_ALLOWED_TENANTS"]),
        value in values(),
    ) {
        let needed = "OAUTH2_PROXY_OIDC_ISSUER_URL=https://idp.example.org\nOAUTH2_PROXY_CLIENT_ID=gate\n";
        let text = format!("{lines}{needed}OAUTH2_PROXY_{restricting}={value}\n");
        prop_assume!(text.lines().count() == lines.lines().count() + 3);
        let migration = oauth2_proxy(&[("x.env", &text)]).unwrap();
        prop_assert!(!migration.report.text().contains("`check-config` will not pass"), "{}", migration.report.text());
        let says = value.trim().trim_matches(['"', '\'']).split(',').any(|item| !item.trim().is_empty());
        let is_open = restricting == "EMAIL_DOMAINS" && value.split(',').any(|item| item.trim() == "*");
        prop_assert!(is_restricted(&migration.configuration) || !says || is_open, "{}\n{}", text, migration.configuration);
    }

    #[test]
    fn whatever_oidc_authservice_is_told_the_outcome_is_read(lines in lines("", SERVICE)) {
        let text = format!("{lines}OIDC_PROVIDER=https://idp.example.org\nCLIENT_ID=gate\n");
        let migration = oidc_authservice(&[("x.env", &text)]).unwrap();
        prop_assert!(!migration.report.text().contains("`check-config` will not pass"), "{}", migration.report.text());
        read(&migration.configuration);
    }
}
