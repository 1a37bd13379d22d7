//! What became of the log's lines.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::MetricType,
    registry::Registry,
};

use super::queue::Queue;

pub(super) fn register(registry: &mut Registry, queue: &Arc<Queue>) {
    registry.register(
        "log_records_dropped",
        "Records of the log that found no room, since nobody read it in time",
        queue.dropped.clone(),
    );
    registry.register("log_waiting_bytes", "What of the log waits to be written", WaitingBytes(Arc::clone(queue)));
}

/// Looked up when it is asked for: no record counts anything for it.
#[derive(Debug)]
struct WaitingBytes(Arc<Queue>);

impl EncodeMetric for WaitingBytes {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&u64::try_from(self.0.waiting()).unwrap_or(u64::MAX))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
