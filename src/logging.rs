//! The log: structured records on standard error, one per line; level and format may change while we run.
//!
//! Standard output stays free for what commands print.

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, Registry,
    filter::{Filtered, Targets},
    fmt,
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The least severe level that is written.
    pub level: Level,
    /// How a record is written.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: Level::INFO, format: Format::Json }
    }
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// The log of this process, whose configuration can be replaced.
#[derive(Clone, Debug)]
pub struct Logging {
    // One layer for each format, of which the filters let one write.
    json: reload::Handle<Targets, Registry>,
    text: reload::Handle<Targets, Registry>,
}

type Layers = Vec<Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>>;

impl Logging {
    /// Starts the process' log. A second start in one process leaves the first one in place.
    #[must_use]
    pub fn start(config: Config) -> Self {
        let (this, layers) = Self::prepare(config);
        if tracing_subscriber::registry().with(layers).try_init().is_err() {
            tracing::warn!("the log of this process was started before");
        }
        this
    }

    /// A log that goes nowhere, for tests: the process' log is everybody's.
    #[cfg(test)]
    pub(crate) fn detached(config: Config) -> Self {
        Self::prepare(config).0
    }

    fn prepare(config: Config) -> (Self, Layers) {
        let (json_filter, json) = reload::Layer::new(filter(config, Format::Json));
        let (text_filter, text) = reload::Layer::new(filter(config, Format::Text));
        let json_layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        let text_layer = fmt::layer().with_ansi(false);
        let layers: Layers = vec![
            Filtered::new(json_layer.with_writer(std::io::stderr), json_filter).boxed(),
            Filtered::new(text_layer.with_writer(std::io::stderr), text_filter).boxed(),
        ];
        (Self { json, text }, layers)
    }

    /// Writes as `config` says from now on.
    pub fn reconfigure(&self, config: Config) {
        for (handle, format) in [(&self.json, Format::Json), (&self.text, Format::Text)] {
            if let Err(error) = handle.reload(filter(config, format)) {
                tracing::warn!(%error, "the log's configuration could not be changed");
            }
        }
    }
}

/// What the layer of `format` writes under `config`.
///
/// The libraries below us never write more than `info`: at `debug`, HTTP/2's would show header fields, and so cookies.
fn filter(config: Config, format: Format) -> Targets {
    if config.format != format {
        return Targets::new().with_default(LevelFilter::OFF);
    }
    let level = LevelFilter::from_level(config.level);
    let libraries = if config.level > Level::INFO { LevelFilter::INFO } else { LevelFilter::WARN };
    Targets::new()
        .with_default(libraries.min(level))
        .with_target("portcullis", level)
        // What administrators did is told at every level.
        .with_target("portcullis::audit", level.max(LevelFilter::INFO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_chosen_format_writes() {
        let config = Config { level: Level::INFO, format: Format::Text };
        assert!(!filter(config, Format::Json).would_enable("portcullis", &Level::ERROR));
        assert!(filter(config, Format::Text).would_enable("portcullis::check", &Level::INFO));
        assert!(!filter(config, Format::Text).would_enable("portcullis::check", &Level::DEBUG));
    }

    #[test]
    fn libraries_never_show_header_fields() {
        let config = Config { level: Level::TRACE, format: Format::Json };
        assert!(filter(config, Format::Json).would_enable("portcullis::check", &Level::TRACE));
        assert!(!filter(config, Format::Json).would_enable("h2::codec", &Level::DEBUG));
        let config = Config { level: Level::ERROR, format: Format::Json };
        assert!(!filter(config, Format::Json).would_enable("h2::codec", &Level::WARN));
    }
}
