//! What became of each setting.

use std::fmt::Write as _;

use crate::principal::escape_unseen;

/// What became of each setting, for whoever migrates. No secret is in it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    carried: Vec<Line>,
    changed: Vec<Line>,
    dropped: Vec<Line>,
    unknown: Vec<Line>,
    by_hand: Vec<String>,
}

/// From where, to where, and how or why.
#[derive(Clone, Debug)]
struct Line {
    from: String,
    to: Option<String>,
    why: Option<String>,
}

impl Report {
    /// A setting that means the same as before.
    pub(crate) fn carried(&mut self, from: impl Into<String>, to: impl Into<String>) {
        self.carried.push(Line { from: from.into(), to: Some(to.into()), why: None });
    }

    /// A setting that lives on, and means something else than before.
    pub(crate) fn changed(&mut self, from: impl Into<String>, to: impl Into<String>, how: impl Into<String>) {
        self.changed.push(Line { from: from.into(), to: Some(to.into()), why: Some(how.into()) });
    }

    /// A setting that has no counterpart.
    pub(crate) fn dropped(&mut self, from: impl Into<String>, why: impl Into<String>) {
        self.dropped.push(Line { from: from.into(), to: None, why: Some(why.into()) });
    }

    /// A setting that the product before us does not have.
    pub(crate) fn unknown(&mut self, from: impl Into<String>) {
        self.unknown.push(Line { from: from.into(), to: None, why: None });
    }

    /// What nobody but the operator can do. Told once.
    pub(crate) fn by_hand(&mut self, todo: impl Into<String>) {
        let todo = todo.into();
        if !self.by_hand.contains(&todo) {
            self.by_hand.push(todo);
        }
    }

    /// The report, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let sections = [
            ("carried over", &self.carried),
            ("changed", &self.changed),
            ("dropped", &self.dropped),
            ("not known, and not carried over", &self.unknown),
        ];
        let counts = sections.map(|(title, lines)| format!("{} {title}", lines.len())).join("; ");
        let mut text = format!("Settings: {counts}. To do by hand: {}.\n", self.by_hand.len());
        for (title, lines) in sections.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            let _ = write!(text, "\n{}:\n", capitalized(title));
            for line in lines {
                let _ = writeln!(text, "  {}", line.text());
            }
        }
        if !self.by_hand.is_empty() {
            text.push_str("\nTo do by hand:\n");
            for (number, todo) in (1..).zip(&self.by_hand) {
                let _ = writeln!(text, "  {number}. {}", escape_unseen(todo));
            }
        }
        text
    }
}

impl Line {
    fn text(&self) -> String {
        let to = self.to.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
        let why = self.why.as_ref().map(|why| format!("\n      {}", escape_unseen(why))).unwrap_or_default();
        format!("{}{why}", escape_unseen(&format!("{}{to}", self.from)))
    }
}

fn capitalized(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_its_lines_and_no_line_breaks_out() {
        let mut report = Report::default();
        report.carried("`a` (x.cfg)", "providers[0].issuer");
        report.dropped("`b` (x\n.cfg)", "why\u{1b}[31m");
        report.by_hand("this");
        report.by_hand("this");
        let text = report.text();
        assert_eq!(
            text,
            "Settings: 1 carried over; 0 changed; 1 dropped; 0 not known, and not carried over. To do by hand: 1.\n\
             \nCarried over:\n  `a` (x.cfg) -> providers[0].issuer\n\
             \nDropped:\n  `b` (x\\n.cfg)\n      why\\u{1b}[31m\n\
             \nTo do by hand:\n  1. this\n"
        );
    }
}
