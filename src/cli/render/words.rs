//! Words for people: sizes, places, paragraphs.

use std::fmt::Write;

use mailtally::report::escape;

/// An account, and where in it.
pub fn place(user: &str, place: &str) -> String {
    let user = escape(user.as_bytes());
    match (user.is_empty(), place.is_empty()) {
        (true, _) => place.into(),
        (false, true) => user,
        (false, false) => format!("{user} {place}"),
    }
}

/// Text is broken here.
pub const WIDTH: usize = 96;

/// A paragraph behind a lead, broken at words.
pub fn paragraph(out: &mut String, lead: &str, text: &str) {
    let mut line = lead.to_owned();
    let mut fresh = true;
    for word in text.split(' ') {
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(lead.len());
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    out.push_str(&line);
    out.push('\n');
}

/// So many more were not shown.
pub fn more(out: &mut String, count: u64, shown: usize) {
    let rest = count.saturating_sub(shown as u64);
    if rest > 0 {
        let _ = writeln!(out, "    ... and {rest} more (-v shows them)");
    }
}

/// A size for people.
#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if size < 1000 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(bytes(12_345_678), "12.3 MB");
    }

    #[test]
    fn long_sentences_are_broken_at_words() {
        let mut out = String::new();
        paragraph(&mut out, "  do: ", &"word ".repeat(40));
        assert!(out.lines().all(|line| line.len() <= WIDTH));
        assert!(
            out.lines()
                .skip(1)
                .all(|line| line.starts_with("      word"))
        );
    }
}
