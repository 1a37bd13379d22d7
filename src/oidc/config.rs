//! What sign-in needs to know, as resolved plain values.

use std::time::Duration;

use crate::providers::ProviderConfig;

/// The configuration of sign-in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity providers.
    pub providers: Vec<ProviderConfig>,
    /// What strangers can cause, and how much of it.
    pub limits: Limits,
}

/// Bounds on what anybody can cause without being signed in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Code exchanges that run at once with one provider.
    pub concurrent_exchanges: usize,
    /// Spent marks written a second, in the long run.
    pub marks_per_second: u32,
    /// Spent marks written at once.
    pub marks_burst: u32,
    /// How long a callback may take altogether: shorter than the gateway waits, so that our own 503 comes first.
    pub callback_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_exchanges: 64,
            marks_per_second: 50,
            marks_burst: 200,
            callback_deadline: Duration::from_secs(8),
        }
    }
}
