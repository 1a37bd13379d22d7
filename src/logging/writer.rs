//! The thread that writes the log.

use std::{
    io::{self, ErrorKind, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    config::Format,
    line::Line,
    queue::{Dropped, Queue},
    records::Formats,
};
use crate::panics::caught_call;

/// How long the writer rests after an error.
const REST: Duration = Duration::from_millis(20);

/// Starts it. It ends with the process.
pub(super) fn start(queue: Arc<Queue>, formats: Formats) -> io::Result<()> {
    let run = move || {
        // A panic is in the queue, and what was being written is lost with it.
        while caught_call(|| run(&queue, &formats, &mut io::stderr())).is_err() {
            thread::sleep(REST);
        }
    };
    thread::Builder::new().name("portcullis-log".to_owned()).spawn(run).map(drop)
}

/// Writes all that comes, until nothing comes any more.
pub(super) fn run(queue: &Queue, formats: &Formats, output: &mut impl Write) {
    while let Some(chunks) = queue.take(|dropped| told(formats.current(), dropped)) {
        for chunk in chunks {
            write_all(output, &chunk);
            queue.done(chunk);
        }
    }
}

/// What cannot be written waits as it does for a reader who is late, and nothing of it is written twice.
fn write_all(output: &mut impl Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(count) if count > 0 => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => thread::sleep(REST),
        }
    }
}

fn told(format: Format, dropped: Dropped) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = "records were dropped: the log was not read in time";
    let mut line = Line::begin(format, "ERROR", "portcullis::log", message, &mut bytes);
    line.number("records", dropped.records);
    line.number("errors", dropped.errors);
    line.end();
    bytes
}
