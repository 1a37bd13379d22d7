//! What has no counterpart.

use crate::migrate::work::Work;

const OWN_PAGES: &str = "our own pages";
const OWN_LISTENERS: &str = "our own listeners: a gateway asks over gRPC, on another port (docs/install-istio.md)";
const NO_BEARERS: &str = "the provider's own tokens are no bearers here: ServiceAccount tokens are";
const CACHE: &str = "an answer of the API server is kept for `service_accounts.cache_ttl`";
const NO_SCHEME: &str = "the public address says the scheme; no forwarded header is believed";

/// Every setting without a counterpart, with the reason. Some are of older versions.
const DROPPED: [(&str, &str); 22] = [
    ("ACCESS_TOKEN_AUTHN", NO_BEARERS),
    ("ACCESS_TOKEN_AUTHN_ENABLED", NO_BEARERS),
    ("AFTER_LOGIN_URL", "whoever signs in comes back to what they asked for"),
    ("AUTH_HEADER", "a token comes in `authorization`; a session in its cookie alone"),
    ("CACHE_ENABLED", CACHE),
    ("CACHE_EXPIRATION_MINUTES", CACHE),
    ("CLIENT_NAME", OWN_PAGES),
    ("HOMEPAGE_URL", OWN_PAGES),
    ("IDTOKEN_AUTHN_ENABLED", NO_BEARERS),
    ("ID_TOKEN_HEADER", NO_BEARERS),
    ("PORT", OWN_LISTENERS),
    ("READINESS_PROBE_PORT", OWN_LISTENERS),
    ("SCHEME_DEFAULT", NO_SCHEME),
    ("SCHEME_HEADER", NO_SCHEME),
    ("SERVER_HOSTNAME", OWN_LISTENERS),
    ("SERVER_PORT", OWN_LISTENERS),
    ("STATIC_DESTINATION_URL", "whoever signs in comes back to what they asked for"),
    ("TEMPLATE_PATH", OWN_PAGES),
    ("THEME", OWN_PAGES),
    ("THEMES_URL", OWN_PAGES),
    ("VERIFY_AUTH_URL", "a gateway asks over gRPC; `/portcullis/whoami` tells a page who is signed in"),
    ("WEB_SERVER_PORT", OWN_LISTENERS),
];

pub(super) fn dropped(work: &mut Work) {
    log_level(work);
    work.drop_each(&DROPPED);
    for setting in work.settings.take_all("TEMPLATE_CONTEXT_") {
        work.report.dropped(setting.told(), OWN_PAGES);
    }
}

fn log_level(work: &mut Work) {
    let Some((setting, level)) = work.text("LOG_LEVEL", "logging.level") else { return };
    let known = match level.to_ascii_uppercase().as_str() {
        "FATAL" | "ERROR" => Some("error"),
        "WARN" => Some("warn"),
        "INFO" => Some("info"),
        "DEBUG" => Some("debug"),
        _ => None,
    };
    match known {
        Some(level) => {
            work.draft.logging.set("level", level, setting.told());
            work.report.carried(setting.told(), "logging.level");
        }
        None => work.report.dropped(setting.told(), "it is no level"),
    }
}
