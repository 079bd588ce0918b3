//! The two headers of a dbox file, and the names and the header that both formats' mailboxes have.

use crate::bytes::{Cursor, Decode};

/// Holds the mailbox tree.
pub const MAILBOXES: &str = "mailboxes";
/// Makes a directory a mailbox.
pub const MAILS: &str = "dbox-Mails";
/// Where an mdbox has its messages and their map.
pub const STORAGE: &str = "storage";

/// Bytes of a message header as every version since 2.0 writes it.
pub const MESSAGE_HEADER: usize = 30;

/// Stands before the metadata, directly behind the body.
pub const METADATA_MAGIC: &[u8] = b"\n\x01\x03\n";

/// Begins a message header.
pub(super) const MESSAGE_MAGIC: &[u8] = b"\x01\x02";
/// What a header of ours, and of every server, begins with.
pub const MESSAGE_BEGIN: &[u8] = b"\x01\x02N ";
/// A file header line is not longer; a file without a line end in its first bytes is no dbox file.
const LONGEST_LINE: usize = 512;
/// Where the 16 hex digits of the size begin in a message header.
pub(super) const SIZE_AT: usize = 13;

/// The first line of a dbox file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// Bytes of the line with its end: the first message starts here.
    pub len: usize,
    /// Bytes of each message header in this file.
    pub message_header: usize,
    /// When the file was made.
    pub created: Option<u64>,
}

/// The first line of a file made at `now`.
pub fn file_header(now: u32) -> Vec<u8> {
    format!("2 M{MESSAGE_HEADER:x} C{now:x}\n").into_bytes()
}

impl FileHeader {
    /// Reads the first line.
    pub fn read(bytes: &[u8]) -> Result<Self, Decode> {
        let start = Cursor::new(bytes);
        let broken = |why: &str| start.broken("dbox file header", why);
        let most = &bytes[..bytes.len().min(LONGEST_LINE)];
        let end = memchr::memchr(b'\n', most).ok_or_else(|| broken("no line end"))?;
        let line = std::str::from_utf8(&bytes[..end]).map_err(|_| broken("not text"))?;
        let mut words = line.split(' ');
        if !matches!(words.next(), Some("1" | "2")) {
            return Err(broken("not version 1 or 2"));
        }
        let mut header = Self {
            len: end + 1,
            message_header: 0,
            created: None,
        };
        for word in words {
            let Some(key) = word.chars().next() else {
                continue;
            };
            let number = hex(word.get(1..).unwrap_or(""));
            match key {
                'M' => {
                    let size = number.and_then(|size| usize::try_from(size).ok());
                    header.message_header = size.ok_or_else(|| broken("bad M"))?;
                }
                // No server reads a file without a time that it can read.
                'C' => header.created = Some(number.ok_or_else(|| broken("bad C"))?),
                _ => {}
            }
        }
        if (MESSAGE_HEADER..=LONGEST_LINE).contains(&header.message_header) {
            Ok(header)
        } else {
            Err(broken("no usable message header size (M)"))
        }
    }
}

/// A number of digits alone: no sign is one.
fn hex(digits: &str) -> Option<u64> {
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// The header of a message of `size` bytes.
pub fn message_header(size: u64) -> [u8; MESSAGE_HEADER] {
    let mut header = [b' '; MESSAGE_HEADER];
    header[..2].copy_from_slice(MESSAGE_MAGIC);
    header[2] = b'N';
    let mut rest = size;
    for place in (SIZE_AT..SIZE_AT + 16).rev() {
        header[place] = b"0123456789ABCDEF"[(rest & 15) as usize];
        rest >>= 4;
    }
    header[MESSAGE_HEADER - 1] = b'\n';
    header
}

/// The size that a message header tells; `bytes` is the whole header.
pub fn read_message_header(bytes: &[u8]) -> Result<u64, Decode> {
    let mut cursor = Cursor::new(bytes);
    if cursor.take("message header magic", 2)? != MESSAGE_MAGIC {
        return Err(Cursor::new(bytes).broken("message header", "bad magic"));
    }
    cursor.skip("message header", SIZE_AT - 2)?;
    let broken = cursor.broken("message size", "not 16 hex digits");
    let digits =
        std::str::from_utf8(cursor.take("message size", 16)?).map_err(|_| broken.clone())?;
    if bytes.last() != Some(&b'\n') {
        return Err(cursor.broken("message header", "does not end with LF"));
    }
    u64::from_str_radix(digits, 16).map_err(|_| broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_that_dovecot_writes() {
        assert_eq!(file_header(0x6553_f100), b"2 M1e C6553f100\n");
        assert_eq!(
            &message_header(14),
            b"\x01\x02N          000000000000000E\n"
        );
        let read = FileHeader::read(b"2 M1e C6553f100\nrest").unwrap();
        assert_eq!((read.len, read.message_header), (16, 30));
        assert_eq!(read_message_header(&message_header(u64::MAX)), Ok(u64::MAX));
        let lower = b"\x01\x02N          000000000000000e\n";
        assert_eq!(read_message_header(lower), Ok(14));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in [
            "",
            "2 M1e",
            "3 M1e\n",
            "2 C1\n",
            "2 M1\n",
            "2 Mffffffff\n",
            "2 Mzz\n",
            "2 M+1e\n",
            "2 M1e C\n",
            "2 M1e Cv553f100\n",
            "2 M1e C65 553f100 C+1\n",
            "\n",
        ] {
            assert!(FileHeader::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let header = message_header(1);
        for len in 0..MESSAGE_HEADER {
            assert!(read_message_header(&header[..len]).is_err(), "{len}");
        }
    }
}
