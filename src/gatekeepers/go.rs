//! Values as programs in Go read them.

use std::time::Duration;

/// A switch, as `strconv.ParseBool` reads it.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A duration, as `time.ParseDuration` reads it: `24h`, `168h0m0s`. A bare number counts nanoseconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_nanos);
    }
    let in_go = text.chars().all(|next| next.is_ascii_digit() || "hmsunµ".contains(next));
    if in_go { humantime::parse_duration(text).ok() } else { None }
}

/// A duration as our configuration writes it, to the second.
pub(crate) fn written(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// A list that is written as one text, with commas.
pub(super) fn list(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does_and_written_as_we_do() {
        for (text, told) in [
            ("24h", "24h"),
            ("168h0m0s", "168h"),
            ("1h30m", "90m"),
            ("90s", "90s"),
            ("0", "0s"),
            ("1000000000", "1s"),
            ("1500ms", "1s"),
        ] {
            assert_eq!(duration(text).map(written).as_deref(), Some(told), "{text}");
        }
        for text in ["", "h", "24 hours", "1d", "soon", "-1h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn switches_and_lists_are_read_as_go_does() {
        assert_eq!((switch("T"), switch("false"), switch("on"), switch("yes")), (Some(true), Some(false), None, None));
        assert_eq!(list(" a, b,,c "), ["a", "b", "c"]);
        assert!(list("").is_empty());
    }
}
