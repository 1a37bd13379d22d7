//! Tables for people.

use crate::{clock::Timestamp, principal::escape_unseen};

/// The rows below their titles, each column as wide as its widest cell. Controls in cells are escaped: they came from
/// outside, and a terminal would obey them.
pub(super) fn render<const COLUMNS: usize>(
    titles: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    aligned([titles.map(str::to_owned)].into_iter().chain(rows))
}

/// As [`render`], without titles.
pub(super) fn aligned<const COLUMNS: usize>(rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let rows: Vec<_> = rows.map(|row| row.map(|cell| escape_unseen(&cell))).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A moment in RFC 3339, to the second.
pub(super) fn moment(unix_millis: u64) -> String {
    humantime::format_rfc3339_seconds(Timestamp::from_unix_millis(unix_millis).to_system_time()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_titles() {
        let rows = [["a".to_owned(), "long".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(render(["ONE", "TWO"], rows.into_iter()), "ONE     TWO\na       long\nlonger");
    }

    #[test]
    fn a_terminal_obeys_no_cell() {
        assert_eq!(escape_unseen("a\u{1b}[31mb\u{202e}\nü"), "a\\u{1b}[31mb\\u{202e}\\nü");
        assert_eq!(escape_unseen("a\u{200b}\u{200f}\u{2028}b"), "a\\u{200b}\\u{200f}\\u{2028}b");
    }
}
