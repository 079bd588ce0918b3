//! Tables that are no wider than the text around them: long cells are broken.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table};

/// How the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Words, broken where they are too long.
    Broken,
    /// Words that stay whole.
    Whole,
    /// Numbers, which stay whole too.
    Number,
}

/// A table of rows below a head, as lines.
pub fn lines(
    head: &[(&str, Stands)],
    rows: impl IntoIterator<Item = impl Into<Row>>,
    width: usize,
) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(head.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(row);
    }
    for (column, (_, stands)) in table.column_iter_mut().zip(head) {
        if *stands != Stands::Broken {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if *stands == Stands::Number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines();
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// The same, written.
pub fn write(
    out: &mut String,
    head: &[(&str, Stands)],
    rows: impl IntoIterator<Item = impl Into<Row>>,
    width: usize,
) {
    for line in lines(head, rows, width) {
        let _ = writeln!(out, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_is_broken_and_a_number_is_not() {
        let head = [
            ("mailbox", Stands::Broken),
            ("count", Stands::Number),
            ("which", Stands::Broken),
        ];
        let name = "long".repeat(30);
        let row = [name, "12345".into(), "uid 7: x -> y; ".repeat(9)];
        let lines = lines(&head, [row], 60);
        assert!(lines.iter().all(|line| line.chars().count() <= 60));
        assert!(lines.concat().contains("12345"), "{lines:?}");
    }
}
