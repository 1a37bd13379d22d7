//! What many sessions in Redis cost, beside few: bytes, and the time and the commands of what is asked of them.
//!
//! Two grounds stand side by side, each with a Redis of its own that keeps nothing on the disk, and with the product's
//! own process over it. Their sessions are stored by the product's own session service. What is measured is measured at
//! both in turns, so that whatever else the machine does befalls both.

mod figures;
mod ground;
mod operation;

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};

pub use self::figures::{Commands, Sample};
use self::figures::{Recorder, reset};
use self::ground::Ground;
pub use self::operation::{Operation, SESSIONS_PER_PERSON};
use crate::provider::{Provider, Settings};

/// The bound on what a check may take with many sessions, as a multiple of what it takes with few.
pub const CHECK_RATIO: f64 = 1.5;
/// Commands that walk through keys, or through a whole set of them.
const SCANS: [&str; 10] =
    ["scan", "keys", "sscan", "hscan", "zscan", "smembers", "hkeys", "hvals", "sort", "randomkey"];

/// One operation, with few sessions and with many.
#[derive(Debug)]
pub struct Measured {
    /// What was asked.
    pub operation: Operation,
    /// With few.
    pub few: Sample,
    /// With many.
    pub many: Sample,
}

impl Measured {
    /// How many times as long it takes with many sessions, by the median.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.many.percentile(50).as_secs_f64() / self.few.percentile(50).as_secs_f64()
    }
}

/// What was found.
#[derive(Debug)]
pub struct Growth {
    /// How many sessions are few, and how many are many.
    pub sessions: [u64; 2],
    /// What one session takes in Redis, with few and with many.
    pub bytes_per_session: [u64; 2],
    /// How long it took to store all.
    pub filled_in: Duration,
    /// Each operation.
    pub measured: Vec<Measured>,
}

impl Growth {
    /// Stores `few` and `many` sessions, each a multiple of [`SESSIONS_PER_PERSON`], and asks each operation of `samples`
    /// of them.
    pub async fn measure(few: u64, many: u64, samples: usize) -> Result<Self> {
        ensure!([few, many].iter().all(|count| count % SESSIONS_PER_PERSON == 0), "each person has as many sessions");
        ensure!(samples as u64 <= few / SESSIONS_PER_PERSON, "each sample is another person's");
        let provider = Provider::start(Settings::default()).await?;
        let begun = std::time::Instant::now();
        // The few are stored last: the samples of both are new, and no use of them is due to be written.
        let mut many_ground = Ground::start(&provider, many).await?;
        let mut few_ground = Ground::start(&provider, few).await?;
        many_ground.fill(many - samples as u64).await?;
        few_ground.fill(few - samples as u64).await?;
        many_ground.fill_samples(samples).await?;
        few_ground.fill_samples(samples).await?;
        let filled_in = begun.elapsed();
        let bytes_per_session = [few_ground.bytes_per_session()?, many_ground.bytes_per_session()?];
        let mut measured = Vec::new();
        for operation in Operation::ALL {
            measured.push(Box::pin(in_turns(operation, &few_ground, &many_ground, samples)).await?);
        }
        for ground in [&few_ground, &many_ground] {
            ground.has_done_what_was_asked(samples as u64).await?;
        }
        Ok(Self { sessions: [few, many], bytes_per_session, filled_in, measured })
    }

    /// What must not be: a check that takes longer with many sessions, another number of commands, a scan.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.scans();
        for measured in self.measured.iter().filter(|measured| measured.operation.is_check()) {
            let (name, ratio) = (measured.operation.name(), measured.ratio());
            if ratio > CHECK_RATIO {
                faults.push(format!("{name}: {ratio:.2} times as long, more than {CHECK_RATIO}"));
            }
        }
        faults
    }

    /// The faults that no clock is needed for: commands that scan, or that are more where there are more sessions.
    #[must_use]
    pub fn scans(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for Measured { operation, few, many } in &self.measured {
            let name = operation.name();
            for scan in SCANS.iter().filter(|scan| many.used(scan) || few.used(scan)) {
                faults.push(format!("{name}: {scan}"));
            }
            if few.commands_each() != many.commands_each() {
                let (few, many) = (few.commands_each(), many.commands_each());
                faults.push(format!("{name}: {few:?} with few sessions, {many:?} with many"));
            }
            if many.slow * 100 > many.count() {
                faults.push(format!("{name}: {} of {} calls are in Redis's slow log", many.slow, many.count()));
            }
        }
        faults
    }
}

/// One operation for each sample, at both grounds in turns.
async fn in_turns(operation: Operation, few: &Ground<'_>, many: &Ground<'_>, samples: usize) -> Result<Measured> {
    for ground in [few, many] {
        ground.warm_up(operation).await?;
        reset(ground.redis());
    }
    let (mut at_few, mut at_many) = (Recorder::default(), Recorder::default());
    for sample in 0..samples {
        at_few.time(Box::pin(few.run(operation, sample))).await?;
        at_many.time(Box::pin(many.run(operation, sample))).await?;
    }
    Ok(Measured { operation, few: at_few.finish(few.redis())?, many: at_many.finish(many.redis())? })
}

impl fmt::Display for Growth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [few, many] = self.sessions;
        let [few_bytes, many_bytes] = self.bytes_per_session;
        #[expect(clippy::cast_precision_loss, reason = "no session takes petabytes")]
        let ratio = many_bytes as f64 / few_bytes as f64;
        writeln!(formatter, "| | {few} sessions | {many} sessions | ratio |\n|---|---|---|---|")?;
        writeln!(formatter, "| bytes a session | {few_bytes} | {many_bytes} | {ratio:.2} |")?;
        for measured in &self.measured {
            let name = measured.operation.name();
            let (few, many) = (&measured.few, &measured.many);
            let ratio = |percent| many.percentile(percent).as_secs_f64() / few.percentile(percent).as_secs_f64();
            for percent in [50, 99] {
                let (few, many) = (few.percentile(percent), many.percentile(percent));
                writeln!(formatter, "| {name}, p{percent} | {few:.2?} | {many:.2?} | {:.2} |", ratio(percent))?;
            }
            let (few, many) = (few.commands_each(), many.commands_each());
            let sum = |commands: &Commands| commands.values().sum::<u64>();
            writeln!(formatter, "| {name}, commands in Redis | {} | {} | |", sum(&few), sum(&many))?;
        }
        writeln!(formatter, "\nAll were stored within {:.0?}.", self.filled_in)
    }
}
