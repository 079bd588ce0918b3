//! A message in a dbox file, taken apart.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use super::{FileHeader, Key, METADATA_MAGIC, Metadata, read_message_header};
use crate::disk::File;
use crate::format::compress::{self, Codec};
use crate::report::Rule;
use crate::report::catalogue::{DBOX_HEADER, DBOX_METADATA, DBOX_TRUNCATED};

/// A message up to this size takes one read.
pub const SMALL: usize = 128 * 1024;
/// Metadata is far smaller; more than this is damage.
const MOST_METADATA: u64 = 64 * 1024;

/// Why a message cannot be read.
#[derive(Debug)]
pub enum Refused {
    /// What the system said.
    Io(io::Error),
    /// What does not fit.
    Damaged(&'static Rule, String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Where in its file a message lies.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The first byte of its header; `None`: behind the header line of the file.
    pub at: Option<u64>,
    /// Bytes of a message header in this file; a header line that is read tells it.
    pub header: usize,
    /// Nothing of the message lies here or beyond.
    pub end: u64,
}

/// A message in a dbox file, taken apart.
#[derive(Debug)]
pub struct StoredMessage<'a> {
    /// What stands behind the body.
    pub metadata: Metadata,
    /// Bytes of the body as stored.
    pub size: u64,
    /// The beginning of the body, as far as the first read came.
    pub head: Cow<'a, [u8]>,
    /// Bytes of the whole record.
    pub len: u64,
    /// What follows `head`; `None` where the body is all there.
    rest: Option<Span>,
}

impl<'a> StoredMessage<'a> {
    /// Takes the message at `extent` apart; as much of it as is small is read into `scratch`.
    pub fn read(
        file: Arc<File>,
        extent: Extent,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Self, Refused> {
        let from = extent.at.unwrap_or(0);
        let there = extent.end.saturating_sub(from);
        let room = usize::try_from(there).map_or(SMALL, |size| size.min(SMALL));
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let read = file.read_at(from, &mut scratch[..room])?;
        let bytes = &scratch[..read];
        let refuse = |error: crate::bytes::Decode| {
            Refused::Damaged(&DBOX_HEADER, shifted(error, from).to_string())
        };
        let (start, header) = match extent.at {
            Some(_) => (0, extent.header),
            None => {
                let line = FileHeader::read(bytes).map_err(refuse)?;
                (line.len, line.message_header)
            }
        };
        let body_at = start + header;
        let cut = |why: String| Refused::Damaged(&DBOX_TRUNCATED, why);
        let message = bytes.get(start..body_at).ok_or_else(|| {
            cut(format!(
                "byte {}: ends in the message header",
                from + read as u64
            ))
        })?;
        let size = read_message_header(message).map_err(refuse)?;
        let body_end = (body_at as u64).saturating_add(size);
        if body_end > there {
            let missing = body_end - there;
            let at = from + start as u64;
            return Err(cut(format!(
                "byte {at}: the body needs {size} bytes, {missing} of them are not there"
            )));
        }
        let kept;
        let block = match usize::try_from(body_end) {
            Ok(end) if read as u64 == there => bytes.get(end..).unwrap_or(&[]),
            _ => {
                kept = tail(&file, from + body_end, extent.end)?;
                &kept
            }
        };
        let (metadata, block) = Metadata::measure(block).map_err(|error| {
            Refused::Damaged(&DBOX_METADATA, shifted(error, from + body_end).to_string())
        })?;
        let in_head = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .min(read - body_at);
        let rest = Span {
            file,
            at: from + (body_at + in_head) as u64,
            end: from + body_end,
        };
        Ok(Self {
            metadata,
            size,
            head: Cow::Borrowed(&bytes[body_at..body_at + in_head]),
            len: header as u64 + size + block as u64,
            rest: (rest.at < rest.end).then_some(rest),
        })
    }

    /// The same, with nothing borrowed.
    pub fn into_owned(self) -> StoredMessage<'static> {
        StoredMessage {
            head: Cow::Owned(self.head.into_owned()),
            metadata: self.metadata,
            size: self.size,
            len: self.len,
            rest: self.rest,
        }
    }

    /// The body as it is stored.
    pub fn raw_body(self) -> Box<dyn BufRead + Send + 'a> {
        let head = io::Cursor::new(self.head);
        match self.rest {
            None => Box::new(head),
            Some(rest) => Box::new(head.chain(BufReader::with_capacity(SMALL, rest))),
        }
    }

    /// The coat of the body: only one whose plain size is told apart from its stored size has any.
    pub fn coat(&self) -> Option<Codec> {
        self.metadata.get(Key::PlainSize).and(Codec::of(&self.head))
    }

    /// The body without its coat.
    pub fn plain_body(self) -> Box<dyn BufRead + 'a> {
        match self.coat() {
            Some(codec) => compress::decoder(codec, self.raw_body()),
            None => self.raw_body(),
        }
    }
}

/// The place counted from the start of the file.
fn shifted(mut error: crate::bytes::Decode, by: u64) -> crate::bytes::Decode {
    error.at += by;
    error
}

/// The metadata of a message whose body is larger than the first read.
fn tail(file: &File, from: u64, end: u64) -> io::Result<Vec<u8>> {
    let most = (end - from).min(MOST_METADATA);
    let mut block = vec![0; usize::try_from(most).unwrap_or(0)];
    // Most blocks are short, and those that are not are read once more.
    for len in [1024.min(block.len()), block.len()] {
        let read = file.read_at(from, &mut block[..len])?;
        if read < len
            || block[(METADATA_MAGIC.len() - 1).min(len)..len]
                .windows(2)
                .any(|pair| pair == b"\n\n")
        {
            block.truncate(read);
            break;
        }
    }
    Ok(block)
}

/// Bytes of a file from one place to another.
#[derive(Debug)]
struct Span {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Span {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        let read = self.file.read_at(self.at, &mut buffer[..len])?;
        if read == 0 && len > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}
