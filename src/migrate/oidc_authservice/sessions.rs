//! Sessions, and where they are kept.

use std::time::Duration;

use crate::migrate::{
    redis::{self, Mode},
    work::Work,
};

const STORE: &str = "the store is our own: old sessions do not count, and people sign in once more";

pub(super) fn sessions(work: &mut Work) {
    store(work);
    lifetime(work);
    work.drop_each(&[
        ("SESSION_STORE_PATH", STORE),
        ("OIDC_STATE_STORE_PATH", "the state of a sign-in is sealed, and kept by the browser"),
        ("STORE_PATH", STORE),
        ("SESSION_SAME_SITE", "our cookie is `__Host-`, Secure, HttpOnly and SameSite=Lax"),
        ("SESSION_DOMAIN", "our cookie is `__Host-`: this origin's alone"),
    ]);
}

fn lifetime(work: &mut Work) {
    let Some((setting, seconds)) = work.text("SESSION_MAX_AGE", "sessions.absolute_lifetime") else {
        return work.set_lifetime("24h", "The default of `SESSION_MAX_AGE`.");
    };
    let why = "it is no number of seconds; `sessions.absolute_lifetime` is 24h";
    match seconds.parse().map(Duration::from_secs) {
        Ok(lifetime) => work.lifetime(&setting, lifetime),
        Err(_) => work.report.dropped(setting.told(), why),
    }
}

fn store(work: &mut Work) {
    let kind = work.text("SESSION_STORE_TYPE", "sessions.store.type");
    if let Some((setting, _)) = &kind {
        work.report.carried(setting.told(), "sessions.store.type");
    }
    if kind.is_none_or(|(_, kind)| kind != "redis") {
        work.drop_each(&[
            ("SESSION_STORE_REDIS_ADDR", "sessions were not in Redis"),
            ("SESSION_STORE_REDIS_PWD", "sessions were not in Redis"),
            ("SESSION_STORE_REDIS_DB", "sessions were not in Redis"),
        ]);
        return redis::embedded(work, "");
    }
    redis::shared(work, Mode::Standalone);
    let to = "sessions.store.redis.urls";
    let address = work.text("SESSION_STORE_REDIS_ADDR", to);
    let told = address.as_ref().map(|(setting, _)| setting.told()).unwrap_or_default();
    let url = address.and_then(|(setting, address)| {
        work.report.carried(setting.told(), to);
        redis::server(work, &setting, &format!("redis://{address}"))
    });
    let url = url.unwrap_or_else(|| redis::unknown_server(work));
    redis::settle(work, &told, vec![url]);
    if let Some(setting) = work.settings.take("SESSION_STORE_REDIS_PWD") {
        redis::password(work, &setting);
    }
    if let Some(setting) = work.settings.take("SESSION_STORE_REDIS_DB") {
        let how = "a database's number is not spoken; a prefix keeps the keys apart";
        work.report.changed(setting.told(), "sessions.store.redis.prefix", how);
    }
}
