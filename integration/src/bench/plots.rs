//! Which plots there are.

use std::path::Path;

use anyhow::Result;

use super::case::Sample;
use super::figures::{middle, ratio};
use super::plot::{Bar, Plot, draw};
use super::section::{Axis, Found, Section};

/// Draws one of each section, and gives their names.
pub(super) fn draw_all(folder: &Path, found: &[Found]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for Found { section, .. } in found {
        let name = section.title.to_lowercase().replace(' ', "-");
        let (title, plot) = match &section.axis {
            Some(axis) => (format!("{}: µs of CPU for a check", section.title), lines(section, axis)),
            None => (format!("{}: CPU ÷ that of the first row; red: the goal", section.title), bars(section)),
        };
        draw(folder, &name, &title, &plot)?;
        names.push(name);
    }
    Ok(names)
}

fn bars(section: &Section) -> Plot {
    let bars = section.rows.iter().map(|row| {
        let value = ratio(&row.case, section.null_of(row), Sample::cpu).middle;
        Bar { name: row.case.name.replace('`', ""), value, goal: row.most }
    });
    Plot::Bars(bars.collect())
}

fn lines(section: &Section, axis: &Axis) -> Plot {
    #[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
    let line = |of: usize| {
        let pairs = section.rows.chunks(2).zip(&axis.at);
        pairs.map(|(pair, at)| (*at as f64, middle(&pair[of].case, Sample::cpu))).collect()
    };
    let lines = vec![("null server".to_owned(), line(0)), ("session, memory".to_owned(), line(1))];
    Plot::Lines { below: axis.of.to_owned(), lines }
}
