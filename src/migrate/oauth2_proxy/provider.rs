//! Whom people sign in at.

use super::gather::Found;
use crate::{
    config_draft::{Fields, PROVIDER_CA},
    gatekeepers::Setting,
    migrate::{
        error::Cause,
        place::{self, Client},
        work::{Work, carry},
    },
};

/// Kinds of providers that speak OAuth 2.0 alone.
const NOT_OPENID: [&str; 6] = ["bitbucket", "digitalocean", "facebook", "github", "nextcloud", "sourcehut"];
/// Where a workload identity's token is mounted, by whom it is projected.
const FEDERATED_TOKEN: &str = "/var/run/secrets/azure/tokens/azure-identity-token";

/// Writes the public address, and our old addresses on it.
pub(super) fn origin(work: &mut Work, asked: Option<String>) -> String {
    let redirect = work.text("redirect_url", "origins[0].url");
    let told = redirect.as_ref().and_then(|(setting, text)| Some((place::origin_of(text)?, setting.told())));
    let callback = match (&redirect, &told) {
        (_, Some(((_, path), _))) => Some(path.clone()),
        (Some((_, path)), None) if path.starts_with('/') => Some(path.clone()),
        _ => None,
    };
    let origin = place::origin(work, asked, told.map(|((origin, _), told)| (origin, told)));
    if let Some((setting, _)) = redirect {
        let to = "origins[0].aliases.callback";
        let how = "the redirect URI is `/portcullis/callback` below the public address; the old one is known";
        work.report.changed(setting.told(), to, how);
    }
    let prefix = work.text("proxy_prefix", "origins[0].aliases");
    if let Some((setting, _)) = &prefix {
        work.report.carried(setting.told(), "origins[0].aliases");
    }
    let prefix = prefix.map_or_else(|| "/oauth2".to_owned(), |(_, prefix)| format!("/{}", prefix.trim_matches('/')));
    let aliases = &mut work.draft.aliases;
    aliases.set("login", vec![format!("{prefix}/start"), format!("{prefix}/sign_in")], "");
    aliases.set("logout", vec![format!("{prefix}/sign_out")], "");
    aliases.set("callback", vec![callback.unwrap_or_else(|| format!("{prefix}/callback"))], "");
    work.drop_each(&[("relative_redirect_url", "the redirect URI is made of the public address")]);
    origin
}

/// Writes the provider.
pub(super) fn provider(work: &mut Work, found: &Found<'_>, origin: &str) -> Result<(), Cause> {
    let kind = kind(work)?;
    issuer(work, &kind)?;
    client(work, found);
    endpoints(work, origin);
    requests(work);
    names(work, &kind);
    trust(work);
    place::allow_http(work);
    place::register(work, origin);
    place::verified(work);
    Ok(())
}

/// The kind of provider; Google where none is told, as oauth2-proxy has it.
fn kind(work: &mut Work) -> Result<String, Cause> {
    let told = work.text("provider", "providers[0]");
    if let Some((setting, kind)) = told {
        if NOT_OPENID.contains(&kind.as_str()) {
            return Err(Cause::NotOpenId { told: setting.told(), provider: kind });
        }
        work.report.carried(setting.told(), "providers[0]: OpenID Connect is all that is spoken");
        return Ok(kind);
    }
    let has_issuer = work.settings.look("oidc_issuer_url").is_some();
    Ok(if has_issuer { "oidc" } else { "google" }.to_owned())
}

fn issuer(work: &mut Work, kind: &str) -> Result<(), Cause> {
    let tenant = work.text("azure_tenant", "providers[0].issuer");
    let (told, issuer) = match (work.text("oidc_issuer_url", "providers[0].issuer"), kind, &tenant) {
        (Some((setting, issuer)), _, _) => (setting.told(), issuer),
        (None, "google", _) => {
            ("the kind of provider is `google`".to_owned(), "https://accounts.google.com".to_owned())
        }
        (None, "gitlab", _) => ("the kind of provider is `gitlab`".to_owned(), "https://gitlab.com".to_owned()),
        (None, "azure" | "entra-id", Some((setting, tenant))) => {
            (setting.told(), format!("https://login.microsoftonline.com/{tenant}/v2.0"))
        }
        _ => return Err(Cause::NoIssuer("oidc_issuer_url")),
    };
    place::issuer(work, &told, &issuer);
    work.report.carried(told, "providers[0].issuer");
    if let Some((setting, _)) = tenant {
        work.report.carried(setting.told(), "providers[0].issuer");
    }
    Ok(())
}

fn client(work: &mut Work, found: &Found<'_>) {
    let id = work.known("client_id", "providers[0].client_id");
    let secret = work.settings.take("client_secret");
    let file = work.settings.take("client_secret_file").map(|setting| {
        let text = setting.text().and_then(|path| found.file(path)).map(|file| file.text);
        (setting, text)
    });
    let (secret, file) = match (secret, file) {
        (Some(secret), Some((file, _))) => {
            work.report.dropped(file.told(), format!("{} counts more", secret.told()));
            (Some(secret), None)
        }
        both => both,
    };
    let federated = work.switch("entra_id_federated_token_auth");
    place::client(work, Client { id, secret, file });
    if let Some((setting, true)) = federated {
        work.draft.provider.remove("client_secret");
        work.draft.provider.set("client_assertion_file", FEDERATED_TOKEN, setting.told());
        work.report.carried(setting.told(), "providers[0].client_assertion_file");
    } else if let Some((setting, false)) = federated {
        work.report.dropped(setting.told(), "it is off");
    }
}

fn endpoints(work: &mut Work, origin: &str) {
    place::authorization(work, "login_url", origin);
    for (name, key) in [("redeem_url", "token"), ("oidc_jwks_url", "jwks"), ("profile_url", "userinfo")] {
        let to = format!("providers[0].endpoints.{key}");
        if let Some(told) = work.text(name, &to) {
            carry(&mut work.draft.endpoints, &mut work.report, key, &to, told);
        }
    }
    work.drop_switch(
        "skip_oidc_discovery",
        "the discovery document below the issuer is read in any case; what `endpoints` say counts more",
        "it is off",
    );
    if let Some((setting, is_on)) = work.switch("skip_claims_from_profile_url") {
        if is_on {
            work.draft.provider.set("userinfo", "never", setting.told());
        }
        work.report.carried(setting.told(), "providers[0].userinfo");
    }
}

/// What is asked of the provider at a sign-in.
fn requests(work: &mut Work) {
    if let Some((setting, scopes)) = work.text("scope", "providers[0].scopes") {
        let scopes: Vec<&str> = scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
        work.draft.provider.set("scopes", scopes, setting.told());
        work.report.carried(setting.told(), "providers[0].scopes");
    }
    if let Some((setting, prompt)) = work.text("prompt", "providers[0].authorization_parameters.prompt") {
        if prompt == "none" {
            let why = "it only kept `approval_prompt=force` away, which is not sent here; a provider that takes it at its \
                       word shows no login page";
            work.report.dropped(setting.told(), why);
        } else {
            let to = "providers[0].authorization_parameters.prompt";
            carry(&mut work.draft.parameters, &mut work.report, "prompt", to, (setting, prompt));
        }
    }
    for name in ["acr_values", "resource"] {
        let to = format!("providers[0].authorization_parameters.{name}");
        if let Some(told) = work.text(name, &to) {
            carry(&mut work.draft.parameters, &mut work.report, name, &to, told);
        }
    }
    for setting in work.settings.take_all("login_parameter.") {
        let name = setting.name.trim_start_matches("login_parameter.").to_owned();
        let to = format!("providers[0].authorization_parameters.{name}");
        match setting.text().map(str::to_owned) {
            Some(_) if name == "approval_prompt" => work.report.dropped(setting.told(), "it is of Google's past"),
            Some(text) if name != "prompt" || text != "none" => {
                carry(&mut work.draft.parameters, &mut work.report, &name, &to, (setting, text));
            }
            _ => work.report.dropped(setting.told(), "it says no single value that is to be sent"),
        }
    }
    if let Some(setting) = work.known("oidc_enabled_signing_algs", "providers[0].id_token_signing_algorithms") {
        let algorithms: Vec<&str> = setting.items().unwrap_or_default();
        work.draft.provider.set("id_token_signing_algorithms", algorithms, setting.told());
        work.report.carried(setting.told(), "providers[0].id_token_signing_algorithms");
    }
}

/// How people are called.
fn names(work: &mut Work, kind: &str) {
    let user_id = work.text("user_id_claim", "providers[0].userid_claim");
    let email = work.text("oidc_email_claim", "providers[0].userid_claim");
    // The older name of the two, which counts where the newer says nothing of its own.
    let claim = match (user_id, email) {
        (Some((setting, _)), Some(email)) => {
            work.report.dropped(setting.told(), format!("{} counts more", email.0.told()));
            Some(email)
        }
        (user_id, email) => email.or(user_id),
    };
    match claim {
        Some((setting, claim)) if claim != "email" => {
            work.draft.provider.set("userid_claim", claim.as_str(), setting.told());
            let how = "the user id. A value with an `@` is refused: only an address that the provider vouches for may have \
                       one. Where it is an address, write `email_claim` instead, with `trust_unverified_email` and \
                       `email_domains`";
            work.report.changed(setting.told(), "providers[0].userid_claim", how);
        }
        Some((setting, _)) => work.report.carried(setting.told(), "providers[0].userid_claim"),
        None => {}
    }
    place::userid_case(work);
    let to = "providers[0].groups_claim";
    if let Some(told) = work.text("oidc_groups_claim", to) {
        carry(&mut work.draft.provider, &mut work.report, "groups_claim", to, told);
    }
    if let Some(setting) = work.settings.take("entra_id_allowed_tenants") {
        let tenants = setting.items().unwrap_or_default();
        if tenants.is_empty() || kind != "entra-id" {
            work.close(&setting, "write `providers[0].required_claims: {tid: [...]}`");
        } else {
            work.draft.provider.set("required_claims", Fields::one("tid", tenants), setting.told());
            work.report.carried(setting.told(), "providers[0].required_claims");
        }
    }
}

/// What is believed of the provider.
fn trust(work: &mut Work) {
    let to = "providers[0].ca_file";
    if let Some(setting) = work.known("provider_ca_files", to) {
        work.draft.provider.set("ca_file", PROVIDER_CA, setting.told());
        work.report.changed(setting.told(), to, "one file, beside the system's authorities");
        work.report.by_hand(format!("put the authorities, {}, into the one file {PROVIDER_CA}", setting.told()));
    }
    work.drop_switch(
        "ssl_insecure_skip_verify",
        "certificates are always verified; name the provider's authorities in `providers[0].ca_file`",
        "certificates are always verified",
    );
    if let Some(setting) = work.switched_on("insecure_oidc_allow_unverified_email") {
        let has_domains = work.settings.look("email_domains").and_then(Setting::items);
        let has_domains = has_domains.is_some_and(|domains| !domains.is_empty() && !domains.contains(&"*"));
        if has_domains {
            work.draft.provider.set("trust_unverified_email", true, setting.told());
            work.report.carried(setting.told(), "providers[0].trust_unverified_email");
        } else {
            let why = "a provider that vouches for no address could name anybody: write `trust_unverified_email: true` \
                       together with `email_domains`";
            work.report.dropped(setting.told(), why);
        }
    }
    work.drop_each(&[
        ("insecure_oidc_skip_issuer_verification", "the issuer is always verified"),
        ("insecure_oidc_skip_nonce", "the nonce is always verified"),
        ("oidc_audience_claims", "the audience is in `aud`"),
        ("oidc_extra_audiences", "beside us, any audience may stand in an ID token whose `azp` is our client id"),
        ("oidc_public_key_files", "keys are fetched, and change without a restart"),
        ("use_system_trust_store", "the system's authorities always count"),
        ("code_challenge_method", "PKCE with S256 is always used"),
        ("force_code_challenge_method", "PKCE with S256 is always used"),
        ("approval_prompt", "it is of Google's past; `prompt` in `authorization_parameters` says the like"),
        ("auth_request_response_mode", "answers come in the query alone"),
        ("adfs_skip_scope", "`openid` is always asked for"),
    ]);
}
