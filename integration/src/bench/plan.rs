//! How much is measured.

use std::path::PathBuf;
use std::time::Duration;

/// What one run does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often everything is measured, in turns.
    pub rounds: usize,
    /// How long one measurement takes, about.
    pub each: Duration,
    /// How many sessions are many.
    pub many: u64,
    /// How many sessions a process remembers at once, where it has to ask Redis for others.
    pub remembered: u64,
    /// Whether a real Envoy is asked too.
    pub envoy: bool,
    /// Whether oauth2-proxy and Authorino are measured too.
    pub peers: bool,
    /// The benchmark's own program, which is the null server too.
    pub program: PathBuf,
}

impl Plan {
    /// Everything, within twelve minutes on two cores.
    #[must_use]
    pub fn full(program: PathBuf) -> Self {
        Self {
            rounds: 5,
            each: Duration::from_millis(1200),
            many: 1_000_000,
            remembered: 40_000,
            envoy: true,
            peers: true,
            program,
        }
    }

    /// One short round of all that needs no long preparation: it shows that everything works, and its figures say
    /// nothing.
    #[must_use]
    pub fn smoke(program: PathBuf) -> Self {
        let each = Duration::from_millis(50);
        Self { rounds: 1, each, many: 2_000, remembered: 500, envoy: true, peers: false, program }
    }
}
