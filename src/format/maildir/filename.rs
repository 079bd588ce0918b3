//! What a message's file name says.
//!
//! ```text
//! name   = base [ info ]
//! base   = unique *( "," extra )          ; up to the first ':'
//! extra  = "S=" digits | "W=" digits | anything
//! info   = ":2," flags [ "," other ]      ; behind the last ':'
//! ```
//! Source: Dovecot 2.3, `maildir-filename.c`, `maildir-filename-flags.c`.

use std::cmp::Ordering;

use crate::model::Flags;

/// Letters that a mailbox can name its keywords by.
pub const LETTERS: u32 = 26;

/// The part that stays the same when flags change.
pub fn base(name: &[u8]) -> &[u8] {
    match memchr::memchr(b':', name) {
        Some(colon) => &name[..colon],
        None => name,
    }
}

/// What stands behind the last `:2,` of a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Info {
    /// There is such a part.
    pub there: bool,
    /// System flags.
    pub flags: Flags,
    /// One bit a keyword letter.
    pub letters: u32,
    /// Fields follow the flags.
    pub more: bool,
}

/// Reads the flags of a name.
pub fn info(name: &[u8]) -> Info {
    let mut info = Info::default();
    let Some(colon) = memchr::memrchr(b':', name) else {
        return info;
    };
    let Some(flags) = name[colon + 1..].strip_prefix(b"2,") else {
        return info;
    };
    info.there = true;
    for letter in flags {
        match letter {
            b'R' => info.flags |= Flags::ANSWERED,
            b'S' => info.flags |= Flags::SEEN,
            b'T' => info.flags |= Flags::DELETED,
            b'F' => info.flags |= Flags::FLAGGED,
            b'D' => info.flags |= Flags::DRAFT,
            b'a'..=b'z' => info.letters |= 1 << (letter - b'a'),
            b',' => {
                info.more = true;
                break;
            }
            _ => {}
        }
    }
    info
}

/// The size behind `,S=` or `,W=` in a base name; only the first one counts.
pub fn size(base: &[u8], key: u8) -> Option<u64> {
    let marker = [b',', key, b'='];
    let at = memchr::memmem::find(base, &marker)? + marker.len();
    number(base[at..].split(|byte| *byte == b',').next()?)
}

/// A decimal number and nothing else.
pub fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()
}

/// True for flags behind another character than a colon, as some Windows tools write them.
pub fn has_foreign_info(base: &[u8]) -> bool {
    let flags = base
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphabetic())
        .count();
    let rest = &base[..base.len() - flags];
    [b"!2,", b";2,", b" 2,", b"-2,"]
        .iter()
        .any(|mark| rest.ends_with(*mark))
}

/// When a base name says that it was made.
pub fn made_at(base: &[u8]) -> Option<i64> {
    let digits = base.iter().take_while(|byte| byte.is_ascii_digit()).count();
    number(&base[..digits]).and_then(|secs| i64::try_from(secs).ok())
}

/// The order in which Dovecot gives UIDs to new files: seconds, microseconds, the rest of the name.
pub fn arrival_order(one: &[u8], other: &[u8]) -> Ordering {
    let (one, other) = (Arrival::of(one), Arrival::of(other));
    let micros = match (one.micros, other.micros) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => Ordering::Equal,
    };
    one.secs
        .cmp(&other.secs)
        .then(micros)
        .then(one.rest.cmp(other.rest))
}

struct Arrival<'a> {
    secs: u64,
    micros: Option<u64>,
    rest: &'a [u8],
}

impl<'a> Arrival<'a> {
    fn of(base: &'a [u8]) -> Self {
        let digits = base.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = &base[digits..];
        Self {
            secs: wrapping_number(&base[..digits]),
            micros: rest.strip_prefix(b".").and_then(micros),
            rest,
        }
    }
}

/// `M<digits>` before the next dot.
fn micros(unique: &[u8]) -> Option<u64> {
    let unique = unique.split(|byte| *byte == b'.').next()?;
    let at = memchr::memchr(b'M', unique)? + 1;
    let digits = unique[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    Some(wrapping_number(&unique[at..at + digits]))
}

fn wrapping_number(digits: &[u8]) -> u64 {
    let step = |sum: u64, digit: &u8| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
    digits.iter().fold(0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_name_is_the_key_with_its_extras() {
        let name = b"1577900060.M1P100.lab,S=179,W=187:2,FSd";
        assert_eq!(base(name), b"1577900060.M1P100.lab,S=179,W=187");
        assert_eq!(size(base(name), b'S'), Some(179));
        assert_eq!(size(base(name), b'W'), Some(187));
        let info = info(name);
        assert_eq!(info.flags, Flags::FLAGGED | Flags::SEEN);
        assert_eq!(info.letters, 1 << 3);
    }

    #[test]
    fn flags_stand_behind_the_last_colon_and_only_after_2() {
        assert_eq!(info(b"x:1,S"), Info::default());
        assert_eq!(info(b"x"), Info::default());
        assert_eq!(info(b"x:2,S:2,F").flags, Flags::FLAGGED);
        assert_eq!(info(b"x:2,SPZa").flags, Flags::SEEN);
        let more = info(b"x:2,S,Fb");
        assert_eq!(
            (more.flags, more.letters, more.more),
            (Flags::SEEN, 0, true)
        );
    }

    #[test]
    fn a_size_that_is_no_number_is_no_size() {
        assert_eq!(size(b"x,S=", b'S'), None);
        assert_eq!(size(b"x,S=12a", b'S'), None);
        assert_eq!(size(b"x,S=+12", b'S'), None);
        assert_eq!(size(b"x,S=0,S=3", b'S'), Some(0));
        assert_eq!(size(b"x,S=99999999999999999999999", b'S'), None);
    }

    #[test]
    fn new_files_are_ordered_as_dovecot_orders_them() {
        let mut names = [
            &b"1000000001.M5P1.b"[..],
            b"1000000000.M20P1.a",
            b"1000000000.M3P1.a",
            b"999999999.x",
            b"1000000000.12.a",
            b"abc",
        ];
        names.sort_by(|a, b| arrival_order(a, b));
        assert_eq!(names[0], b"abc");
        assert_eq!(names[1], b"999999999.x");
        assert_eq!(names[5], b"1000000001.M5P1.b");
        let three = names.iter().position(|name| name.contains(&b'3')).unwrap();
        let twenty = names
            .iter()
            .position(|name| name.starts_with(b"1000000000.M20"))
            .unwrap();
        assert!(three < twenty);
    }

    #[test]
    fn flags_of_windows_tools_are_seen() {
        assert!(has_foreign_info(b"x;2,S"));
        assert!(has_foreign_info(b"x!2,"));
        assert!(!has_foreign_info(b"x,S=12"));
    }
}
