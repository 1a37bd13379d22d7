//! What is written, and how.

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;

/// Of the records of administrators' acts.
pub(super) const AUDIT: &str = "portcullis::audit";

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

/// What the layer of `format` writes under `config`.
///
/// The libraries below us never write more than `info`: at `debug`, HTTP/2's would show header fields, and so cookies.
pub(super) fn filter(config: Config, format: Format) -> Targets {
    if config.format != format {
        return Targets::new().with_default(LevelFilter::OFF);
    }
    let level = LevelFilter::from_level(config.level);
    let libraries = if config.level > Level::INFO { LevelFilter::INFO } else { LevelFilter::WARN };
    Targets::new()
        .with_default(libraries.min(level))
        .with_target("portcullis", level)
        // What administrators did is told at every level.
        .with_target(AUDIT, level.max(LevelFilter::INFO))
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
        assert!(filter(config, Format::Json).would_enable(AUDIT, &Level::INFO));
    }
}
