//! The tables, as a document.

use std::fmt::Write as _;

use super::case::{Case, Sample};
use super::figures::{middle, ratio};
use super::goal::Goal;
use super::plan::Plan;
use super::section::{Found, Section};

/// What begins the document.
const HEAD: &str = "# Results\n\n`make bench` wrote this; [README.md](README.md) says what is measured, and how.\n\n";

/// The whole document.
#[must_use]
pub(super) fn document(
    machine: &[(&str, String)],
    plan: &Plan,
    found: &[Found],
    facts: &[Goal],
    plots: &[String],
) -> String {
    let mut text = HEAD.to_owned();
    for (name, value) in machine {
        line(&mut text, &format!("- {name}: {value}"));
    }
    let answers: usize = found.iter().flat_map(|found| &found.section.rows).map(|row| answers(&row.case)).sum();
    let rounds = plan.rounds;
    line(&mut text, &format!("- {rounds} rounds in turns; {answers} answers in all, each round's kind checked\n"));
    text.push_str("## Goals\n\n| goal | found | noise | bound | |\n|---|---|---|---|---|\n");
    for goal in found.iter().flat_map(|found| &found.goals).chain(facts) {
        line(&mut text, &goal_line(goal));
    }
    for plot in plots {
        line(&mut text, &format!("\n![{plot}]({plot}.svg)"));
    }
    for found in found {
        table(&mut text, &found.section);
    }
    text
}

/// A goal as a row.
#[must_use]
pub fn goal_line(goal: &Goal) -> String {
    let Goal { what, found, bound, unit } = goal;
    let verdict = if goal.is_missed() { "**missed**" } else { "held" };
    let (middle, noise) = (number(found.middle), number(found.noise));
    format!("| {what} | {middle} {unit} | ± {noise} | {bound} {unit} | {verdict} |").replace(" | ± 0.00 |", " | |")
}

fn table(text: &mut String, section: &Section) {
    let Section { title, about, .. } = section;
    let _ = write!(text, "\n## {title}\n\n{about}\n\n");
    text.push_str("| | CPU µs | CPU ÷ null | answers/s | rate ÷ null | p50 µs | p99 µs | p99.9 µs |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for row in &section.rows {
        let (case, null) = (&row.case, section.null_of(row));
        let others = middle(case, |sample| sample.others);
        let others = if others > 0.0 { format!(" + {others:.1}") } else { String::new() };
        let cpu = ratio(case, null, Sample::cpu);
        let rate = ratio(case, null, |sample| sample.rate);
        line(
            text,
            &format!(
                "| {} | {:.1}{others} | {:.2} ± {:.2} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} |",
                case.name,
                middle(case, |sample| sample.own),
                cpu.middle,
                cpu.noise,
                middle(case, |sample| sample.rate),
                rate.middle,
                middle(case, |sample| sample.latencies.p50),
                middle(case, |sample| sample.latencies.p99),
                middle(case, |sample| sample.latencies.p999),
            ),
        );
    }
}

fn answers(case: &Case) -> usize {
    case.samples.iter().map(|sample| sample.answers).sum()
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Figure;

    #[test]
    fn a_goal_is_a_row_with_its_verdict() {
        let goal = Goal::ratio("session: CPU ÷ null", Figure { middle: 2.0, noise: 0.1 }, 0.65);
        assert_eq!(goal_line(&goal), "| session: CPU ÷ null | 2.00  | ± 0.10 | ≤ 0.65  | **missed** |");
    }
}
