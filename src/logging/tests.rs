//! The log from a record to the bytes that are written.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use proptest::prelude::*;
use tracing::{Level, subscriber::with_default};
use tracing_subscriber::layer::SubscriberExt as _;

use super::{
    config::{Config, Format},
    process_log::{Logging, UntilTheEnd},
    queue::{Class, Queue},
    records::Log,
    writer,
};

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was written to the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// The lines that come of this.
    pub(crate) fn of_json(tell: impl FnOnce(&Log)) -> Vec<String> {
        of(Config::default(), |logging| tell(&logging.log()))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "only whole lines: {text}");
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that come of what `tell` does, by way of `tracing` too.
fn of(config: Config, tell: impl FnOnce(&Logging)) -> Vec<String> {
    let (logging, layers) = Logging::prepare(config);
    with_default(tracing_subscriber::registry().with(layers), || tell(&logging));
    let written = Written::default();
    let writer = spawn(&logging.log(), written.clone());
    assert!(logging.log().queue.close(PATIENCE), "all is written");
    writer.join().unwrap();
    written.lines()
}

fn spawn(log: &Log, mut output: impl Write + Send + 'static) -> JoinHandle<()> {
    let log = log.clone();
    thread::spawn(move || writer::run(&log.queue, &log.formats, &mut output))
}

/// A reader who can be late: it takes nothing until it is let go.
#[derive(Clone, Debug, Default)]
struct Late {
    read: Written,
    reads: Arc<AtomicBool>,
}

impl Write for Late {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reads.load(Ordering::SeqCst) {
            // As a pipe does that has little room.
            return self.read.write(&bytes[..bytes.len().min(1000)]);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn both_ways(logging: &Logging, text: &str, number: u64) {
    tracing::info!(target: "portcullis::check", outcome = text, number, shown = %text, "check");
    logging.log().info("portcullis::check", "check", |line| {
        line.text("outcome", text);
        line.number("number", number);
        line.shown("shown", &text);
    });
}

proptest! {
    #[test]
    fn a_record_is_what_tracing_would_write(text in any::<String>(), number in any::<u64>()) {
        let lines = of(Config::default(), |logging| both_ways(logging, &text, number));
        let [theirs, ours] = [0, 1].map(|line| lines[line].split_at(r#"{"timestamp":"2026-11-23T22:34:14.984036Z""#.len()));
        prop_assert_eq!(theirs.1, ours.1);
        prop_assert!(theirs.0 <= ours.0, "{} {}", theirs.0, ours.0);

        // In text, what is shown is not quoted by them: it could end the line.
        let config = Config { format: Format::Text, ..Config::default() };
        let lines = of(config, |logging| {
            tracing::info!(target: "portcullis::check", outcome = text.as_str(), number, shown = text.as_str(), "check");
            logging.log().info("portcullis::check", "check", |line| {
                line.text("outcome", &text);
                line.number("number", number);
                line.shown("shown", &text);
            });
        });
        let [theirs, ours] = [0, 1].map(|line| lines[line].split_at("2026-11-23T22:34:14.984036Z".len()));
        prop_assert_eq!(theirs.1, ours.1);
    }
}

#[test]
fn everything_is_written_in_the_order_in_which_it_came() {
    let lines = of(Config::default(), |logging| {
        for number in 0..20_000 {
            if number % 7 == 0 {
                tracing::warn!(number, "by tracing");
            } else {
                logging.log().info("portcullis::check", "check", |line| line.number("number", number));
            }
        }
    });
    let number = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["number"].as_u64().unwrap();
    // All of it waits at once, and there is room for it.
    assert_eq!(lines.iter().map(number).collect::<Vec<_>>(), (0..20_000).collect::<Vec<_>>());
}

#[test]
fn a_level_that_is_not_written_costs_no_line_and_a_reload_changes_level_and_format() {
    let tell = |logging: &Logging| logging.log().info("portcullis::check", "check", |line| line.text("a", "b"));
    let warn = Config { level: Level::WARN, ..Config::default() };
    let lines = of(warn, |logging| {
        tell(logging);
        logging.reconfigure(Config { format: Format::Text, ..Config::default() });
        tell(logging);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("Z  INFO portcullis::check: check a=\"b\""), "{lines:?}");
}

/// Fills the log with the shortest records, until none finds room.
fn fill(log: &Log) -> u64 {
    let before = log.queue.dropped.get();
    let mut kept = 0;
    while log.queue.dropped.get() == before {
        log.info("portcullis::check", "check", |_| {});
        kept += 1;
    }
    kept - 1
}

#[test]
fn a_reader_who_is_late_costs_records_of_checks_and_neither_warnings_nor_errors_nor_audits() {
    let (logging, layers) = Logging::prepare(Config::default());
    let (log, late) = (logging.log(), Late::default());
    let writer = spawn(&log, late.clone());
    let kept = with_default(tracing_subscriber::registry().with(layers), || {
        let kept = fill(&log);
        for number in 0..99 {
            log.info("portcullis::check", "check", |line| line.number("number", number));
        }
        tracing::info!("dropped");
        tracing::warn!("a warning");
        tracing::error!("an error");
        tracing::info!(target: "portcullis::audit", "administration");
        kept
    });
    assert!(kept > 5_000, "{kept}");
    assert_eq!(log.queue.dropped.get(), 101);
    late.reads.store(true, Ordering::SeqCst);
    assert!(log.queue.close(PATIENCE));
    writer.join().unwrap();

    let lines = late.read.lines();
    let message = |line: &String| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap().to_owned()
    };
    let (checks, rest) = lines.split_at(usize::try_from(kept).unwrap());
    assert!(checks.iter().all(|line| message(line) == "check"));
    let told = "records were dropped: the log was not read in time";
    assert_eq!(rest.iter().map(message).collect::<Vec<_>>(), ["a warning", "an error", "administration", told]);
    let told: serde_json::Value = serde_json::from_str(&rest[3]).unwrap();
    assert_eq!((&told["records"], &told["errors"], &told["level"]), (&101.into(), &0.into(), &"ERROR".into()));
}

#[test]
fn what_waits_is_bounded_whatever_comes() {
    let queue = Queue::new();
    let line = vec![b'x'; 10_000];
    let filled = allocation_counter::measure(|| {
        for class in [Class::Usual, Class::Warning, Class::Error] {
            let before = queue.waiting();
            (0..1_000).for_each(|_| queue.push(class, &line));
            assert!(queue.waiting() > before, "each class has room of its own: {class:?}");
        }
        // As many acts as may be under way.
        (0..16).for_each(|_| queue.push(Class::Audit, &line[..8_000]));
    });
    assert!(filled.bytes_max <= crate::memory::LOG, "{filled:?}");
    assert_eq!(queue.waiting() % 10_000, 8_000, "the audit log's lines are there");
    let errors = queue.take(|dropped| {
        assert!(dropped.errors > 0 && dropped.errors < dropped.records, "{dropped:?}");
        Vec::new()
    });
    assert!(errors.is_some());
}

#[tokio::test]
async fn an_act_waits_for_its_room_and_is_written_before_it_is_answered() {
    let (logging, _) = Logging::prepare(Config::default());
    let (log, late) = (logging.log(), Late::default());
    let writer = spawn(&log, late.clone());
    while log.queue.waiting() < 3_328 * 1024 - 10_000 {
        log.queue.push(Class::Error, &[b"x".repeat(9_999), b"\n".to_vec()].concat());
    }
    drop(log.audit_place().await);
    log.queue.push(Class::Audit, &[b"x".repeat(9_999), b"\n".to_vec()].concat());
    let waits = tokio::time::timeout(Duration::from_millis(50), log.audit_place()).await;
    assert!(waits.is_err(), "there is no room");
    let waits = tokio::time::timeout(Duration::from_millis(50), log.written()).await;
    assert!(waits.is_err(), "nothing is read");
    late.reads.store(true, Ordering::SeqCst);
    tokio::time::timeout(PATIENCE, log.audit_place()).await.unwrap();
    log.queue.push(Class::Audit, b"the act\n");
    tokio::time::timeout(PATIENCE, log.written()).await.unwrap();
    assert_eq!(late.read.lines().last().map(String::as_str), Some("the act"));
    log.queue.close(PATIENCE);
    writer.join().unwrap();
}

#[test]
fn the_end_waits_for_a_reader_but_not_for_ever_and_takes_nothing_afterwards() {
    let (log, late) = (Log::new(Config::default()), Late::default());
    let writer = spawn(&log, late.clone());
    let tell = || log.info("portcullis::check", "check", |_| {});
    tell();
    assert!(!log.queue.close(Duration::from_millis(50)), "nobody reads");
    tell();
    late.reads.store(true, Ordering::SeqCst);
    assert!(log.queue.close(PATIENCE));
    writer.join().unwrap();
    assert_eq!(late.read.lines().len(), 1);
}

#[test]
fn a_panic_that_ends_the_process_is_written_first() {
    let (logging, layers) = Logging::prepare(Config::default());
    let written = Written::default();
    let writer = spawn(&logging.log(), written.clone());
    let ended = crate::panics::caught_call(|| {
        let _until_the_end = UntilTheEnd::of(&logging.log());
        with_default(tracing_subscriber::registry().with(layers), || tracing::error!("the last words"));
        panic!("scripted");
    });
    // At this moment, and not only once the writer has had its time.
    assert!(ended.is_err() && written.lines().len() == 1);
    writer.join().unwrap();
}

/// What is written with one call each.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<Vec<usize>>>);

impl Write for Calls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn many_records_are_few_calls() {
    let (log, calls) = (Log::new(Config::default()), Calls::default());
    let writer = spawn(&log, calls.clone());
    // Both sides of this run on a machine that may be slow, so only the ratio is told.
    let producers: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            thread::spawn(move || {
                for _ in 0..5_000 {
                    log.info("portcullis::check", "check", |line| line.text("a", "b"));
                }
            })
        })
        .collect();
    for producer in producers {
        producer.join().unwrap();
    }
    assert!(log.queue.close(PATIENCE));
    writer.join().unwrap();
    let calls = calls.0.lock().unwrap();
    assert_eq!(log.queue.dropped.get(), 0);
    assert!(calls.len() <= 20_000 / 20, "{} calls", calls.len());
}
