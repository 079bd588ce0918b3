//! A message whose record is damaged, taken as far as it holds up.
//!
//! ```text
//! 2 M1e C..LF  01 02 N .. size LF  body ............  LF 01 03 LF  R.. G.. LF LF
//! '-- damaged: look for the next -'                   |
//!              '-- size damaged: look for this from the end
//!                                  '-- cut off before that: the body is what is there
//! ```
//! Nothing is guessed in silence: the [`Wound`] says which of these was needed.

use std::io;

use super::layout::{MESSAGE_MAGIC, SIZE_AT};
use super::shape::{MOST_METADATA, Seen, Shape};
use super::stored::Refused;
use super::wound::Wound;
use super::{FileHeader, Key, MESSAGE_HEADER, METADATA_MAGIC, Metadata};
use crate::report::catalogue::{DBOX_HEADER, DBOX_METADATA, DBOX_TRUNCATED};

/// Bytes of a header line as every server writes it.
const USUAL_LINE: usize = 16;
/// The header line is far shorter; a message header that begins later is none.
const LATEST_START: usize = 128;

/// What can be made out of a message for which `wound` was seen; the wound again where nothing can.
pub(super) fn shape(seen: &Seen<'_>, wound: Wound) -> Result<Shape, Refused> {
    let Some((start, header)) = message_header(seen) else {
        return Err(Refused::Damaged(wound.rule, wound.why));
    };
    let body_at = start + header;
    let claim = claimed_size(&seen.bytes[start..body_at]);
    let told = match claim {
        Some(size) => where_the_size_says(seen, (body_at as u64).saturating_add(size))?,
        None => None,
    };
    let told = match told {
        Some((true, found)) => return Ok(found.behind(start, body_at, wound)),
        told => told
            .map(|(_, found)| found)
            .filter(Block::stands_nowhere_else),
    };
    Ok(match from_the_end(seen, body_at as u64)? {
        Some(found) => {
            let at = seen.from + found.at;
            let why = format!(
                "{}; the size is wrong, the body ends at byte {at}",
                wound.why
            );
            found.behind(start, body_at, Wound::new(&DBOX_HEADER, why))
        }
        None if let Some(found) = told => found.behind(start, body_at, wound),
        // Zeros and the like are no message, whoever says that one is there.
        None if signs(&seen.bytes[start..body_at]) < 2 => {
            return Err(Refused::Damaged(wound.rule, wound.why));
        }
        None => without_metadata(seen, start, body_at, claim, wound),
    })
}

/// What of a message header is as it should be: magic, size, end.
fn signs(header: &[u8]) -> usize {
    let signs = [
        header.starts_with(MESSAGE_MAGIC),
        claimed_size(header).is_some(),
        header.ends_with(b"\n"),
    ];
    signs.into_iter().filter(|sign| *sign).count()
}

/// Where the message header is, and its length.
fn message_header(seen: &Seen<'_>) -> Option<(usize, usize)> {
    let whole = |start: usize, len: usize| {
        let there = seen.bytes.len().checked_sub(start)?;
        (there >= len).then_some((start, len))
    };
    if seen.extent.at.is_some() {
        return whole(0, seen.extent.header);
    }
    let line = usual_line(seen.bytes);
    let first = &seen.bytes[..seen.bytes.len().min(LATEST_START)];
    let magic = [MESSAGE_MAGIC, b"N"].concat();
    if let Some(start) = memchr::memmem::find(first, &magic) {
        // Every server since 2.0 writes 30 bytes; the last of them is always an LF.
        let usual = seen.bytes.get(start + MESSAGE_HEADER - 1) == Some(&b'\n');
        let told = line.filter(|line| !usual && line.len == start);
        return whole(
            start,
            told.map_or(MESSAGE_HEADER, |line| line.message_header),
        );
    }
    match line {
        Some(line) => whole(line.len, line.message_header),
        // Nothing is left of either: they have the usual sizes, or no metadata at the end holds up.
        None => whole(USUAL_LINE, MESSAGE_HEADER),
    }
}

/// The header line, if it is one: behind a damaged one, the next line end is that of a line of the text.
fn usual_line(bytes: &[u8]) -> Option<FileHeader> {
    let line = FileHeader::read(bytes).ok()?;
    let text = &bytes[..line.len - 1];
    let is_usual = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    (is_usual && line.created.is_some()).then_some(line)
}

fn claimed_size(header: &[u8]) -> Option<u64> {
    let digits = header.get(SIZE_AT..SIZE_AT + 16)?;
    let digits = std::str::from_utf8(digits).ok()?;
    let sound = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| sound)
}

/// Metadata that was found, as far as it can be read.
struct Block {
    at: u64,
    metadata: Metadata,
    len: u64,
}

impl Block {
    /// True with lines that no text of a message has.
    fn stands_nowhere_else(&self) -> bool {
        let metadata = &self.metadata;
        metadata.get(Key::Guid).is_some() && metadata.hex(Key::VirtualSize).is_some()
    }

    fn behind(self, start: usize, body_at: usize, wound: Wound) -> Shape {
        Shape {
            start,
            body_at,
            size: self.at - body_at as u64,
            metadata: self.metadata,
            block: self.len,
            wound: Some(wound),
        }
    }
}

/// What stands where the size in the header leads to, and whether it begins as metadata does.
fn where_the_size_says(seen: &Seen<'_>, at: u64) -> io::Result<Option<(bool, Block)>> {
    if at > seen.there {
        return Ok(None);
    }
    let bytes = seen.piece(at, MOST_METADATA)?;
    let same = METADATA_MAGIC.iter().zip(&bytes);
    let same = same.filter(|(magic, byte)| magic == byte).count();
    let (metadata, len) = Metadata::what_is_sound(&bytes[METADATA_MAGIC.len().min(bytes.len())..]);
    // One damaged byte does not make it another place.
    let has_magic = same + 1 >= METADATA_MAGIC.len();
    let len = (METADATA_MAGIC.len() + len) as u64;
    Ok(Some((has_magic, Block { at, metadata, len })))
}

/// The last metadata of the extent that is whole.
fn from_the_end(seen: &Seen<'_>, body_at: u64) -> io::Result<Option<Block>> {
    let from = seen.there.saturating_sub(MOST_METADATA).max(body_at);
    let bytes = seen.piece(from, MOST_METADATA)?;
    let places = memchr::memmem::rfind_iter(&bytes, METADATA_MAGIC);
    let blocks = places.filter_map(|place| {
        let (metadata, len) = Metadata::measure(&bytes[place..]).ok()?;
        let usual = metadata.get(Key::Guid).is_some() && metadata.hex(Key::Received).is_some();
        usual.then_some(Block {
            at: from + place as u64,
            metadata,
            len: len as u64,
        })
    });
    Ok({ blocks }.next())
}

fn without_metadata(
    seen: &Seen<'_>,
    start: usize,
    body_at: usize,
    claim: Option<u64>,
    mut wound: Wound,
) -> Shape {
    let all = seen.there.saturating_sub(body_at as u64);
    let size = claim.unwrap_or(all).min(all);
    if claim.is_some_and(|claim| claim > all) {
        wound.rule = &DBOX_TRUNCATED;
    } else if claim.is_some() {
        wound.rule = &DBOX_METADATA;
    } else {
        wound.why += "; no metadata follows, so the body is all that is there";
    }
    Shape {
        start,
        body_at,
        size,
        metadata: Metadata::default(),
        block: 0,
        wound: Some(wound),
    }
}
