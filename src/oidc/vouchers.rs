//! When a provider last vouched for a session, as far as this process knows.

use std::time::Duration;

use quick_cache::Weighter;

use crate::{
    memory::{self, BoundedCache},
    providers::ProviderConfig,
    session::Handle,
};

/// What an answer that is remembered takes, in bytes.
const USUAL_BYTES: u64 = 256;

/// When the provider was asked that last vouched for a session, in monotonic time, by the session's handle. What another
/// process asked is not known here: its dates are of the wall clock, which may step back.
#[derive(Debug)]
pub(super) struct Vouchers(BoundedCache<Handle, Duration, Weight>);

impl Vouchers {
    pub(super) fn new() -> Self {
        Self(memory::cache(memory::STRICT_ANSWERS, USUAL_BYTES, Weight))
    }

    /// The provider vouched for the session, by a sign-in, a refresh or an answer that began at `asked_at` (monotonic).
    pub(super) fn vouched(&self, provider: &ProviderConfig, session: &Handle, asked_at: Duration) {
        if provider.strict.is_some() {
            self.0.insert(session.clone(), asked_at);
        }
    }

    /// When the provider was asked that last vouched for the session (monotonic).
    pub(super) fn asked_at(&self, session: &Handle) -> Option<Duration> {
        self.0.get(session)
    }
}

#[derive(Clone, Copy, Debug)]
struct Weight;

impl Weighter<Handle, Duration> for Weight {
    fn weight(&self, session: &Handle, _: &Duration) -> u64 {
        memory::entry::<Handle, Duration>(memory::block(session.as_str().len()))
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;

    use super::*;

    #[test]
    fn remembered_answers_take_no_more_than_their_part() {
        let vouchers = Vouchers::new();
        let filled = measure(|| {
            for number in 0..100_000 {
                vouchers.0.insert(Handle::parse(&format!("{number:012}")).unwrap(), Duration::ZERO);
            }
        });
        assert!(filled.bytes_max <= memory::STRICT_ANSWERS, "{filled:?}");
        assert!(vouchers.0.len() > 10_000, "else nothing was filled: {}", vouchers.0.len());
    }
}
