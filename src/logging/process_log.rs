//! The log of this process: started once, changed by a reload, written to its end.

use std::{io, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use tracing_subscriber::{
    Layer as _,
    filter::{Filtered, Targets},
    fmt,
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

use super::{
    config::{Config, Format, filter},
    metrics,
    queue::Queue,
    records::Log,
    stamp::Stamps,
    tracing_output::TracingOutput,
    writer,
};

/// How long the end of the process waits for whoever reads the log.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The log of this process, whose configuration can be replaced.
#[derive(Clone, Debug)]
pub struct Logging {
    // One layer for each format, of which the filters let one write.
    json: reload::Handle<Targets, tracing_subscriber::Registry>,
    text: reload::Handle<Targets, tracing_subscriber::Registry>,
    log: Log,
}

/// What is in the log's memory is written when this is dropped, within 2 s, and nothing is taken afterwards.
#[derive(Debug)]
pub struct UntilTheEnd(Arc<Queue>);

type Layers = Vec<Box<dyn tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync>>;

impl Logging {
    /// Starts the process' log. A second start in one process leaves the first one in place. Whoever ends the process
    /// holds on to the second value until then.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(config: Config) -> io::Result<(Self, UntilTheEnd)> {
        let (this, layers) = Self::prepare(config);
        writer::start(Arc::clone(&this.log.queue), this.log.formats.clone())?;
        if tracing_subscriber::registry().with(layers).try_init().is_err() {
            tracing::warn!("the log of this process was started before");
        }
        let until_the_end = UntilTheEnd::of(&this.log);
        Ok((this, until_the_end))
    }

    /// A log that goes nowhere, for tests: the process' log is everybody's.
    #[cfg(test)]
    pub(crate) fn detached(config: Config) -> Self {
        Self::prepare(config).0
    }

    /// The log for those who write more than `tracing` is made for.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Registers what became of the log's records.
    pub fn register(&self, registry: &mut Registry) {
        metrics::register(registry, &self.log.queue);
    }

    /// Writes as `config` says from now on.
    pub fn reconfigure(&self, config: Config) {
        self.log.formats.set(config);
        for (handle, format) in [(&self.json, Format::Json), (&self.text, Format::Text)] {
            if let Err(error) = handle.reload(filter(config, format)) {
                tracing::warn!(%error, "the log's configuration could not be changed");
            }
        }
    }

    pub(super) fn prepare(config: Config) -> (Self, Layers) {
        let log = Log::new(config);
        let output = TracingOutput(Arc::clone(&log.queue));
        let (json_filter, json) = reload::Layer::new(filter(config, Format::Json));
        let (text_filter, text) = reload::Layer::new(filter(config, Format::Text));
        let json_layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        let text_layer = fmt::layer().with_ansi(false);
        let layers: Layers = vec![
            Filtered::new(json_layer.with_timer(Stamps).with_writer(output.clone()), json_filter).boxed(),
            Filtered::new(text_layer.with_timer(Stamps).with_writer(output), text_filter).boxed(),
        ];
        (Self { json, text, log }, layers)
    }
}

impl UntilTheEnd {
    pub(super) fn of(log: &Log) -> Self {
        Self(Arc::clone(&log.queue))
    }
}

impl Drop for UntilTheEnd {
    fn drop(&mut self) {
        self.0.close(LAST_WORDS);
    }
}
