//! When a record was written: UTC, RFC 3339, to the microsecond.

use std::{cell::Cell, fmt, io::Write as _, time::Duration};

use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

use crate::clock;

/// `2026-11-23T22:34:14`, which is the same for many records.
type Second = [u8; 19];

thread_local! {
    /// The second of this thread's last record, as it is written.
    static LAST: Cell<(u64, Second)> = const { Cell::new((u64::MAX, [0; 19])) };
}

/// A moment as records show it: `2026-11-23T22:34:14.984036Z`.
pub(super) struct Stamp([u8; 27]);

impl Stamp {
    pub(super) fn now() -> Self {
        Self::of(clock::machine_time())
    }

    fn of(since_epoch: Duration) -> Self {
        let mut text = [0; 27];
        let mut rest = text.as_mut_slice();
        // The array is as long as what is written.
        let _ = rest.write_all(&second(since_epoch.as_secs()));
        let _ = write!(rest, ".{:06}Z", since_epoch.subsec_micros());
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn second(number: u64) -> Second {
    let (last, text) = LAST.get();
    if last == number {
        return text;
    }
    let text = written(number);
    LAST.set((number, text));
    text
}

fn written(number: u64) -> Second {
    // RFC 3339 ends with the year 9999.
    let number = number.min(253_402_300_799);
    let moment = clock::Timestamp::from_unix_seconds(number).to_system_time();
    let mut text = [0; 20];
    let _ = write!(text.as_mut_slice(), "{}", humantime::format_rfc3339_seconds(moment));
    text.first_chunk().copied().unwrap_or([b'0'; 19])
}

/// The same for what `tracing` formats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps;

impl FormatTime for Stamps {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(Stamp::now().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_rfc_3339_with_microseconds() {
        let stamp = |micros| Stamp::of(Duration::from_micros(micros)).as_str().to_owned();
        assert_eq!(stamp(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(stamp(1_795_473_254_984_036), "2026-11-23T22:34:14.984036Z");
        assert_eq!(stamp(1_795_473_254_000_007), "2026-11-23T22:34:14.000007Z");
        assert_eq!(stamp(1_795_473_255_000_000), "2026-11-23T22:34:15.000000Z");
        assert_eq!(stamp(u64::MAX), "9999-12-31T23:59:59.551615Z");
    }
}
