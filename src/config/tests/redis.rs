//! The servers of a `redis` store.

use std::time::Duration;

use super::{errors, load, with};
use crate::{redis_store::RedisServers, stores::StoreConfig};

const STORE: &str = "{type: embedded, path: /var/lib/portcullis/sessions/sessions.redb}";
const OWN_KEYS: &str = "directory: /var/lib/portcullis/keys";
const FILES: &str = "root: [/keys/root]\n  assertion: [/keys/assertion]";

fn with_redis(redis: &str) -> String {
    with(STORE, &format!("{{type: redis, redis: {{{redis}}}}}")).replace(OWN_KEYS, FILES)
}

#[test]
fn all_that_is_written_is_read() {
    let text = with_redis(
        "mode: sentinel, urls: ['rediss://a.example.com:26379', 'rediss://10.0.0.2'], master_name: sessions, \
         username: portcullis, password_file: /p, sentinel_password_file: /s, ca_file: /ca, prefix: a, timeout: 1s, \
         replicas: 2, cache_lifetime: 5s",
    );
    let StoreConfig::Redis(redis) = load(&text).unwrap().store else { panic!("another store") };
    let RedisServers::Sentinel { name, sentinels, password_file } = &redis.servers else { panic!("another mode") };
    assert_eq!(name, "sessions");
    assert_eq!(sentinels.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.example.com:26379", "10.0.0.2:6379"]);
    assert_eq!(password_file.as_deref(), Some("/s".as_ref()));
    assert_eq!(redis.tls.unwrap().ca_file.as_deref(), Some("/ca".as_ref()));
    assert_eq!((redis.prefix.as_str(), redis.replicas), ("a", Some(2)));
    assert_eq!((redis.timeout, redis.cache_lifetime), (Duration::from_secs(1), Duration::from_secs(5)));
}

/// Each: what is written, and the field that is told. The words are in the snapshot.
const TABLE: &[(&str, &str)] = &[
    ("urls: []", "urls"),
    ("urls: [redis.example.com]", "urls[0]"),
    ("urls: ['http://redis']", "urls[0]"),
    ("urls: ['redis://u:hunter2@redis']", "urls[0]"),
    ("urls: ['redis://redis/1']", "urls[0]"),
    ("urls: ['redis://a', 'redis://b']", "urls"),
    ("mode: cluster, urls: ['redis://a', 'rediss://b']", "urls"),
    ("urls: ['redis://a'], ca_file: /ca", "ca_file"),
    ("urls: ['redis://a'], master_name: x", "master_name"),
    ("mode: sentinel, urls: ['redis://a']", "master_name"),
    ("urls: ['redis://a'], username: x", "password_file"),
    ("urls: ['redis://a'], prefix: 'a{b}'", "prefix"),
    ("urls: ['redis://a'], replicas: 99", "replicas"),
    ("urls: ['redis://a'], timeout: 1m", "timeout"),
    ("urls: ['redis://a'], password_file: p", "password_file"),
];

#[test]
fn what_is_wrong_is_told_with_its_field() {
    for (redis, field) in TABLE {
        let told = errors(&with_redis(redis)).join("\n");
        assert!(told.contains(&format!("sessions.store.redis.{field}: ")), "{redis}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn replicas_that_share_sessions_share_their_keys() {
    let told = errors(&with_redis("urls: ['redis://a']").replace(FILES, OWN_KEYS)).join("\n");
    assert!(told.contains("keys.directory: replicas that share sessions in Redis share their keys"), "{told}");
}

#[test]
fn every_error_is_as_its_snapshot_says() {
    let each = |(redis, _): &(&str, &str)| format!("{redis}\n  {}\n", errors(&with_redis(redis)).join("\n  "));
    insta::assert_snapshot!("errors", TABLE.iter().map(each).collect::<String>());
}
