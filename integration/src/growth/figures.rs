//! Times, and what Redis counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::redis::RedisServer;

/// How often each command was called.
pub type Commands = BTreeMap<String, u64>;

/// What Redis takes for slow, in microseconds.
const SLOW: &str = "10000";
/// What we ask ourselves, and what a connection does to live.
const NOT_COUNTED: [&str; 6] = ["config", "info", "slowlog", "ping", "client", "hello"];

/// Calls of one operation.
#[derive(Debug)]
pub struct Sample {
    times: Vec<Duration>,
    commands: Commands,
    /// How many commands were in Redis's slow log.
    pub slow: usize,
}

impl Sample {
    /// The time within which so many of a hundred calls were answered.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() * percent / 100).min(self.times.len() - 1)]
    }

    /// How many calls there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// Whether a command was called at all.
    #[must_use]
    pub fn used(&self, command: &str) -> bool {
        self.commands.keys().any(|used| used.split('|').next() == Some(command))
    }

    /// The commands of one call. What others asked meanwhile, now and then, is less than one a call, and left out.
    #[must_use]
    pub fn commands_each(&self) -> Commands {
        let each = |calls: u64| calls / self.times.len() as u64;
        let commands = self.commands.iter().map(|(command, calls)| (command.clone(), each(*calls)));
        commands.filter(|(_, calls)| *calls > 0).collect()
    }
}

/// Takes the times of calls.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    times: Vec<Duration>,
}

impl Recorder {
    /// Takes the time of one.
    pub(super) async fn time(&mut self, call: impl Future<Output = Result<()>>) -> Result<()> {
        let begun = Instant::now();
        call.await?;
        self.times.push(begun.elapsed());
        Ok(())
    }

    /// The times, with what Redis counted since [`reset`].
    pub(super) fn finish(mut self, redis: &RedisServer) -> Result<Sample> {
        ensure!(!self.times.is_empty(), "nothing was measured");
        self.times.sort_unstable();
        let slow = redis.cli(&["SLOWLOG", "LEN"]).trim().parse().context("the length of the slow log")?;
        Ok(Sample { times: self.times, commands: commands(redis)?, slow })
    }
}

/// Lets Redis count anew.
pub(super) fn reset(redis: &RedisServer) {
    for command in
        [["CONFIG", "SET", "slowlog-log-slower-than", SLOW].as_slice(), &["CONFIG", "RESETSTAT"], &["SLOWLOG", "RESET"]]
    {
        let answer = redis.cli(command);
        assert_eq!(answer.trim(), "OK", "{command:?}");
    }
}

/// A number that `INFO` tells.
pub(super) fn info(redis: &RedisServer, section: &str, name: &str) -> Result<u64> {
    let told = redis.cli(&["INFO", section]);
    let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.with_context(|| format!("no {name}: {told}"))?.trim().parse().with_context(|| format!("{name} is no number"))
}

/// The commands since [`reset`], those of scripts among them: `cmdstat_get:calls=2,usec=…`.
fn commands(redis: &RedisServer) -> Result<Commands> {
    let told = redis.cli(&["INFO", "commandstats"]);
    let mut commands = Commands::new();
    for line in told.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
        let (command, figures) = line.split_once(':').with_context(|| format!("no figures: {line}"))?;
        let calls = figures.split(',').find_map(|figure| figure.strip_prefix("calls="));
        let calls = calls.with_context(|| format!("no calls: {line}"))?.parse()?;
        if !NOT_COUNTED.contains(&command.split('|').next().unwrap_or_default()) {
            commands.insert(command.to_owned(), calls);
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = (1..=100).map(Duration::from_millis).collect();
        let sample =
            Sample { times, commands: Commands::from([("get".to_owned(), 201), ("scan".to_owned(), 3)]), slow: 0 };
        assert_eq!(sample.percentile(50), Duration::from_millis(51));
        assert_eq!(sample.percentile(99), Duration::from_millis(100));
        assert_eq!(sample.commands_each(), Commands::from([("get".to_owned(), 2)]));
        assert!(sample.used("scan") && !sample.used("keys"));
    }
}
