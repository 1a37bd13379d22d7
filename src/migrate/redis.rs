//! Where sessions are kept.

use url::Url;

use super::work::Work;
use crate::gatekeepers::Setting;

/// Where the manifests mount what leads into Redis.
const PASSWORD: &str = "/secrets/redis/password";
const SENTINEL_PASSWORD: &str = "/secrets/redis/sentinel-password";
const CA: &str = "/secrets/redis/ca.pem";

/// How the servers stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Standalone,
    Sentinel,
    Cluster,
}

/// Sessions in one file, with keys of our own making beside it.
pub(super) fn embedded(work: &mut Work, comment: &str) {
    work.draft.keys.set("directory", "/var/lib/portcullis/keys", "Made at the first start.");
    let store = &mut work.draft.store;
    store.set("type", "embedded", comment);
    store.set("path", "/var/lib/portcullis/sessions/sessions.redb", "");
}

/// Sessions in Redis, with keys that all replicas share. Its servers are still to be written.
pub(super) fn shared(work: &mut Work, mode: Mode) {
    work.draft.keys.set("root", vec!["/secrets/keys/root"], "The same for all replicas: Secret `portcullis-keys`.");
    work.draft.keys.set("assertion", vec!["/secrets/keys/assertion.pem"], "");
    work.draft.store.set("type", "redis", "");
    let redis = &mut work.draft.redis;
    match mode {
        Mode::Standalone => {}
        Mode::Sentinel => redis.set("mode", "sentinel", ""),
        Mode::Cluster => redis.set("mode", "cluster", ""),
    }
    redis.set("urls", Vec::<String>::new(), "");
    work.report.by_hand(
        "make the keys that all replicas share (docs/install-istio.md, \"Several replicas\"): /secrets/keys/root and \
         /secrets/keys/assertion.pem",
    );
    work.report.by_hand(
        "see that Redis forgets nothing (`maxmemory-policy noeviction`): another policy is refused; its old sessions are of \
         no use",
    );
}

/// What is left of the URL of a server: scheme, host and port. Its user goes into `username`, its password into a file, and
/// what else there is is told.
pub(super) fn server(work: &mut Work, setting: &Setting, text: &str) -> Option<String> {
    let told = setting.told();
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "redis" | "rediss") && url.has_host());
    let Some(url) = url else {
        work.report.by_hand(format!("{told}: it is no URL `redis://host:port`; write `sessions.store.redis.urls`"));
        return None;
    };
    let is_default_user = matches!(url.username(), "" | "default");
    if !is_default_user {
        work.draft.redis.set("username", url.username(), told.as_str());
    }
    if url.password().is_some() {
        password(work, setting);
    }
    if !matches!(url.path(), "" | "/" | "/0") || url.query().is_some() {
        work.report.changed(
            &told,
            "sessions.store.redis.prefix",
            "a database's number and parameters are not spoken; a prefix keeps the keys apart",
        );
    }
    let host = url.host_str()?;
    let port = url.port().unwrap_or(6379);
    Some(format!("{}://{host}:{port}", url.scheme()))
}

/// A password goes into a file that the operator makes.
pub(super) fn password(work: &mut Work, setting: &Setting) {
    file(work, setting, "password_file", PASSWORD, "put the password of Redis");
}

pub(super) fn sentinel_password(work: &mut Work, setting: &Setting) {
    file(work, setting, "sentinel_password_file", SENTINEL_PASSWORD, "put the password of the sentinels");
}

pub(super) fn authorities(work: &mut Work, setting: &Setting) {
    file(work, setting, "ca_file", CA, "put the authorities of Redis");
}

fn file(work: &mut Work, setting: &Setting, key: &str, path: &str, todo: &str) {
    let told = setting.told();
    work.draft.redis.set(key, path, told.as_str());
    work.report.changed(&told, format!("sessions.store.redis.{key}"), "it is read from a file");
    work.report.by_hand(format!("{todo}, {told}, into the file {path} (Secret `portcullis-redis`)"));
}

/// The fields of a server that is not told.
pub(super) fn unknown_server(work: &mut Work) -> String {
    let url = "redis://redis.example.com:6379".to_owned();
    work.report.by_hand(format!("write `sessions.store.redis.urls` instead of {url}: no file tells the server"));
    url
}

/// Writes the servers, and what they need beside.
pub(super) fn settle(work: &mut Work, told: &str, urls: Vec<String>) {
    let redis = &mut work.draft.redis;
    // Where none of them speaks TLS, there is nothing that authorities could certify.
    if !urls.iter().any(|url| url.starts_with("rediss:")) {
        redis.remove("ca_file");
    }
    redis.set("urls", urls, told);
    if redis.has("username") && !redis.has("password_file") {
        redis.set("password_file", PASSWORD, "TO DO: a user has a password. No file tells it.");
        work.report.by_hand(format!("put the password of Redis into the file {PASSWORD} (Secret `portcullis-redis`)"));
    }
    if redis.has("mode") && !redis.has("master_name") && redis.get_mut("mode") == Some(&mut "sentinel".into()) {
        redis.set("master_name", "mymaster", "TO DO: as in `sentinel monitor NAME`. No file tells it.");
        work.report.by_hand("write `sessions.store.redis.master_name`: no file tells it");
    }
}
