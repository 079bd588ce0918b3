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

/// Keeps the first line, whatever it says, and replaces all changes by what they should add up to.
fn correct(root: &Dir, options: &OpenOptions, used: u64, messages: u64) -> Result<()> {
    let old = bytes(root, options)?.unwrap_or_default();
    let limits = old.lines().next().unwrap_or_default();
    let usage = format!("\n{used} {messages}\n");
    place(root, options).replace(NAME, &[limits, usage.as_bytes()].concat())
}

/// Reads the file.
pub fn read(bytes: &[u8]) -> StoredUsage {
    let mut lines = bytes.lines();
    let limits = lines.next().map(limits).unwrap_or_default();
    let mut used = Some((0_i64, 0_i64));
    for line in lines.filter(|line| !line.trim().is_empty()) {
        used = used.zip(change(line)).and_then(|(sum, step)| {
            let bytes = sum.0.checked_add(step.0)?;
            Some((bytes, sum.1.checked_add(step.1)?))
        });
    }
    StoredUsage { limits, used }
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
    for limit in line.trim().split(|byte| *byte == b',') {
        let Some((unit, digits)) = limit.split_last() else {
            continue;
        };
        let value = digits.to_str().ok().and_then(|text| text.parse().ok());
        match unit {
            b'S' => limits.bytes = value,
            b'C' => limits.messages = value,
            _ => {}
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
        assert_eq!(read(b"").used, Some((0, 0)));
        assert_eq!(read(b"NOQUOTA\n").limits, QuotaLimits::default());
    }
}
