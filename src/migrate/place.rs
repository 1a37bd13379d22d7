//! The public address, and who people sign in at: the same for every product before us.

use url::Url;

use super::{
    error::Cause,
    work::{Work, carry},
};
use crate::{
    config_draft::{CLIENT_SECRET, Fields},
    config_values::weak_secrets::weakness,
    gatekeepers::{Setting, Value},
    request::Host,
    secret::SecretString,
};

/// What is written where no file tells the public address.
const UNKNOWN_ORIGIN: &str = "https://kubeflow.example.com";

/// The public address of a URL, and the path behind it.
pub(super) fn origin_of(text: &str) -> Option<(String, String)> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    // A browser's reader takes more for a host than any request can name.
    Host::parse(url.host_str()?).ok()?;
    let mut origin = url.clone();
    // Its port was the one of the plain scheme.
    if url.scheme() == "http" {
        origin.set_port(None).ok()?;
        origin.set_scheme("https").ok()?;
    }
    Some((origin.origin().ascii_serialization(), url.path().to_owned()))
}

/// The address that the operator asked for.
pub(super) fn asked_origin(asked: &str) -> Result<String, Cause> {
    let wrong = || Cause::Origin(asked.to_owned());
    let (origin, path) = origin_of(asked).ok_or_else(wrong)?;
    if path == "/" && asked.starts_with("https://") { Ok(origin) } else { Err(wrong()) }
}

/// Writes the origin: what was asked for, else what the settings tell, else one to be replaced.
pub(super) fn origin(work: &mut Work, asked: Option<String>, told: Option<(String, String)>) -> String {
    let (origin, comment) = match (asked, told) {
        (Some(asked), _) => (asked, "--origin".to_owned()),
        (None, Some((origin, told))) => (origin, told),
        (None, None) => {
            work.report.by_hand(format!(
                "write your public address wherever {UNKNOWN_ORIGIN} stands (or say it by `--origin`): no file tells it"
            ));
            (UNKNOWN_ORIGIN.to_owned(), "TO DO: your public address. No file tells it.".to_owned())
        }
    };
    work.draft.origin.set("url", origin.as_str(), comment);
    origin
}

/// Writes the provider's name and issuer, and at the origin whose people sign in there.
pub(super) fn issuer(work: &mut Work, setting: &str, issuer: &str) {
    let name = provider_name(issuer);
    let provider = &mut work.draft.provider;
    provider.set("name", name, "");
    provider.set("issuer", issuer, setting);
    work.draft.origin.set("provider", name, "");
}

/// Plain `http` at the provider is an explicit word of ours; nobody needed one before.
pub(super) fn allow_http(work: &mut Work) {
    let texts = work.draft.provider.texts().chain(work.draft.endpoints.texts());
    let plain: Vec<String> = texts.filter(|text| text.starts_with("http://")).map(str::to_owned).collect();
    if let Some(one) = plain.first() {
        let comment = "In clear text: for a provider inside the cluster, with nobody else on the line.";
        work.draft.provider.set("allow_http", true, comment);
        work.report
            .by_hand(format!("see that nobody else is on the line to {one}: `allow_http: true` is written for it"));
    }
}

/// Writes the endpoint that browsers are led to. One without scheme and host is on the public address.
pub(super) fn authorization(work: &mut Work, name: &str, origin: &str) {
    let to = "providers[0].endpoints.authorization";
    let Some((setting, url)) = work.text(name, to) else { return };
    if url.starts_with('/') {
        work.draft.endpoints.set("authorization", format!("{origin}{url}"), setting.told());
        work.report.changed(setting.told(), to, "it is written whole, with the public address");
    } else {
        carry(&mut work.draft.endpoints, &mut work.report, "authorization", to, (setting, url));
    }
}

/// Services know people by their addresses to the byte.
pub(super) fn userid_case(work: &mut Work) {
    let as_written = "As before: the address as the provider writes it. Rules compare it without its case.";
    work.draft.provider.set("userid_case", "keep", as_written);
}

/// The name that the provider gets with us.
fn provider_name(issuer: &str) -> &'static str {
    let url = Url::parse(issuer).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let path = url.as_ref().map(Url::path).unwrap_or_default();
    match host {
        "accounts.google.com" => "google",
        "login.microsoftonline.com" => "entra-id",
        host if path.ends_with("/dex") || host == "dex" || host.starts_with("dex.") => "dex",
        _ if path.contains("/realms/") => "keycloak",
        host if host.starts_with("gitlab.") => "gitlab",
        _ => "provider",
    }
}

/// How the client is known at the provider.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) id: Option<Setting>,
    /// The secret itself.
    pub(super) secret: Option<Setting>,
    /// The file that holds it, and what it holds where that is there.
    pub(super) file: Option<(Setting, Option<SecretString>)>,
}

/// Writes the client. Its secret goes into a file that the operator makes: it is neither written nor told.
pub(super) fn client(work: &mut Work, client: Client) {
    let to = "providers[0].client_id";
    let id = client.id.as_ref().and_then(|setting| setting.text().map(|text| (setting.told(), text.to_owned())));
    if let Some((told, id)) = &id {
        work.draft.provider.set("client_id", id.as_str(), told);
        work.report.carried(told, to);
    } else {
        work.draft.provider.set("client_id", "portcullis", "TO DO: the client's id. No file tells it.");
        work.report.by_hand(format!("write `{to}`: no file tells the client's id"));
    }
    let id = id.map(|(_, id)| id).unwrap_or_default();
    let (told, secret) = match (client.secret, client.file) {
        (Some(setting), _) => {
            let secret = match &setting.value {
                Value::Text(secret) => Some(secret.clone()),
                Value::List(_) | Value::Elsewhere => None,
            };
            (Some(setting.told()), secret)
        }
        (None, Some((setting, secret))) => (Some(setting.told()), secret),
        (None, None) => (None, None),
    };
    let comment = told.clone().unwrap_or_else(|| "TO DO: the client's secret. No file tells it.".to_owned());
    work.draft.provider.set("client_secret", Fields::one("file", CLIENT_SECRET), comment);
    secret_by_hand(work, told.as_deref(), secret.as_ref(), &id);
}

/// What the operator does about the secret.
fn secret_by_hand(work: &mut Work, told: Option<&str>, secret: Option<&SecretString>, client_id: &str) {
    let to = "providers[0].client_secret.file";
    let weakness = secret.and_then(|secret| {
        let text = secret.expose().trim_end();
        if text == client_id { Some("the secret is the client_id") } else { weakness(text.as_bytes()) }
    });
    match (told, weakness) {
        (Some(told), Some(weakness)) => {
            work.report.dropped(told, format!("REFUSED, and Portcullis would not start with it: {weakness}"));
            work.report.by_hand(format!(
                "make a new client secret (`openssl rand -base64 32`), give it to the client at the provider, and put it \
                 into the file {CLIENT_SECRET} (Secret `portcullis-provider`, key `client-secret`)"
            ));
        }
        (Some(told), None) => {
            work.report.changed(told, to, "a secret is read from a file, and stands in no configuration");
            work.report.by_hand(format!(
                "put the client secret, {told}, into the file {CLIENT_SECRET} (Secret `portcullis-provider`, key \
                 `client-secret`)"
            ));
        }
        (None, _) => work.report.by_hand(format!(
            "put the client secret into the file {CLIENT_SECRET}, or take `client_secret` out for a public client: no file \
             tells one"
        )),
    }
}

/// An address without a word about it counted before, and does not with us.
pub(super) fn verified(work: &mut Work) {
    if !work.draft.provider.has("trust_unverified_email") {
        work.report.by_hand(
            "see that the provider says `email_verified: true` of people: before, an address without that word counted too; \
             `trust_unverified_email` with `email_domains` takes it all the same",
        );
    }
}

/// What has to be registered at the provider.
pub(super) fn register(work: &mut Work, origin: &str) {
    work.report.by_hand(format!(
        "register at the provider for this client, beside what is there: the redirect URI {origin}/portcullis/callback, and, \
         where it has an `end_session_endpoint`, the post-logout redirect URI {origin}/portcullis/signed-out"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_of_any_url_and_is_https() {
        for (text, origin) in [
            ("https://kf.example.com/oauth2/callback", Some(("https://kf.example.com", "/oauth2/callback"))),
            ("http://kf.example.com:8080/x", Some(("https://kf.example.com", "/x"))),
            ("https://kf.example.com:8443", Some(("https://kf.example.com:8443", "/"))),
            ("/oauth2/callback", None),
            ("ftp://a/", None),
            ("https://{host}/", None),
            ("", None),
        ] {
            let owned = origin.map(|(origin, path)| (origin.to_owned(), path.to_owned()));
            assert_eq!(origin_of(text), owned, "{text}");
        }
        assert_eq!(asked_origin("https://kf.example.com").unwrap(), "https://kf.example.com");
        for wrong in ["http://kf.example.com", "https://kf.example.com/x", "kf.example.com", ""] {
            assert!(asked_origin(wrong).is_err(), "{wrong}");
        }
    }
}
