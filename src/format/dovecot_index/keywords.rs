//! The header data of the extension `keywords`: the names behind the bits.

use std::collections::HashMap;

use bstr::BString;
use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::layout::KeywordSlot;
use crate::bytes::{Cursor, Decode};

/// The names in bit order. Of a damaged list, what stands before the damage.
pub(super) fn names_in(header: &[u8]) -> Vec<BString> {
    let mut names = Vec::new();
    // What was read before the damage is kept, which is all there is to do about it.
    let _ = collect(&mut Cursor::new(header), &mut names);
    names
}

/// What is wrong with a list of names.
pub(super) fn fault_in(header: &[u8]) -> Option<Decode> {
    collect(&mut Cursor::new(header), &mut Vec::new()).err()
}

fn collect(cursor: &mut Cursor<'_>, names: &mut Vec<BString>) -> Result<(), Decode> {
    let count = cursor.u32("keyword count")?;
    let slots: &[KeywordSlot] = cursor.records("keyword offsets", count.into())?;
    let texts = cursor.rest();
    let mut expected = 0;
    for slot in slots {
        // Back to back, as Dovecot writes them: so the names are never more than the header.
        if slot.name_offset.get() as usize != expected {
            return Err(cursor.broken("keyword offsets", "the names do not follow each other"));
        }
        let text = texts.get(expected..).unwrap_or_default();
        let Some(end @ 1..) = memchr::memchr(0, text) else {
            return Err(cursor.broken("keyword name", "does not end"));
        };
        names.push(text[..end].into());
        expected += end + 1;
    }
    Ok(())
}

/// The header data of the extension `keywords` for these names, in bit order.
///
/// Without any name there is no such extension.
pub fn keywords_header(names: &[BString]) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(U32::new(clamp(names.len())).as_bytes());
    let mut offset = 0;
    for name in names {
        let mut slot = KeywordSlot::new_zeroed();
        slot.name_offset = U32::new(clamp(offset));
        header.extend_from_slice(slot.as_bytes());
        offset += name.len() + 1;
    }
    for name in names {
        header.extend_from_slice(name);
        header.push(0);
    }
    header.resize(header.len().next_multiple_of(4), 0);
    header
}

/// No list of names comes near this; if one did, it would read back as damaged, not as another.
fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The names while a log is replayed, found without regard to case.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<BString>,
    bits: HashMap<Vec<u8>, usize>,
}

impl Names {
    /// Those in a header.
    pub fn of(header: &[u8]) -> Self {
        let mut all = Self::default();
        for name in names_in(header) {
            let bit = all.names.len();
            all.bits.entry(name.to_ascii_lowercase()).or_insert(bit);
            all.names.push(name);
        }
        all
    }

    /// The bit of a name, which is given one where it has none.
    pub fn bit(&mut self, name: &[u8]) -> usize {
        let next = self.names.len();
        let bit = *self.bits.entry(name.to_ascii_lowercase()).or_insert(next);
        if bit == next {
            self.names.push(name.into());
        }
        bit
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// As header data.
    pub fn header(&self) -> Vec<u8> {
        keywords_header(&self.names)
    }
}
