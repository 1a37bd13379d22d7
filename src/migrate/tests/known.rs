//! Every setting of the products before us is known, so that "not known" means a mistake.

use super::{oauth2_proxy, oidc_authservice};

/// The fields of oauth2-proxy 7.15, by their names in its file.
const OAUTH2_PROXY: &str = "acr_values allow_query_semicolons allowed_groups allowed_roles api_routes approval_prompt \
    auth_logging auth_logging_format auth_request_response_mode authenticated_emails_file azure_graph_group_field \
    azure_tenant backend_logout_url banner basic_auth_password bearer_token_login_fallback bitbucket_repository \
    bitbucket_team bitbucket_workspace client_id client_secret client_secret_file code_challenge_method cookie_csrf_expire \
    cookie_csrf_per_request cookie_csrf_per_request_limit cookie_csrf_samesite cookie_domains cookie_expire cookie_httponly \
    cookie_name cookie_path cookie_refresh cookie_samesite cookie_secret cookie_secret_file cookie_secure \
    custom_sign_in_logo custom_templates_dir disable_keep_alives display_htpasswd_form email_domains encode_state \
    entra_id_allowed_tenants entra_id_federated_token_auth errors_to_info_log exclude_logging_paths extra_jwt_issuers \
    flush_interval footer force_code_challenge_method force_https force_json_errors gcp_healthchecks github_org github_repo \
    github_team github_token github_users gitlab_groups gitlab_projects google_admin_api_user_scope google_admin_email \
    google_group google_groups google_service_account_json google_target_principal \
    google_use_application_default_credentials google_use_organization_id htpasswd_file htpasswd_user_groups http_address \
    https_address insecure_oidc_allow_unverified_email insecure_oidc_skip_issuer_verification insecure_oidc_skip_nonce \
    jwt_key jwt_key_file keycloak_groups logging_compress logging_filename logging_local_time logging_max_age \
    logging_max_backups logging_max_size login_url metrics_address metrics_secure_address metrics_tls_cert_file \
    metrics_tls_key_file oidc_audience_claims oidc_email_claim oidc_enabled_signing_algs oidc_extra_audiences \
    oidc_groups_claim oidc_issuer_url oidc_jwks_url oidc_public_key_files pass_access_token pass_authorization_header \
    pass_basic_auth pass_host_header pass_user_headers ping_path ping_user_agent prefer_email_to_user profile_url prompt \
    provider provider_ca_files provider_display_name proxy_prefix proxy_websockets pubjwk_url ready_path \
    real_client_ip_header redeem_url redirect_url redis_ca_path redis_cluster_connection_urls \
    redis_connection_idle_timeout redis_connection_url redis_insecure_skip_tls_verify redis_password \
    redis_sentinel_connection_urls redis_sentinel_master_name redis_sentinel_password redis_use_cluster redis_use_sentinel \
    redis_username relative_redirect_url request_id_header request_logging request_logging_format resource reverse_proxy \
    scope session_cookie_minimal session_store_type set_authorization_header set_basic_auth set_xauthrequest \
    show_debug_on_error signature_key silence_ping_logging skip_auth_preflight skip_auth_regex skip_auth_routes \
    skip_auth_strip_headers skip_claims_from_profile_url skip_jwt_bearer_tokens skip_oidc_discovery skip_provider_button \
    ssl_insecure_skip_verify ssl_upstream_insecure_skip_verify standard_logging standard_logging_format tls_cert_file \
    tls_cipher_suites tls_key_file tls_min_version trusted_ips trusted_proxy_ips upstream_timeout upstreams \
    use_system_trust_store user_id_claim validate_url whitelist_domains";

/// The variables of oidc-authservice, older ones among them.
const OIDC_AUTHSERVICE: &str = "OIDC_PROVIDER CLIENT_ID CLIENT_SECRET AUTHSERVICE_URL_PREFIX OIDC_AUTH_URL REDIRECT_URL \
    OIDC_SCOPES STRICT_SESSION_VALIDATION CA_BUNDLE SKIP_AUTH_URLS SKIP_AUTH_URI AUTH_HEADER ID_TOKEN_HEADER \
    AUTH_METHOD_HEADER AUDIENCES HOMEPAGE_URL AFTER_LOGOUT_URL VERIFY_AUTH_URL AFTER_LOGIN_URL LOG_LEVEL USERID_HEADER \
    GROUPS_HEADER USERID_PREFIX USERID_CLAIM GROUPS_CLAIM USERID_TRANSFORMERS USERID_TOKEN_HEADER SERVER_HOSTNAME SERVER_PORT \
    PORT READINESS_PROBE_PORT WEB_SERVER_PORT SESSION_STORE_TYPE SESSION_STORE_PATH STORE_PATH OIDC_STATE_STORE_PATH \
    SESSION_STORE_REDIS_ADDR SESSION_STORE_REDIS_PWD SESSION_STORE_REDIS_DB SESSION_MAX_AGE SESSION_SAME_SITE SESSION_DOMAIN \
    CLIENT_NAME THEMES_URL THEME TEMPLATE_PATH TEMPLATE_CONTEXT_X CACHE_ENABLED CACHE_EXPIRATION_MINUTES \
    IDTOKEN_AUTHN_ENABLED KUBERNETES_AUTHN_ENABLED ACCESS_TOKEN_AUTHN_ENABLED ACCESS_TOKEN_AUTHN GROUPS_ALLOWLIST \
    EXTERNAL_AUTHZ_URL AUTHZ_CONFIG_PATH TOKEN_HEADER TOKEN_SCHEME SCHEME_DEFAULT SCHEME_HEADER STATIC_DESTINATION_URL";

#[test]
fn every_setting_is_carried_over_changed_dropped_or_yours_to_do() {
    let names: Vec<&str> = OAUTH2_PROXY.split_whitespace().collect();
    assert!(names.len() > 150, "{}", names.len());
    for store in ["redis", "cookie"] {
        let value = |name: &str| match name {
            "provider" => "oidc",
            "session_store_type" => store,
            "oidc_issuer_url" => "https://idp.example.org",
            _ => "true",
        };
        let lines = names.iter().map(|name| format!("OAUTH2_PROXY_{}={}\n", name.to_ascii_uppercase(), value(name)));
        let report = oauth2_proxy(&[("x.env", &lines.collect::<String>())]).unwrap().report.text();
        assert!(report.contains("; 0 not known"), "{report}");
        // Each is told by its name.
        for name in names.iter().filter(|name| **name != "google_group") {
            assert!(report.contains(&format!("`OAUTH2_PROXY_{}`", name.to_ascii_uppercase())), "{name}: {report}");
        }
    }
    for store in ["redis", "boltdb"] {
        let value = |name: &str| match name {
            "OIDC_PROVIDER" => "https://idp.example.org",
            "SESSION_STORE_TYPE" => store,
            _ => "true",
        };
        let names: Vec<&str> = OIDC_AUTHSERVICE.split_whitespace().collect();
        let lines: Vec<String> = names.iter().map(|name| format!("{name}={}", value(name))).collect();
        let report = oidc_authservice(&[("x.env", &lines.join("\n"))]).unwrap().report.text();
        assert!(report.contains("; 0 not known"), "{report}");
        for name in names {
            assert!(report.contains(&format!("`{name}`")), "{name}: {report}");
        }
    }
}

#[test]
fn a_setting_that_nobody_knows_is_told_without_what_it_says() {
    let migration = oauth2_proxy(&[("x.cfg", "provider = \"google\"\nclient_secrt = \"hunter2\"\n")]).unwrap();
    let report = migration.report.text();
    assert!(report.contains("Not known, and not carried over:\n  `client_secrt` (x.cfg)\n"), "{report}");
    assert!(!report.contains("hunter2") && !migration.configuration.contains("hunter2"));
}
