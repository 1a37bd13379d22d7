//! What a provider says about time, within bounds of ours: however it errs or lies, it is neither asked without a pause
//! nor believed for ever.
//!
//! No other time of a provider's is used, but a logout token's `exp`, which bounds its mark: see
//! `logout::back_channel`. How long metadata and keys hold is ours alone, whatever `Cache-Control` says.

use std::time::Duration;

use serde_json::Value;

use crate::{clock::Timestamp, session::AccessTokenLife};

/// How far the provider's clock may be from ours.
pub(crate) const LEEWAY: Duration = Duration::from_mins(1);
/// How old an ID token may be: it is made for the code that we just exchanged.
const MAX_AGE: Duration = Duration::from_mins(10);
/// How long an access token is taken to be good at least. With less, each request would be a call of the provider.
pub(crate) const SHORTEST_LIFE: Duration = Duration::from_secs(5);
/// How long an access token is taken to be good at most: a session hears of its provider once a day.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// `expires_in` (RFC 6749 section 5.1). A text of digits counts, as some providers write it; what is no number at all
/// was not told.
pub(crate) fn expires_in(told: &Value) -> Option<Duration> {
    let seconds = match told {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
            text.parse().ok()?
        }
        _ => return None,
    };
    // Negative is over already; what is too much for the type is as good as endless.
    Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// How long an access token is good that was issued `now`. Where the provider does not say so (`expires_in` is only
/// recommended), the ID token's end stands for it, and else what held of the one `before`.
pub(crate) fn access_token_life(
    now: Timestamp,
    expires_in: Option<Duration>,
    id_token_ends: Option<Timestamp>,
    before: Option<AccessTokenLife>,
) -> Option<AccessTokenLife> {
    let life = expires_in
        .or_else(|| id_token_ends.map(|end| end.since(now)))
        .or_else(|| before.map(|life| life.expires_at.since(life.issued_at)))?;
    Some(AccessTokenLife { issued_at: now, expires_at: now.plus(life.clamp(SHORTEST_LIFE, LONGEST_LIFE)) })
}

/// Whether an ID token's `iat` is that of one that was made for us just now.
pub(crate) fn issued_recently(issued_at: Timestamp, now: Timestamp) -> Result<(), &'static str> {
    if issued_at > now.plus(LEEWAY) {
        Err("iat lies in the future")
    } else if now.since(issued_at) > MAX_AGE + LEEWAY {
        Err("iat is too long ago")
    } else {
        Ok(())
    }
}

/// `auth_time`, where it can be true: a date ahead of us would look like a fresh login for ever. By a clock that is ahead of
/// ours, as it may be, it was now.
pub(crate) fn authenticated_at(told: Option<&Value>, now: Timestamp) -> Option<Timestamp> {
    let seconds = match told? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) if text.starts_with(|first: char| first.is_ascii_digit()) => text.parse().ok()?,
        _ => return None,
    };
    let at = Timestamp::from_unix_millis(0).plus(Duration::try_from_secs_f64(seconds).ok()?);
    (at <= now.plus(LEEWAY)).then_some(at.min(now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_life_has_a_floor_and_a_ceiling_whatever_is_told() {
        let life =
            |told: Value| access_token_life(NOW, expires_in(&told), None, None).map(|it| it.expires_at.since(NOW));
        for told in [json!(0), json!(-1), json!(i64::MIN), json!(0.3), json!("0"), json!("-5"), json!(-0.0)] {
            assert_eq!(life(told.clone()), Some(SHORTEST_LIFE), "{told}");
        }
        for told in [json!(u64::MAX), json!(1e300), json!(86_401), json!("99999999999999999999999999")] {
            assert_eq!(life(told.clone()), Some(LONGEST_LIFE), "{told}");
        }
        for told in [json!(300), json!("300"), json!(300.0), json!("300.0")] {
            assert_eq!(life(told.clone()), Some(Duration::from_mins(5)), "{told}");
        }
        for told in [json!(null), json!(true), json!("soon"), json!("NaN"), json!("inf"), json!([300]), json!({"s": 1})]
        {
            assert_eq!(life(told.clone()), None, "{told}");
        }
    }

    #[test]
    fn nobody_was_authenticated_later_than_now() {
        let at = |told: Value| authenticated_at(Some(&told), NOW);
        let seconds = NOW.as_unix_seconds();
        assert_eq!(at(json!(seconds - 5)), Some(NOW.minus(Duration::from_secs(5))));
        assert_eq!(at(json!(0)), Some(Timestamp::from_unix_seconds(0)));
        for told in [json!(1_700_000_000.0), json!("1700000000")] {
            assert_eq!(at(told.clone()), Some(Timestamp::from_unix_seconds(1_700_000_000)), "{told}");
        }
        for ahead in [0, 1, 60] {
            assert_eq!(at(json!(seconds + ahead)), Some(NOW), "{ahead}");
        }
        for told in [json!(seconds + 61), json!(u64::MAX), json!(-1), json!("soon"), json!(null), json!([seconds])] {
            assert_eq!(at(told.clone()), None, "{told}");
        }
        assert_eq!(authenticated_at(None, NOW), None);
    }

    #[test]
    fn what_is_not_told_comes_from_the_id_token_and_then_from_before() {
        let before = AccessTokenLife { issued_at: NOW.minus(Duration::from_mins(9)), expires_at: NOW };
        let life = |ends, before| access_token_life(NOW, None, ends, before).map(|it| it.expires_at);
        let in_two = NOW.plus(Duration::from_mins(2));
        assert_eq!(life(Some(in_two), Some(before)), Some(in_two));
        assert_eq!(life(None, Some(before)), Some(NOW.plus(Duration::from_mins(9))));
        assert_eq!(life(Some(NOW.minus(LEEWAY)), None), Some(NOW.plus(SHORTEST_LIFE)));
        assert_eq!(life(Some(Timestamp::from_unix_seconds(u64::MAX)), None), Some(NOW.plus(LONGEST_LIFE)));
        assert_eq!(life(None, None), None);
    }
}
