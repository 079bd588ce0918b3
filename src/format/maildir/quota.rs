//! `maildirsize`: quota limits in the first line, then changes of usage that add up.
//!
//! ```text
//! 1000000S,1000C
//! 170480 1200
//! -2043 -1
//! ```
//! It lies in the root, or where `CONTROL=` says. A server adds a line for each message that comes or goes.
//!
//! Source: Dovecot 2.3, `src/plugins/quota/quota-maildir.c`; looked at where it writes the file.

use bstr::ByteSlice;

use crate::disk::Dir;
use crate::error::Result;
use crate::format::{OpenOptions, QuotaFile, StoredUsage, side_files};
use crate::model::QuotaLimits;

/// The name of the file.
pub const NAME: &str = "maildirsize";

/// The file as the rest of the program knows it.
pub(super) const FILE: QuotaFile = QuotaFile {
    name: NAME,
    read: |root, options| Ok(bytes(root, options)?.map(|bytes| read(&bytes))),
    write: correct,
};

/// The directory that the file is in.
fn place<'d>(root: &'d Dir, options: &'d OpenOptions) -> &'d Dir {
    options.control.as_ref().unwrap_or(root)
}

/// The file's bytes, where it is there.
pub(super) fn bytes(root: &Dir, options: &OpenOptions) -> Result<Option<Vec<u8>>> {
    place(root, options).read_if_there(NAME, side_files::MOST)
}

fn correct(root: &Dir, options: &OpenOptions, used: u64, messages: u64) -> Result<()> {
    let old = bytes(root, options)?.unwrap_or_default();
    place(root, options).replace(NAME, &corrected(&old, used, messages))
}

/// Keeps the limits of the first line, and replaces all changes by what they should add up to.
pub(super) fn corrected(old: &[u8], used: u64, messages: u64) -> Vec<u8> {
    let usage = format!("\n{used} {messages}\n");
    [&limits_alone(first_line(old)), usage.as_bytes()].concat()
}

fn first_line(bytes: &[u8]) -> &[u8] {
    bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
}

/// What of a first line a server takes for limits.
fn limits_alone(line: &[u8]) -> Vec<u8> {
    let parts = line.trim().split(|byte| *byte == b',');
    let limits = parts.filter(|part| limit(part).is_some());
    bstr::join(",", limits)
}

/// A number, and its unit: bytes or messages.
fn limit(part: &[u8]) -> Option<(u64, u8)> {
    let (unit, digits) = part.split_last()?;
    let is_number = matches!(unit, b'S' | b'C') && digits.iter().all(u8::is_ascii_digit);
    let value = digits.to_str().ok()?.parse().ok()?;
    is_number.then_some((value, *unit))
}

/// Reads the file.
pub fn read(bytes: &[u8]) -> StoredUsage {
    let mut lines = bytes.lines();
    let limits = lines.next().map(limits).unwrap_or_default();
    let first = first_line(bytes);
    let has_no_limits = limits_alone(first) != first;
    let mut lines = lines.filter(|line| !line.trim().is_empty()).peekable();
    // Damage to the end of the first line takes the usage into it.
    let is_swallowed = has_no_limits && lines.peek().is_none();
    let mut used = (!is_swallowed).then_some((0_i64, 0_i64));
    for line in lines {
        used = used.zip(change(line)).and_then(|(sum, step)| {
            let bytes = sum.0.checked_add(step.0)?;
            Some((bytes, sum.1.checked_add(step.1)?))
        });
    }
    StoredUsage {
        limits,
        used,
        has_no_limits,
    }
}

/// The file for an account that has no limits, or these, and uses so much. Without limits the first line
/// is empty: a server that has some then counts anew.
pub fn write(limits: Option<QuotaLimits>, bytes: u64, messages: u64) -> String {
    let limits = limits.unwrap_or_default();
    let part = |limit: Option<u64>, unit| limit.map(|limit| format!("{limit}{unit}"));
    let parts = [part(limits.bytes, "S"), part(limits.messages, "C")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    format!("{}\n{bytes} {messages}\n", parts.join(","))
}

fn limits(line: &[u8]) -> QuotaLimits {
    let mut limits = QuotaLimits::default();
    for (value, unit) in line.trim().split(|byte| *byte == b',').filter_map(limit) {
        match unit {
            b'S' => limits.bytes = Some(value),
            _ => limits.messages = Some(value),
        }
    }
    limits
}

fn change(line: &[u8]) -> Option<(i64, i64)> {
    let mut numbers = line.fields().map(|word| word.to_str().ok()?.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_the_sum_of_all_lines_are_read() {
        let read = read(b"1000000S,1000C\n     170480         1200\n-2043 -1\n");
        assert_eq!(read.limits.bytes, Some(1_000_000));
        assert_eq!(read.limits.messages, Some(1000));
        assert_eq!(read.used, Some((168_437, 1199)));
    }

    #[test]
    fn only_limits_stay_in_the_first_line() {
        for (old, new) in [
            ("1000S,10C", "1000S,10C"),
            ("10C,1000S", "10C,1000S"),
            ("", ""),
            ("garbage", ""),
            ("1000S,garbage", "1000S"),
            ("1000S ", "1000S"),
            ("-5S,+5S,5X,S,5", ""),
            ("99999999999999999999S,10C", "10C"),
        ] {
            let file = format!("{old}\n7 7\n");
            let corrected = corrected(file.as_bytes(), 5, 1);
            assert_eq!(corrected, format!("{new}\n5 1\n").as_bytes(), "{old}");
            assert_eq!(read(file.as_bytes()).has_no_limits, old != new, "{old}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let limits = QuotaLimits {
            bytes: Some(1_000_000),
            messages: Some(1000),
        };
        let text = write(Some(limits), 170_480, 1200);
        assert_eq!(text, "1000000S,1000C\n170480 1200\n");
        assert_eq!(read(text.as_bytes()).limits, limits);
        let text = write(None, 0, 0);
        assert_eq!(text, "\n0 0\n");
        assert_eq!(read(text.as_bytes()).used, Some((0, 0)));
        assert_eq!(read(text.as_bytes()).limits, QuotaLimits::default());
    }

    #[test]
    fn what_cannot_be_read_is_no_number() {
        assert_eq!(read(b"\nx y\n").used, None);
        assert_eq!(read(b"\n9223372036854775807 1\n1 1\n").used, None);
        assert_eq!(read(b"1000S\0\0\0 12\n").used, None, "no line is left");
        assert_eq!(read(b"\0\0\0\0").used, None);
        assert_eq!(read(b"").used, Some((0, 0)));
        assert_eq!(read(b"NOQUOTA\n").limits, QuotaLimits::default());
    }
}
