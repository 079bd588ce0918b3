//! Where the parts of one message lie, as its file says.

use std::io;
use std::sync::Arc;

use super::stored::{Extent, Refused, SMALL};
use super::wound::Wound;
use super::{FileHeader, Key, METADATA_MAGIC, Metadata, read_message_header};
use crate::bytes::Decode;
use crate::disk::File;
use crate::report::catalogue::{DBOX_HEADER, DBOX_METADATA, DBOX_TRUNCATED};

/// Metadata is far smaller; more than this is damage.
pub(super) const MOST_METADATA: u64 = 64 * 1024;

/// What is to be read of a message, and what the first read brought.
pub(super) struct Seen<'a> {
    pub file: Arc<File>,
    pub extent: Extent,
    /// Where it begins.
    pub from: u64,
    /// Bytes from there to the end of its extent.
    pub there: u64,
    /// Its first bytes.
    pub bytes: &'a [u8],
}

/// Where in its extent the parts of a message lie.
#[derive(Debug)]
pub(super) struct Shape {
    /// The message header.
    pub start: usize,
    /// The body.
    pub body_at: usize,
    /// Bytes of the body.
    pub size: u64,
    /// What stands behind it.
    pub metadata: Metadata,
    /// Bytes that the metadata takes.
    pub block: u64,
    /// What is wrong, where not all of it is sound.
    pub wound: Option<Wound>,
}

impl<'a> Seen<'a> {
    /// Reads the beginning of a message into `scratch`.
    pub fn read(file: Arc<File>, extent: Extent, scratch: &'a mut Vec<u8>) -> io::Result<Self> {
        let from = extent.at.unwrap_or(0);
        let there = extent.end.saturating_sub(from);
        // So the first piece of a body ends where that of a Maildir does: a digest takes longer over pieces
        // that do not end with a block of its own.
        let most = extent.header.saturating_add(SMALL);
        let room = usize::try_from(there).map_or(most, |size| size.min(most));
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let read = file.read_at(from, &mut scratch[..room])?;
        Ok(Self {
            file,
            extent,
            from,
            there,
            bytes: &scratch[..read],
        })
    }

    /// Ends the extent where the file does, if that is earlier.
    pub fn within_file(mut self) -> Self {
        if let Ok(stat) = self.file.stat() {
            self.there = self.there.min(stat.size.saturating_sub(self.from));
        }
        self
    }

    /// A place counted from the start of the file.
    pub fn shifted(&self, mut error: Decode, by: u64) -> Decode {
        error.at += self.from + by;
        error
    }

    /// At most `most` bytes of the extent from `at` on, counted from its start.
    pub fn piece(&self, at: u64, most: u64) -> io::Result<Vec<u8>> {
        let len = self.there.saturating_sub(at).min(most);
        let mut piece = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = self.file.read_at(self.from + at, &mut piece)?;
        piece.truncate(read);
        Ok(piece)
    }

    /// The metadata that begins at `at`, which may be in the first read.
    fn block(&self, at: u64) -> io::Result<std::borrow::Cow<'_, [u8]>> {
        if let Ok(at) = usize::try_from(at)
            && self.bytes.len() as u64 == self.there
        {
            return Ok(self.bytes.get(at..).unwrap_or(&[]).into());
        }
        // Most blocks are short, and those that are not are read once more.
        let short = self.piece(at, 1024)?;
        let behind_magic = short.get(METADATA_MAGIC.len() - 1..).unwrap_or(&[]);
        if short.len() < 1024 || memchr::memmem::find(behind_magic, b"\n\n").is_some() {
            return Ok(short.into());
        }
        Ok(self.piece(at, MOST_METADATA)?.into())
    }
}

impl Shape {
    /// Of a message that is sound.
    pub fn sound(seen: &Seen<'_>) -> Result<Self, Refused> {
        let refuse = |error: Decode, by: u64| {
            let why = seen.shifted(error, by).to_string();
            Refused::Damaged(&DBOX_HEADER, why)
        };
        let (start, header) = match seen.extent.at {
            Some(_) => (0, seen.extent.header),
            None => {
                let line = FileHeader::read(seen.bytes).map_err(|error| refuse(error, 0))?;
                (line.len, line.message_header)
            }
        };
        let body_at = start + header;
        let cut = |why: String| Refused::Damaged(&DBOX_TRUNCATED, why);
        let message = seen.bytes.get(start..body_at).ok_or_else(|| {
            let end = seen.from + seen.bytes.len() as u64;
            cut(format!("byte {end}: ends in the message header"))
        })?;
        let size = read_message_header(message).map_err(|error| refuse(error, start as u64))?;
        let body_end = (body_at as u64).saturating_add(size);
        if body_end > seen.there {
            let missing = body_end - seen.there;
            let at = seen.from + start as u64;
            return Err(cut(format!(
                "byte {at}: the body needs {size} bytes, {missing} of them are not there"
            )));
        }
        let block = seen.block(body_end)?;
        let (metadata, block) = Metadata::measure(&block).map_err(|error| {
            let why = seen.shifted(error, body_end).to_string();
            Refused::Damaged(&DBOX_METADATA, why)
        })?;
        Ok(Self {
            start,
            body_at,
            size,
            metadata,
            block: block as u64,
            wound: None,
        })
    }

    /// Marks it where its metadata lacks what every server writes.
    pub fn judged(mut self, seen: &Seen<'_>) -> Self {
        if self.wound.is_none()
            && let Some(why) = lacks(&self.metadata)
        {
            let at = seen.from + self.body_at as u64 + self.size;
            let why = format!("byte {at}: metadata: {why}");
            self.wound = Some(Wound::new(&DBOX_METADATA, why));
        }
        self
    }
}

fn lacks(metadata: &Metadata) -> Option<String> {
    if metadata.get(Key::Guid).is_none() {
        return Some("no GUID (G)".into());
    }
    if metadata.hex(Key::Received).is_none() {
        return Some("no received date (R)".into());
    }
    let odd = metadata.odd()?;
    Some(format!("the line {odd:?} is none that a server writes"))
}
