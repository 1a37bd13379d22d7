//! Sessions, and where they are kept.

use std::time::Duration;

use crate::{
    config_draft::Fields,
    gatekeepers::go,
    migrate::{
        redis::{self, Mode},
        work::Work,
    },
};

/// How long its cookie lives where nothing is said.
const WEEK: Duration = Duration::from_hours(7 * 24);

pub(super) fn sessions(work: &mut Work, replicas: Option<u64>) {
    store(work, replicas);
    lifetime(work);
    if let Some((setting, text)) = work.text("cookie_refresh", "providers[0].refresh") {
        match go::duration(&text) {
            Some(every) if every.is_zero() => work.report.dropped(setting.told(), "it is off"),
            Some(_) => {
                let how = "sessions follow the provider's tokens: they are replaced a minute before their end, where a refresh \
                           token comes (most providers want the scope `offline_access`)";
                work.draft.provider.set("refresh", Fields::one("ahead", "1m"), setting.told());
                work.report.changed(setting.told(), "providers[0].refresh", how);
            }
            None => work.report.dropped(setting.told(), "it is no duration"),
        }
    }
}

fn lifetime(work: &mut Work) {
    let Some((setting, text)) = work.text("cookie_expire", "sessions.absolute_lifetime") else {
        return work.set_lifetime(&go::written(WEEK), "The default of oauth2-proxy's `cookie_expire`.");
    };
    match go::duration(&text) {
        Some(lifetime) => work.lifetime(&setting, lifetime),
        None => work.report.dropped(setting.told(), "it is no duration; `sessions.absolute_lifetime` is 24h"),
    }
}

/// Its Redis, or a file: a session of ours is never in the cookie.
fn store(work: &mut Work, replicas: Option<u64>) {
    let kind = work.text("session_store_type", "sessions.store.type");
    let is_redis = kind.as_ref().is_some_and(|(_, kind)| kind == "redis");
    if let Some((setting, _)) = &kind {
        if is_redis {
            work.report.carried(setting.told(), "sessions.store.type");
        } else {
            work.report.changed(
                setting.told(),
                "sessions.store.type",
                "sessions are kept here, in one file; not in the cookie",
            );
        }
    }
    if is_redis {
        return in_redis(work);
    }
    let several = replicas.is_some_and(|replicas| replicas > 1);
    let comment =
        if several { "One replica. Several need Redis: docs/install-istio.md, \"Several replicas\"." } else { "" };
    redis::embedded(work, comment);
    if several {
        work.report.by_hand(
            "decide on the store: before, several replicas shared sessions in the cookie; `embedded` is for one, and several \
             need Redis (docs/install-istio.md, \"Several replicas\")",
        );
    }
}

fn in_redis(work: &mut Work) {
    let sentinel = work.switch("redis_use_sentinel");
    let cluster = work.switch("redis_use_cluster");
    let is_on = |switch: &Option<(_, bool)>| matches!(switch, Some((_, true)));
    let (mode, name) = if is_on(&sentinel) {
        (Mode::Sentinel, "redis_sentinel_connection_urls")
    } else if is_on(&cluster) {
        (Mode::Cluster, "redis_cluster_connection_urls")
    } else {
        (Mode::Standalone, "redis_connection_url")
    };
    for (setting, _) in [sentinel, cluster].into_iter().flatten() {
        work.report.carried(setting.told(), "sessions.store.redis.mode");
    }
    redis::shared(work, mode);
    let to = "sessions.store.redis.urls";
    let (mut urls, mut told) = (Vec::new(), String::new());
    if let Some(setting) = work.known(name, to) {
        let texts = setting.items().unwrap_or_default();
        urls.extend(texts.into_iter().filter_map(|text| redis::server(work, &setting, text)));
        work.report.carried(setting.told(), to);
        told = setting.told();
    }
    if urls.is_empty() {
        urls.push(redis::unknown_server(work));
    }
    let to = "sessions.store.redis";
    if let Some((setting, name)) = work.text("redis_username", to) {
        work.draft.redis.set("username", name, setting.told());
        work.report.carried(setting.told(), format!("{to}.username"));
    }
    if let Some(setting) = work.settings.take("redis_password") {
        redis::password(work, &setting);
    }
    if mode == Mode::Sentinel {
        if let Some((setting, name)) = work.text("redis_sentinel_master_name", to) {
            work.draft.redis.set("master_name", name, setting.told());
            work.report.carried(setting.told(), format!("{to}.master_name"));
        }
        if let Some(setting) = work.settings.take("redis_sentinel_password") {
            redis::sentinel_password(work, &setting);
        }
    }
    if let Some(setting) = work.settings.take("redis_ca_path") {
        redis::authorities(work, &setting);
    }
    redis::settle(work, &told, urls);
}
