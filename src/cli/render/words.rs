//! Words for people: sizes, places, paragraphs.

use std::fmt::Write;

use mailtally::report::{Place, escape};
use unicode_width::UnicodeWidthStr;

/// An account, and where in it.
pub fn place(user: &str, place: &str) -> String {
    let user = escape(user.as_bytes());
    apart([Some(&*user), Some(place)])
}

/// Names and paths: one that does not fit stands on a line of its own.
fn apart<'p>(parts: impl IntoIterator<Item = Option<&'p str>>) -> String {
    let parts = parts.into_iter().flatten();
    let parts = parts.filter(|part| !part.is_empty()).map(whole);
    parts.collect::<Vec<_>>().join(" ")
}

/// A side, an account, and where in it.
pub fn spot(side: &str, user: &str, place: &Place) -> String {
    let uid = place.uid.map(|uid| format!("uid {uid}"));
    let user = escape(user.as_bytes());
    apart([
        Some(side),
        Some(&user),
        place.mailbox.as_deref(),
        uid.as_deref(),
        place.path.as_deref(),
    ])
}

/// The order of mailboxes: by account, INBOX before all others.
pub fn of_account<'t>(user: &'t str, mailbox: &'t str) -> (&'t str, bool, &'t str) {
    (user, mailbox != "INBOX", mailbox)
}

/// Stands for a space at which a line is not broken, as in a command. No text of a user holds it: that is
/// escaped.
const GLUE: char = '\u{1}';

/// Text that is kept on one line.
pub fn whole(text: &str) -> String {
    text.replace(' ', &GLUE.to_string())
}

/// A paragraph behind a lead, broken at words; its further lines begin below the text.
pub fn paragraph(out: &mut String, width: usize, lead: &str, text: &str) {
    hanging(out, width, lead, columns(lead), text);
}

/// The same; further lines begin at `indent`. A word that is wider than that stands on a line of its own.
pub fn hanging(out: &mut String, width: usize, lead: &str, indent: usize, text: &str) {
    let mut line = lead.to_owned();
    let mut begun = !lead.trim().is_empty();
    for word in text.split(' ') {
        let gap = usize::from(begun && !line.ends_with(' '));
        if begun && columns(&line) + gap + columns(word) > width {
            end(out, &line);
            line = " ".repeat(indent);
        } else if gap > 0 {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    end(out, &line);
}

/// A text whose lines are broken where they are wider; their further lines begin below their text.
pub fn broken(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words = line.trim_start();
        let (lead, _) = line.split_at(line.len() - words.len());
        if columns(line) > width {
            hanging(&mut out, width, lead, lead.len() + 2, words);
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn end(out: &mut String, line: &str) {
    out.push_str(&line.trim_end().replace(GLUE, " "));
    out.push('\n');
}

/// How many columns a text takes: a colour takes none, a wide letter two.
fn columns(text: &str) -> usize {
    let mut pieces = text.split("\x1b[");
    let plain = pieces.next().map_or(0, UnicodeWidthStr::width);
    let rest = pieces.map(|piece| {
        let text = piece.split_once('m').map_or(piece, |(_, text)| text);
        text.width()
    });
    plain + rest.sum::<usize>()
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
        paragraph(&mut out, 72, "  do: ", &"word ".repeat(40));
        assert!(out.lines().all(|line| line.len() <= 72));
        assert!(
            out.lines()
                .skip(1)
                .all(|line| line.starts_with("      word"))
        );
    }

    #[test]
    fn wide_letters_take_two_columns_and_marks_none() {
        let mut out = String::new();
        hanging(&mut out, 12, "", 2, "\u{53f0}\u{5317}\u{53f0} a\u{308}bc e");
        assert_eq!(out, "\u{53f0}\u{5317}\u{53f0} a\u{308}bc e\n");
        out.clear();
        hanging(&mut out, 10, "", 2, "\u{53f0}\u{5317}\u{53f0} bcde");
        assert_eq!(out, "\u{53f0}\u{5317}\u{53f0}\n  bcde\n");
    }

    #[test]
    fn only_lines_that_are_too_wide_are_broken() {
        let text = "error: a  b\n\n  tip: one two three\n";
        assert_eq!(broken(text, 20), text);
        let told = "error: a  b\n\n  tip: one two\n    three\n";
        assert_eq!(broken(text, 18), told);
    }

    #[test]
    fn a_command_is_not_broken_and_a_colour_takes_no_room() {
        let mut out = String::new();
        let text = format!("now, {}", whole("mailtally verify a b"));
        hanging(&mut out, 24, "\x1b[1;32mnext\x1b[0m: ", 2, &text);
        assert_eq!(out, "\x1b[1;32mnext\x1b[0m: now,\n  mailtally verify a b\n");
        out.clear();
        hanging(&mut out, 10, "    /a/long/path: ", 6, "what is wrong");
        assert_eq!(
            out,
            "    /a/long/path:\n      what\n      is\n      wrong\n"
        );
    }
}
