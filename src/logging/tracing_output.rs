//! Where `tracing` writes: into the same queue, in order with the records of checks.

use std::{io, sync::Arc};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::{
    config::AUDIT,
    queue::{Class, Queue},
};

#[derive(Clone, Debug)]
pub(super) struct TracingOutput(pub(super) Arc<Queue>);

/// What takes one event, which is brought whole.
pub(super) struct Event<'a> {
    queue: &'a Queue,
    class: Class,
}

impl<'a> MakeWriter<'a> for TracingOutput {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event { queue: &self.0, class: Class::Usual }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Event<'a> {
        let class = match *metadata.level() {
            _ if metadata.target() == AUDIT => Class::Audit,
            Level::ERROR => Class::Error,
            Level::WARN => Class::Warning,
            _ => Class::Usual,
        };
        Event { queue: &self.0, class }
    }
}

impl io::Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.queue.push(self.class, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
