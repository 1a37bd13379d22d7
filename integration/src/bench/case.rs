//! One thing that is measured: a load, who answers it, and what was found in each round.

use std::time::Duration;

use anyhow::{Context, Result};

use super::h2load::{H2load, Width};
use super::outcome::{Latencies, Outcome};
use super::plan::Plan;
use super::probe::{Probe, alike};
use super::rotating::Rotating;
use crate::usage::cpu_time;

/// How many requests find out how many fit into the time of one measurement.
const TRIAL: usize = 2000;
/// Fewer than these say nothing.
const FEWEST: usize = 200;

/// Who sends.
#[derive(Debug, Clone)]
pub(super) enum Load {
    /// The same request always.
    Same(H2load),
    /// Another one each time.
    Rotating(Rotating),
}

impl Load {
    async fn run(&self, width: Width, requests: usize) -> Result<Outcome> {
        match self {
            Self::Same(load) => load.run(width, requests).await,
            Self::Rotating(load) => load.run(width, requests).await,
        }
    }
}

/// The processes whose time is counted, by their ids.
#[derive(Debug, Clone)]
pub(super) struct Processes {
    /// The one that is measured.
    pub own: u32,
    /// Those that work for it.
    pub others: Vec<u32>,
}

impl Processes {
    /// One alone.
    #[must_use]
    pub(super) const fn alone(own: u32) -> Self {
        Self { own, others: Vec::new() }
    }

    fn cpu(&self) -> Result<[Duration; 2]> {
        let others = self.others.iter().map(|id| cpu_time(*id)).sum::<Result<_>>()?;
        Ok([cpu_time(self.own)?, others])
    }
}

/// What one round found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Answers in a second.
    pub rate: f64,
    /// Microseconds of CPU time for one answer, of the process that is measured.
    pub own: f64,
    /// The same of those that work for it.
    pub others: f64,
    /// How long an answer took, in microseconds.
    pub latencies: Latencies,
    /// How many answers there were.
    pub answers: usize,
}

impl Sample {
    /// Microseconds of CPU time for one answer, of all processes.
    #[must_use]
    pub(super) fn cpu(&self) -> f64 {
        self.own + self.others
    }
}

/// One thing that is measured.
#[derive(Debug)]
pub(super) struct Case {
    /// What it is called.
    pub name: String,
    /// What was found so far.
    pub samples: Vec<Sample>,
    load: Load,
    width: Width,
    processes: Processes,
    probe: Probe,
    /// How many requests one round sends.
    requests: Option<usize>,
}

impl Case {
    /// One with [`Width::USUAL`].
    #[must_use]
    pub(super) fn new(name: impl Into<String>, load: Load, processes: Processes, probe: Probe) -> Self {
        let (samples, width) = (Vec::new(), Width::USUAL);
        Self { name: name.into(), samples, load, width, processes, probe, requests: None }
    }

    /// With another width.
    #[must_use]
    pub(super) fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }

    /// With so many requests a round, instead of such as fill the time.
    #[must_use]
    pub(super) const fn requests(mut self, requests: usize) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Fills caches, and finds out how many requests fill the time.
    pub(super) async fn warm_up(&mut self, plan: &Plan) -> Result<()> {
        let fault = format!("{}: warm-up", self.name);
        self.probe.ask().await.with_context(|| fault.clone())?;
        if self.requests.is_none() {
            let outcome = self.load.run(self.width, TRIAL.min(self.trial(plan))).await.context(fault)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and small")]
            let fill = (outcome.rate() * plan.each.as_secs_f64()) as usize;
            self.requests = Some(fill.max(FEWEST));
        }
        Ok(())
    }

    /// Sends so many, of which nothing is kept.
    pub(super) async fn ask_all(&mut self, requests: usize) -> Result<()> {
        self.load.run(self.width, requests).await.with_context(|| self.name.clone()).map(drop)
    }

    /// One round.
    pub(super) async fn round(&mut self) -> Result<()> {
        let sample = self.measure().await.with_context(|| self.name.clone())?;
        self.samples.push(sample);
        Ok(())
    }

    async fn measure(&self) -> Result<Sample> {
        let length = self.probe.ask().await.context("before")?;
        let before = self.processes.cpu()?;
        let outcome = self.load.run(self.width, self.requests.unwrap_or(FEWEST)).await?;
        let after = self.processes.cpu()?;
        self.probe.ask().await.context("after")?;
        alike(outcome.answers, outcome.bytes, length)?;
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 answers")]
        let each =
            |index: usize| after[index].saturating_sub(before[index]).as_secs_f64() * 1e6 / outcome.answers as f64;
        let (rate, latencies, answers) = (outcome.rate(), outcome.latencies, outcome.answers);
        Ok(Sample { rate, own: each(0), others: each(1), latencies, answers })
    }

    /// One at a time is slow: a long trial would take longer than the measurement.
    fn trial(&self, plan: &Plan) -> usize {
        let at_once = self.width.connections * self.width.streams;
        if at_once == 1 || plan.rounds == 1 { FEWEST } else { TRIAL }
    }
}

/// Measures all in turns, so that whatever else the machine does befalls each.
pub(super) async fn in_turns(title: &str, cases: &mut [&mut Case], plan: &Plan, say: fn(&str)) -> Result<()> {
    for case in cases.iter_mut() {
        case.warm_up(plan).await?;
    }
    for round in 1..=plan.rounds {
        for case in cases.iter_mut() {
            case.round().await?;
        }
        let found = cases.iter().filter_map(|case| Some(format!("{:.1}", case.samples.last()?.cpu())));
        say(&format!("{title}, round {round} of {}: µs {}", plan.rounds, found.collect::<Vec<_>>().join(" ")));
    }
    Ok(())
}
