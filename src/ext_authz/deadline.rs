//! The gateway's deadline, from `grpc-timeout` (gRPC over HTTP/2, "Requests").

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http::HeaderMap;

/// What a callback may need: it waits for the provider.
const RECOMMENDED: Duration = Duration::from_secs(10);
/// What is kept for the way back, so that our own answer comes before the gateway's.
const RESERVE: Duration = Duration::from_millis(50);

/// How long a check may take; none where the gateway sets no limit.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let limit = parse(headers.get("grpc-timeout")?.to_str().ok()?)?;
    if limit < RECOMMENDED {
        note_short(limit);
    }
    Some(limit.saturating_sub(RESERVE).max(limit / 2))
}

/// Reads a limit. Envoy up to 1.37 writes `0m` for "no limit".
fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.len().checked_sub(1)?;
    let (digits, unit) = (text.get(..unit_at)?, text.get(unit_at..)?);
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    let limit = match unit {
        "H" => Duration::from_hours(count),
        "M" => Duration::from_mins(count),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    };
    (!limit.is_zero()).then_some(limit)
}

/// Says once that sign-ins may not have the time that they need.
fn note_short(limit: Duration) {
    static NOTED: AtomicBool = AtomicBool::new(false);
    if !NOTED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            "the gateway gives checks less than the recommended 10 s; sign-ins may fail while the provider is slow"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        of(&headers)
    }

    #[test]
    fn a_limit_leaves_time_for_the_way_back() {
        assert_eq!(limit("10S"), Some(Duration::from_millis(9950)));
        assert_eq!(limit("200m"), Some(Duration::from_millis(150)));
        assert_eq!(limit("20m"), Some(Duration::from_millis(10)));
        assert_eq!(limit("1M"), Some(Duration::from_millis(59_950)));
    }

    #[test]
    fn no_limit_is_none() {
        for text in ["0m", "", "m", "1", "1x", "-1S", "123456789S", "1.5S"] {
            assert_eq!(limit(text), None, "{text:?}");
        }
        assert_eq!(of(&HeaderMap::new()), None);
    }
}
