//! Cases that are measured in turns, each beside a yardstick of the same kind of load.

use anyhow::Result;

use super::case::{Case, Sample, in_turns};
use super::figures::{Figure, ratio};
use super::goal::{Bound, Goal};
use super::plan::Plan;

/// One line of a table.
#[derive(Debug)]
pub(super) struct Row {
    /// What is measured.
    pub case: Case,
    /// The number of its yardstick's row.
    pub null: usize,
    /// How many times the yardstick's CPU time it may take.
    pub most: Option<f64>,
}

/// One table.
#[derive(Debug)]
pub(super) struct Section {
    /// Its heading.
    pub title: &'static str,
    /// What is measured, and how.
    pub about: &'static str,
    /// Its lines.
    pub rows: Vec<Row>,
    /// Where it is drawn as lines: what its pairs of rows, a yardstick and a case, stand for.
    pub axis: Option<Axis>,
}

/// What pairs of rows stand for.
#[derive(Debug)]
pub(super) struct Axis {
    /// What is counted.
    pub of: &'static str,
    /// How many there are, for each pair.
    pub at: Vec<usize>,
}

/// A table that is filled, and the goals that it shows.
#[derive(Debug)]
pub(super) struct Found {
    /// The table.
    pub section: Section,
    /// All goals.
    pub goals: Vec<Goal>,
}

impl Section {
    /// An empty one.
    #[must_use]
    pub(super) const fn new(title: &'static str, about: &'static str) -> Self {
        Self { title, about, rows: Vec::new(), axis: None }
    }

    /// Adds a yardstick. Gives the number of its row.
    pub(super) fn yardstick(&mut self, case: Case) -> usize {
        let null = self.rows.len();
        self.rows.push(Row { case, null, most: None });
        null
    }

    /// Adds a case. Gives the number of its row.
    pub(super) fn row(&mut self, null: usize, case: Case) -> usize {
        self.rows.push(Row { case, null, most: None });
        self.rows.len() - 1
    }

    /// Adds a case that may take so many times the yardstick's CPU time. Gives the number of its row.
    pub(super) fn held(&mut self, null: usize, case: Case, most: f64) -> usize {
        self.rows.push(Row { case, null, most: Some(most) });
        self.rows.len() - 1
    }

    /// The yardstick of a row.
    #[must_use]
    pub(super) fn null_of(&self, row: &Row) -> &Case {
        &self.rows[row.null].case
    }

    /// Measures all, and gives the goals of the rows.
    pub(super) async fn measure(mut self, plan: &Plan, say: fn(&str)) -> Result<Found> {
        let mut cases: Vec<_> = self.rows.iter_mut().map(|row| &mut row.case).collect();
        in_turns(self.title, &mut cases, plan, say).await?;
        let held = self.rows.iter().filter_map(|row| Some((row, row.most?)));
        let goals = held.map(|(row, most)| {
            let found = ratio(&row.case, self.null_of(row), Sample::cpu);
            Goal::ratio(format!("{}: CPU ÷ null", row.case.name), found, most)
        });
        let goals = goals.collect();
        Ok(Found { section: self, goals })
    }
}

impl Found {
    /// Holds a row to what a call of the API server may cost: our own CPU time, and how many are made in a second.
    pub(super) fn hold_to_calls(&mut self, name: &str, row: usize) {
        let samples = &self.case(row).samples;
        let cpu = Figure::of(samples.iter().map(|sample| sample.own));
        let rate = Figure::of(samples.iter().map(|sample| sample.rate));
        let goal = |what: &str, found, bound, unit| Goal { what: format!("{name}: {what}"), found, bound, unit };
        self.goals.push(goal("own CPU", cpu, Bound::AtMost(150.0), "µs"));
        self.goals.push(goal("rate", rate, Bound::AtLeast(1000.0), "a second"));
    }

    /// The case of a row.
    #[must_use]
    pub(super) fn case(&self, row: usize) -> &Case {
        &self.section.rows[row].case
    }
}
