//! How long checks took: a histogram of atomic numbers, since the library's takes a lock for each observation.

use std::{
    fmt, iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

/// The upper bounds of the buckets, in microseconds.
const BOUNDS: [u64; 13] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// A histogram of durations, shared by all its clones.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BOUNDS.len()],
    /// What took longer than the last bound.
    longer: AtomicU64,
    /// The sum of all. Enough for 500 years of deciding.
    nanoseconds: AtomicU64,
}

impl Durations {
    pub(super) fn observe(&self, duration: Duration) {
        let fits = |bound: &u64| duration <= Duration::from_micros(*bound);
        let bucket = BOUNDS.iter().position(fits).and_then(|index| self.0.buckets.get(index));
        bucket.unwrap_or(&self.0.longer).fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let seconds = |bound: u64| Duration::from_micros(bound).as_secs_f64();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let longer = iter::once((f64::INFINITY, count(&self.0.longer)));
        let bounded = BOUNDS.iter().zip(&self.0.buckets).map(|(bound, number)| (seconds(*bound), count(number)));
        let buckets: Vec<(f64, u64)> = bounded.chain(longer).collect();
        let all = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(count(&self.0.nanoseconds)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, all, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, metrics::histogram::Histogram, registry::Registry};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_library_s_histogram_shows_the_same(micros in prop::collection::vec(0_u64..10_000_000, 0..50)) {
            let (ours, theirs) = (Durations::default(), Histogram::new(BOUNDS.map(|bound| Duration::from_micros(bound).as_secs_f64())));
            for micros in micros.iter().copied().chain(BOUNDS) {
                let duration = Duration::from_micros(micros);
                ours.observe(duration);
                theirs.observe(duration.as_secs_f64());
            }
            let shown = |registry: &Registry| {
                let mut text = String::new();
                encode(&mut text, registry).unwrap();
                let (sums, rest): (Vec<_>, Vec<_>) = text.lines().map(str::to_owned).partition(|line| line.starts_with("a_sum"));
                (sums[0].rsplit_once(' ').unwrap().1.parse::<f64>().unwrap(), rest)
            };
            let (mut first, mut second) = (Registry::default(), Registry::default());
            first.register("a", "A", ours);
            second.register("a", "A", theirs);
            let ((our_sum, ours), (their_sum, theirs)) = (shown(&first), shown(&second));
            prop_assert_eq!(ours, theirs);
            prop_assert!((our_sum - their_sum).abs() < 1e-6, "{} {}", our_sum, their_sum);
        }
    }
}
