//! The public address, and whom people sign in at.

use crate::{
    config_draft::{Fields, PROVIDER_CA},
    migrate::{
        error::Cause,
        place::{self, Client},
        work::Work,
    },
};

/// Writes the public address, and our old addresses on it.
pub(super) fn origin(work: &mut Work, asked: Option<String>) -> String {
    let to = "origins[0].aliases";
    let prefix = work.text("AUTHSERVICE_URL_PREFIX", to);
    let redirect = work.text("REDIRECT_URL", "origins[0].aliases.callback");
    let mut whole = [&redirect, &prefix].into_iter().flatten();
    let told = whole.find_map(|(setting, text)| Some((place::origin_of(text)?.0, setting.told())));
    let origin = place::origin(work, asked, told);

    let path_of = |text: &str| place::origin_of(text).map_or_else(|| text.to_owned(), |(_, path)| path);
    let path = prefix.as_ref().map_or_else(|| "/authservice/".to_owned(), |(_, text)| path_of(text));
    let path = match path.trim_matches('/') {
        "" => String::new(),
        inside => format!("/{inside}"),
    };
    if let Some((setting, _)) = &prefix {
        let how = "its addresses are known exactly, and what else lies below it needs a sign-in";
        work.report.changed(setting.told(), to, how);
    }
    let callback = redirect.as_ref().map_or_else(|| format!("{path}/oidc/callback"), |(_, text)| path_of(text));
    if let Some((setting, _)) = &redirect {
        let how = "the redirect URI is `/portcullis/callback` below the public address; the old one is known";
        work.report.changed(setting.told(), "origins[0].aliases.callback", how);
    }
    // Versions without a prefix had their addresses at the root.
    let logout = if prefix.is_some() { vec![] } else { vec!["/logout".to_owned()] };
    work.draft.aliases.set("logout", [vec![format!("{path}/logout")], logout].concat(), "");
    work.draft.aliases.set("callback", vec![callback], "");
    after_logout(work);
    origin
}

fn after_logout(work: &mut Work) {
    let to = "origins[0].after_logout_url";
    match work.text("AFTER_LOGOUT_URL", to) {
        Some((setting, url)) => {
            work.draft.origin.set("after_logout_url", url.as_str(), setting.told());
            work.report.carried(setting.told(), to);
        }
        None => work.report.dropped("`AFTER_LOGOUT_URL` (its default)", "our own page says that one is signed out"),
    }
}

/// Writes the provider.
pub(super) fn provider(work: &mut Work, origin: &str) -> Result<(), Cause> {
    let to = "providers[0].issuer";
    let (setting, issuer) = work.text("OIDC_PROVIDER", to).ok_or(Cause::NoIssuer("OIDC_PROVIDER"))?;
    place::issuer(work, &setting.told(), &issuer);
    work.report.carried(setting.told(), to);
    let client = Client {
        id: work.known("CLIENT_ID", "providers[0].client_id"),
        secret: work.settings.take("CLIENT_SECRET"),
        file: None,
    };
    place::client(work, client);
    place::authorization(work, "OIDC_AUTH_URL", origin);
    scopes(work);
    let to = "providers[0].ca_file";
    if let Some((setting, path)) = work.text("CA_BUNDLE", to) {
        work.draft.provider.set("ca_file", PROVIDER_CA, setting.told());
        work.report.changed(setting.told(), to, format!("the file is {PROVIDER_CA}"));
        work.report.by_hand(format!("put the authorities that were at {path} into the file {PROVIDER_CA}"));
    }
    if let Some(setting) = work.switched_on("STRICT_SESSION_VALIDATION") {
        let mut strict = Fields::one("every", "30s");
        strict.set("ask", "userinfo", "");
        work.draft.provider.set("refresh", Fields::one("ahead", "1m"), setting.told());
        work.draft.provider.set("strict", strict, setting.told());
        let how = "the provider is asked at most every 30 s for each session and replica, and tokens are replaced before \
                   their end";
        work.report.changed(setting.told(), "providers[0].strict", how);
    }
    place::allow_http(work);
    place::register(work, origin);
    place::verified(work);
    Ok(())
}

/// Lists are of commas there; the published settings have blanks in one item, which reached the provider as they were.
fn scopes(work: &mut Work) {
    let to = "providers[0].scopes";
    match work.text("OIDC_SCOPES", to) {
        Some((setting, scopes)) => {
            let scopes: Vec<&str> = scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
            work.draft.provider.set("scopes", scopes, setting.told());
            work.report.carried(setting.told(), to);
        }
        None => work.draft.provider.set("scopes", vec!["openid", "email"], "The default of `OIDC_SCOPES`."),
    }
}
