//! The cookie that binds logins to a browser: made and dated by us, shared by all tabs.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    secret::{KeyId, Label, RootKeyRing, decode, encode, random_bytes, sha256},
};

/// How long a person has to sign in at the provider.
pub(super) const LOGIN_LIFETIME: Duration = Duration::from_mins(10);
/// How long one cookie serves new logins.
const RENEW_AFTER: Duration = Duration::from_hours(1);
/// How long a cookie lives: until the last login that it began has had its time.
pub(super) const MAX_AGE: Duration = RENEW_AFTER.saturating_add(LOGIN_LIFETIME);
/// How far ahead of our clock a date may lie.
const SKEW: Duration = Duration::from_mins(1);

const DATE_BYTES: usize = 8;
const RANDOM_BYTES: usize = 16;
const BODY_BYTES: usize = KeyId::BYTES + DATE_BYTES + RANDOM_BYTES;
const TAG_BYTES: usize = 32;

/// A login cookie that we made.
pub(super) struct LoginCookie {
    value: String,
    issued_at: Timestamp,
}

/// What a login's state knows of the browser that began it: a hash of the cookie's value.
pub(super) type Binding = [u8; 32];

impl LoginCookie {
    /// A new cookie of this origin.
    #[expect(clippy::expect_used, reason = "the sealing key is in its own ring")]
    pub(super) fn mint(keys: &RootKeyRing, origin: &str, now: Timestamp) -> Self {
        let id = keys.sealing_key();
        let date = now.as_unix_millis().to_be_bytes();
        let random = random_bytes::<RANDOM_BYTES>();
        let tag = keys
            .mac(id, Label::LoginCookie, &[origin.as_bytes(), &date, &random])
            .expect("the sealing key is in its own ring");
        let value = encode(&[id.as_bytes().as_slice(), &date, &random, &tag].concat());
        Self { value, issued_at: now }
    }

    /// The request's login cookie. One that we did not make, one that is too old, or several, count as none.
    pub(super) fn read(keys: &RootKeyRing, origin: &str, values: &[&str], now: Timestamp) -> Option<Self> {
        let [value] = values else { return None };
        if value.len() > 2 * (BODY_BYTES + TAG_BYTES) {
            return None;
        }
        let bytes = decode(value)?;
        let (body, tag) = bytes.split_at_checked(BODY_BYTES)?;
        let (id, rest) = body.split_first_chunk::<{ KeyId::BYTES }>()?;
        let (date, random) = rest.split_first_chunk::<DATE_BYTES>()?;
        if !keys.verify_mac(KeyId::from_bytes(*id), Label::LoginCookie, &[origin.as_bytes(), date, random], tag) {
            return None;
        }
        let issued_at = Timestamp::from_unix_millis(u64::from_be_bytes(*date));
        let alive = issued_at <= now.plus(SKEW) && now.since(issued_at) < MAX_AGE;
        alive.then(|| Self { value: (*value).to_owned(), issued_at })
    }

    /// Whether new logins still begin with this cookie.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.issued_at) < RENEW_AFTER
    }

    /// The cookie's value.
    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// What a state remembers of it.
    pub(super) fn binding(&self) -> Binding {
        sha256(self.value.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::tests::support::key_ring;

    const ORIGIN: &str = "https://kf.example.com";
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_cookie_of_ours_is_read_again_and_binds() {
        let keys = key_ring(1);
        let cookie = LoginCookie::mint(&keys, ORIGIN, NOW);
        let read = LoginCookie::read(&keys, ORIGIN, &[cookie.value()], NOW).unwrap();
        assert_eq!(read.binding(), cookie.binding());
        assert_ne!(LoginCookie::mint(&keys, ORIGIN, NOW).binding(), cookie.binding());
    }

    #[test]
    fn foreign_doubled_and_damaged_cookies_count_as_none() {
        let keys = key_ring(1);
        let cookie = LoginCookie::mint(&keys, ORIGIN, NOW);
        let value = cookie.value();
        assert!(LoginCookie::read(&keys, ORIGIN, &[], NOW).is_none());
        assert!(LoginCookie::read(&keys, ORIGIN, &[value, value], NOW).is_none());
        assert!(LoginCookie::read(&keys, "https://other.example.com", &[value], NOW).is_none());
        assert!(LoginCookie::read(&key_ring(2), ORIGIN, &[value], NOW).is_none());
        for length in 0..value.len() {
            assert!(LoginCookie::read(&keys, ORIGIN, &[&value[..length]], NOW).is_none());
        }
        let mut bytes = decode(value).unwrap();
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            assert!(LoginCookie::read(&keys, ORIGIN, &[&encode(&bytes)], NOW).is_none(), "byte {index}");
            bytes[index] ^= 1;
        }
        assert!(LoginCookie::read(&keys, ORIGIN, &[&"A".repeat(60_000)], NOW).is_none());
    }

    #[test]
    fn a_cookie_begins_logins_for_an_hour_and_ends_them_ten_minutes_longer() {
        let keys = key_ring(1);
        let cookie = LoginCookie::mint(&keys, ORIGIN, NOW);
        let read = |now| LoginCookie::read(&keys, ORIGIN, &[cookie.value()], now);
        assert!(read(NOW.plus(RENEW_AFTER)).is_some_and(|cookie| !cookie.is_fresh(NOW.plus(RENEW_AFTER))));
        assert!(read(NOW.plus(MAX_AGE)).is_none());
        assert!(read(NOW.minus(SKEW)).is_some());
        assert!(read(NOW.minus(SKEW + Duration::from_millis(1))).is_none());
    }
}
