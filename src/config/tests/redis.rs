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

#[test]
fn what_is_wrong_is_told_with_its_field() {
    for (redis, field, words) in [
        ("urls: []", "urls", "no server is named"),
        ("urls: [redis.example.com]", "urls[0]", "it is no URL of a Redis server"),
        ("urls: ['http://redis']", "urls[0]", "it is no URL of a Redis server"),
        ("urls: ['redis://u:hunter2@redis']", "urls[0]", "a user or a password stands in the URL"),
        ("urls: ['redis://redis/1']", "urls[0]", "more than a host and a port"),
        ("urls: ['redis://a', 'redis://b']", "urls", "a standalone server has one address"),
        ("mode: cluster, urls: ['redis://a', 'rediss://b']", "urls", "some servers are to speak TLS"),
        ("urls: ['redis://a'], ca_file: /ca", "ca_file", "nothing is encrypted"),
        ("urls: ['redis://a'], master_name: x", "master_name", "it is about sentinels"),
        ("mode: sentinel, urls: ['redis://a']", "master_name", "it is missing"),
        ("urls: ['redis://a'], username: x", "password_file", "it is missing"),
        ("urls: ['redis://a'], prefix: 'a{b}'", "prefix", "it is no prefix of keys"),
        ("urls: ['redis://a'], replicas: 99", "replicas", "write at most `16`"),
        ("urls: ['redis://a'], timeout: 1m", "timeout", "out of bounds"),
        ("urls: ['redis://a'], password_file: p", "password_file", "no absolute path"),
    ] {
        let told = errors(&with_redis(redis)).join("\n");
        assert!(told.contains(&format!("sessions.store.redis.{field}: ")) && told.contains(words), "{redis}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn replicas_that_share_sessions_share_their_keys() {
    let told = errors(&with_redis("urls: ['redis://a']").replace(FILES, OWN_KEYS)).join("\n");
    assert!(told.contains("keys.directory: replicas that share sessions in Redis share their keys"), "{told}");
}
