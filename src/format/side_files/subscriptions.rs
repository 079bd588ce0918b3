//! `subscriptions`: version 1 is a storage name a line; version 2 has a head line, an empty line,
//! and then the levels of a name a line, with tabs between them.
//!
//! ```text
//! V<TAB>2<LF>
//! <LF>
//! Archive<TAB>2020<TAB>Q&AOQ-<LF>
//! ```
//! Source: Dovecot 2.3, `src/lib-storage/list/subscription-file.c`.

use bstr::{BString, ByteSlice};

use crate::model::{MailboxName, mutf7};

/// Names from either version; `separator` is the layout's, for version 1.
pub fn read(bytes: &[u8], separator: u8, level: impl Fn(&[u8]) -> String) -> Vec<MailboxName> {
    let (lines, second) = match bytes.strip_prefix(b"V\t2\n") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    let lines = lines.lines().filter(|line| !line.is_empty());
    let names = lines.map(|line| {
        let levels: Vec<String> = if second {
            line.split(|byte| *byte == b'\t')
                .map(|part| level(&unescape(part)))
                .collect()
        } else {
            line.split(|byte| *byte == separator).map(&level).collect()
        };
        MailboxName::new(levels)
    });
    let is_name = |name: &MailboxName| name.levels().iter().any(|level| !level.is_empty());
    names.filter(is_name).collect()
}

/// Version 2 as Dovecot writes it, storage names in modified UTF-7.
pub fn write(names: &[MailboxName]) -> Vec<u8> {
    let mut out = b"V\t2\n\n".to_vec();
    for name in names {
        for (nth, level) in name.levels().iter().enumerate() {
            if nth > 0 {
                out.push(b'\t');
            }
            out.extend_from_slice(&escape(mutf7::encode(level).as_bytes()));
        }
        out.push(b'\n');
    }
    out
}

const ESCAPES: [(u8, u8); 5] = [
    (0x01, b'1'),
    (b'\t', b't'),
    (b'\r', b'r'),
    (b'\n', b'n'),
    (0, b'0'),
];

fn escape(part: &[u8]) -> BString {
    let mut out = BString::default();
    for byte in part {
        match ESCAPES.iter().find(|(plain, _)| plain == byte) {
            Some((_, letter)) => out.extend([0x01, *letter]),
            None => out.push(*byte),
        }
    }
    out
}

fn unescape(part: &[u8]) -> BString {
    let mut out = BString::default();
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        if *byte != 0x01 {
            out.push(*byte);
            continue;
        }
        let Some(letter) = bytes.next() else { break };
        let plain = ESCAPES.iter().find(|(_, escaped)| escaped == letter);
        out.push(plain.map_or(*letter, |(plain, _)| *plain));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(level: &[u8]) -> String {
        mutf7::decode(level).unwrap_or_else(|| String::from_utf8_lossy(level).into_owned())
    }

    fn listed(bytes: &[u8], separator: u8) -> Vec<String> {
        let names = read(bytes, separator, text);
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_versions_name_the_same_mailboxes() {
        let names = ["INBOX", "Archive/2020/Qä"];
        assert_eq!(listed(b"INBOX\nArchive.2020.Q&AOQ-\n", b'.'), names);
        assert_eq!(listed(b"INBOX\nArchive/2020/Q&AOQ-\n", b'/'), names);
        assert_eq!(
            listed(b"V\t2\n\nINBOX\nArchive\t2020\tQ&AOQ-\n", b'.'),
            names
        );
    }

    #[test]
    fn a_line_that_stands_for_nothing_is_no_name() {
        assert!(listed(b"V\t2\n\n\t\n\x01\n", b'.').is_empty());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let names = vec![
            MailboxName::inbox(),
            MailboxName::new(["a\tb", "c.d", "e/f", "Qä"]),
        ];
        assert_eq!(read(&write(&names), b'/', text), names);
        assert_eq!(write(&names[..1]), b"V\t2\n\nINBOX\n");
    }
}
