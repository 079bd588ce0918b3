//! The metadata behind a message: one key a line, in file order; unknown keys are kept.

use bstr::{BStr, BString, ByteSlice};

use super::METADATA_MAGIC;
use super::layout::MESSAGE_BEGIN;
use crate::bytes::{Cursor, Decode};

/// The keys that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Received, hex seconds.
    Received = b'R' as isize,
    /// Virtual size, hex.
    VirtualSize = b'V' as isize,
    /// The message's GUID.
    Guid = b'G' as isize,
    /// Size without the storage coat, hex; only where it differs from the stored size.
    PlainSize = b'Z' as isize,
    /// POP3 UIDL.
    Pop3Uidl = b'P' as isize,
    /// POP3 order, decimal.
    Pop3Order = b'O' as isize,
    /// The mailbox that it was first saved to, by its storage name.
    FirstMailbox = b'B' as isize,
    /// External attachments.
    External = b'X' as isize,
}

/// The metadata of one message. The lines are what is written, so a key from a later server survives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    lines: Vec<(u8, BString)>,
}

impl Metadata {
    /// Reads a block that begins with its magic; what follows its empty line is ignored.
    pub fn read(bytes: &[u8]) -> Result<Self, Decode> {
        Self::measure(bytes).map(|(metadata, _)| metadata)
    }

    /// The same, with the bytes that the block takes.
    pub fn measure(bytes: &[u8]) -> Result<(Self, usize), Decode> {
        let mut cursor = Cursor::new(bytes);
        if cursor.take("metadata magic", METADATA_MAGIC.len())? != METADATA_MAGIC {
            return Err(Cursor::new(bytes).broken("metadata magic", "not there"));
        }
        let mut lines = Vec::new();
        loop {
            let at = cursor.clone();
            let line = cursor.line().filter(|line| !is_of_next(line));
            let line = line.ok_or_else(|| at.broken("metadata", "ends without its empty line"))?;
            let Some((key, value)) = line.split_first() else {
                return Ok((Self { lines }, cursor.at()));
            };
            lines.push((*key, value.into()));
        }
    }

    /// The lines that are whole and that a server can have written, with the bytes up to the end of the
    /// block or of what is there; `bytes` begin behind the magic. What ends without its line end may be half
    /// a line.
    pub fn what_is_sound(bytes: &[u8]) -> (Self, usize) {
        let mut lines = Vec::new();
        let mut len = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if is_of_next(line) {
                break;
            }
            len += line.len();
            let Some((key, value)) = line.strip_suffix(b"\n").and_then(<[u8]>::split_first) else {
                break;
            };
            if is_usual(*key, value) {
                lines.push((*key, value.into()));
            }
        }
        (Self { lines }, len)
    }

    /// A line that no server has written.
    pub fn odd(&self) -> Option<&BStr> {
        let mut lines = self.lines.iter();
        let odd = lines.find(|(key, value)| !is_usual(*key, value));
        odd.map(|(_, value)| value.as_bstr())
    }

    /// The value of a key; the first of several holds.
    pub fn get(&self, key: Key) -> Option<&[u8]> {
        let found = self.lines.iter().find(|(held, _)| *held == key as u8);
        found.map(|(_, value)| value.as_slice())
    }

    /// A value that is a hex number.
    pub fn hex(&self, key: Key) -> Option<u64> {
        u64::from_str_radix(self.get(key)?.to_str().ok()?, 16).ok()
    }

    /// A value that is a decimal number.
    pub fn decimal(&self, key: Key) -> Option<u32> {
        self.get(key)?.to_str().ok()?.parse().ok()
    }

    /// Adds a line. A value never has a line end.
    pub fn push(&mut self, key: Key, value: impl Into<BString>) {
        let value = value.into();
        debug_assert!(!value.contains(&b'\n') && !value.contains(&b'\r'));
        self.lines.push((key as u8, value));
    }

    /// Gives the key another value, where it has one.
    pub fn set(&mut self, key: Key, value: impl Into<BString>) {
        let held = self.lines.iter_mut().find(|(held, _)| *held == key as u8);
        if let Some((_, held)) = held {
            *held = value.into();
        }
    }

    /// Appends the whole block to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(METADATA_MAGIC);
        for (key, value) in &self.lines {
            out.push(*key);
            out.extend_from_slice(value);
            out.push(b'\n');
        }
        out.push(b'\n');
    }
}

/// True where the header of the next message begins in a line: the end before it is gone.
fn is_of_next(line: &[u8]) -> bool {
    line.contains_str(MESSAGE_BEGIN)
}

/// Keys are capital letters, or a space where a server left room; sizes and dates are numbers.
fn is_usual(key: u8, value: &[u8]) -> bool {
    match key {
        b'R' | b'V' | b'Z' => !value.is_empty() && value.iter().all(u8::is_ascii_hexdigit),
        b'O' => !value.is_empty() && value.iter().all(u8::is_ascii_digit),
        b' ' => true,
        _ => key.is_ascii_uppercase() && !value.contains(&0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_from_a_later_server_survives() {
        let block = b"\n\x01\x03\nR59682f00\nV11\nQfuture thing\nGabc\n\ntrailing";
        let metadata = Metadata::read(block).unwrap();
        assert_eq!(metadata.hex(Key::Received), Some(0x5968_2f00));
        assert_eq!(metadata.get(Key::Guid), Some(&b"abc"[..]));
        assert_eq!(metadata.get(Key::Pop3Uidl), None);
        let mut out = Vec::new();
        metadata.write(&mut out);
        assert_eq!(out.as_bstr(), block[..block.len() - 8].as_bstr());
    }

    #[test]
    fn a_line_that_breaks_off_is_not_believed() {
        let lines = b"R59682f00\nGabc\n\n";
        for len in 0..lines.len() {
            let (sound, _) = Metadata::what_is_sound(&lines[..len]);
            let received = (len > 9).then_some(0x5968_2f00);
            assert_eq!(sound.hex(Key::Received), received, "{len} bytes");
            let guid = (len > 14).then_some(&b"abc"[..]);
            assert_eq!(sound.get(Key::Guid), guid, "{len} bytes");
        }
    }

    #[test]
    fn a_block_without_its_end_does_not_reach_into_the_next_message() {
        let next = b"\x01\x02N          000000000000000E\nGreat: x\n\n";
        for end in [&b""[..], b"\0\0\n", b"\0\0"] {
            let block = [b"\n\x01\x03\nR59682f00\n", end, next].concat();
            assert!(Metadata::read(&block).is_err());
            let (sound, _) = Metadata::what_is_sound(&block[4..]);
            assert_eq!(sound.hex(Key::Received), Some(0x5968_2f00));
            assert_eq!(sound.get(Key::Guid), None);
        }
    }

    #[test]
    fn a_block_that_breaks_off_is_told_and_not_read() {
        let block = b"\n\x01\x03\nR59682f00\nGabc\n\n";
        for len in 0..block.len() {
            assert!(Metadata::read(&block[..len]).is_err(), "{len} bytes");
        }
        assert!(Metadata::read(block).is_ok());
    }
}
