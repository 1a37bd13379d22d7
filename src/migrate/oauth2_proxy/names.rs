//! The names of its settings, which differ between its file, its flags and its environment.

/// What its variables begin with.
pub(super) const PREFIX: &str = "OAUTH2_PROXY_";

/// Flags that are singular, and their fields, which are not. Older versions had some fields in the singular, too.
const PLURALS: [(&str, &str); 25] = [
    ("allowed_group", "allowed_groups"),
    ("allowed_role", "allowed_roles"),
    ("api_route", "api_routes"),
    ("cookie_domain", "cookie_domains"),
    ("email_domain", "email_domains"),
    ("entra_id_allowed_tenant", "entra_id_allowed_tenants"),
    ("exclude_logging_path", "exclude_logging_paths"),
    ("github_user", "github_users"),
    ("gitlab_group", "gitlab_groups"),
    ("gitlab_project", "gitlab_projects"),
    ("google_group", "google_groups"),
    ("htpasswd_user_group", "htpasswd_user_groups"),
    ("keycloak_group", "keycloak_groups"),
    ("oidc_audience_claim", "oidc_audience_claims"),
    ("oidc_enabled_signing_alg", "oidc_enabled_signing_algs"),
    ("oidc_extra_audience", "oidc_extra_audiences"),
    ("oidc_public_key_file", "oidc_public_key_files"),
    ("provider_ca_file", "provider_ca_files"),
    ("skip_auth_route", "skip_auth_routes"),
    ("tls_cipher_suite", "tls_cipher_suites"),
    ("trusted_ip", "trusted_ips"),
    ("trusted_proxy_ip", "trusted_proxy_ips"),
    ("upstream", "upstreams"),
    ("whitelist_domain", "whitelist_domains"),
    ("extra_jwt_issuer", "extra_jwt_issuers"),
];

/// Flags that stand alone, without a value behind them.
const SWITCHES: [&str; 58] = [
    "allow_query_semicolons",
    "auth_logging",
    "bearer_token_login_fallback",
    "config_test",
    "convert_config_to_alpha",
    "cookie_csrf_per_request",
    "cookie_httponly",
    "cookie_secure",
    "disable_keep_alives",
    "display_htpasswd_form",
    "encode_state",
    "entra_id_federated_token_auth",
    "errors_to_info_log",
    "force_https",
    "force_json_errors",
    "gcp_healthchecks",
    "google_use_application_default_credentials",
    "google_use_organization_id",
    "insecure_oidc_allow_unverified_email",
    "insecure_oidc_skip_issuer_verification",
    "insecure_oidc_skip_nonce",
    "logging_compress",
    "logging_local_time",
    "pass_access_token",
    "pass_authorization_header",
    "pass_basic_auth",
    "pass_host_header",
    "pass_user_headers",
    "prefer_email_to_user",
    "proxy_websockets",
    "redis_insecure_skip_tls_verify",
    "redis_use_cluster",
    "redis_use_iam_auth",
    "redis_use_sentinel",
    "relative_redirect_url",
    "request_logging",
    "reverse_proxy",
    "session_cookie_minimal",
    "set_authorization_header",
    "set_basic_auth",
    "set_xauthrequest",
    "show_debug_on_error",
    "silence_ping_logging",
    "skip_auth_preflight",
    "skip_auth_strip_headers",
    "skip_claims_from_profile_url",
    "skip_jwt_bearer_tokens",
    "skip_oidc_discovery",
    "skip_provider_button",
    "ssl_insecure_skip_verify",
    "ssl_upstream_insecure_skip_verify",
    "standard_logging",
    "use_system_trust_store",
    "version",
    "help",
    "proxy_raw_path",
    "redis_iam_serverless",
    "tls_skip_verify",
];

/// The one name of a setting, however it is spelled.
pub(super) fn canonical(spelled: &str) -> String {
    let name = spelled.trim_start_matches('-');
    let name = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase().replace('-', "_");
    match PLURALS.iter().find(|(one, _)| *one == name) {
        Some((_, plural)) => (*plural).to_owned(),
        None => name,
    }
}

/// Whether a flag has no value of its own.
pub(super) fn is_switch(name: &str) -> bool {
    SWITCHES.contains(&name)
}

/// Whether a flag adds to what it said before.
pub(super) fn is_list(name: &str) -> bool {
    const MORE: [&str; 5] = [
        "extra_jwt_issuers",
        "redis_cluster_connection_urls",
        "redis_sentinel_connection_urls",
        "skip_auth_regex",
        "callback_error_redirect",
    ];
    PLURALS.iter().any(|(_, plural)| *plural == name) || MORE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_one_name() {
        for spelled in ["--skip-auth-route", "skip_auth_routes", "OAUTH2_PROXY_SKIP_AUTH_ROUTES", "-skip-auth-route"] {
            assert_eq!(canonical(spelled), "skip_auth_routes");
        }
        assert!(is_list("email_domains") && is_switch("skip_provider_button") && !is_switch("email_domains"));
    }
}
