//! The clock of a child process, moved by a test (libfaketime).

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;

/// Which of the clocks a test moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// The wall clock alone, as an administrator or NTP does: it may go back.
    WallClock,
    /// The monotonic clock too, as if the machine had slept: forward only.
    AllClocks,
}

/// A clock that runs beside the machine's, so many seconds ahead of it or behind.
#[derive(Debug)]
pub struct MovableClock {
    folder: TempDir,
    library: PathBuf,
    moves: Moves,
}

impl MovableClock {
    /// A clock that shows the machine's time.
    pub fn new(moves: Moves) -> Result<Self> {
        let clock = Self {
            folder: TempDir::with_prefix("portcullis-clock-")?,
            library: crate::parts::path("libfaketime.so.1")?,
            moves,
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// Moves the clock at once, to so many seconds from the machine's time.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // Written aside and renamed, so that no reader ever sees half of it.
        let aside = self.folder.path().join("new");
        fs::write(&aside, format!("{seconds:+}s\n"))?;
        Ok(fs::rename(aside, self.file())?)
    }

    /// What a process's environment must hold to see this clock.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file()),
            // Else a move is seen after up to ten seconds.
            ("FAKETIME_NO_CACHE", "1".into()),
        ];
        if self.moves == Moves::WallClock {
            variables.push(("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()));
        }
        variables
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::Launch;

    #[tokio::test]
    async fn a_child_sees_the_moved_clock() {
        let clock = MovableClock::new(Moves::WallClock).unwrap();
        clock.set(-86_400).unwrap();
        let mut launch = Launch::new("date", "/bin/date").arg("+%s");
        for (name, value) in clock.environment() {
            launch = launch.env(name, value);
        }
        let mut child = launch.start().unwrap();
        child.wait_exit(Duration::from_secs(20)).await.unwrap();
        let shown: i64 = child.log().trim().parse().unwrap();
        let behind = crate::jwt::now() - shown;
        assert!((86_400..86_430).contains(&behind), "{behind}");
    }
}
