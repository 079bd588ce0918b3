//! A message in a dbox file, taken apart.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use super::shape::{Seen, Shape};
use super::wound::Wound;
use super::{Key, Metadata, salvage};
use crate::disk::File;
use crate::format::compress::{self, Codec};
use crate::report::Rule;

/// A message up to this size takes one read.
pub const SMALL: usize = 128 * 1024;

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
    /// What is wrong, where it was taken as far as it is sound.
    pub wound: Option<Wound>,
    /// The time of the file, where a wound makes it needed.
    pub mtime: Option<i64>,
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
        let seen = Seen::read(file, extent, scratch)?;
        let shape = Shape::sound(&seen)?;
        Ok(Self::of(shape, seen))
    }

    /// The same; `wound` says where the metadata lacks what every server writes.
    pub fn judged(
        file: Arc<File>,
        extent: Extent,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Self, Refused> {
        let seen = Seen::read(file, extent, scratch)?;
        let shape = Shape::sound(&seen)?.judged(&seen);
        Ok(Self::of(shape, seen))
    }

    /// The same, for one that is known to lie there: where it is damaged, what is sound of it is taken, and
    /// `wound` says so.
    pub fn open(
        file: Arc<File>,
        extent: Extent,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Self, Refused> {
        let mut seen = Seen::read(file, extent, scratch)?;
        let shape = match Shape::sound(&seen) {
            Err(Refused::Damaged(rule, why)) => {
                seen = seen.within_file();
                salvage::shape(&seen, Wound::new(rule, why))
            }
            sound => sound,
        };
        Ok(Self::of(shape?.judged(&seen), seen))
    }

    fn of(shape: Shape, seen: Seen<'a>) -> Self {
        let Seen {
            file, from, bytes, ..
        } = seen;
        let body_at = shape.body_at;
        let in_head = usize::try_from(shape.size).unwrap_or(usize::MAX);
        let in_head = in_head.min(bytes.len() - body_at);
        let mtime = shape.wound.as_ref().and_then(|_| file.stat().ok());
        let rest = Span {
            file,
            at: from + (body_at + in_head) as u64,
            end: from + body_at as u64 + shape.size,
        };
        Self {
            metadata: shape.metadata,
            size: shape.size,
            head: Cow::Borrowed(&bytes[body_at..body_at + in_head]),
            len: (body_at - shape.start) as u64 + shape.size + shape.block,
            wound: shape.wound,
            mtime: mtime.map(|stat| stat.mtime),
            rest: (rest.at < rest.end).then_some(rest),
        }
    }

    /// The same, with nothing borrowed.
    pub fn into_owned(self) -> StoredMessage<'static> {
        StoredMessage {
            head: Cow::Owned(self.head.into_owned()),
            metadata: self.metadata,
            size: self.size,
            len: self.len,
            wound: self.wound,
            mtime: self.mtime,
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

    /// The coat of the body: only one whose plain size is told apart from its stored size has any. Where
    /// the metadata is damaged, the first bytes tell.
    pub fn coat(&self) -> Option<Codec> {
        let codec = Codec::of(&self.head)?;
        let told = self.metadata.get(Key::PlainSize).is_some();
        (told || self.wound.is_some() && codec.is_sure_of(&self.head)).then_some(codec)
    }

    /// The beginning of the body without its coat, as far as the first read came.
    pub fn beginning(&self) -> Box<dyn BufRead + '_> {
        match self.coat() {
            Some(codec) => compress::decoder(codec, Box::new(&*self.head)),
            None => Box::new(&*self.head),
        }
    }

    /// A digest of the body as it is stored, or of as much as can be read.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.head);
        if let Some(rest) = &self.rest {
            let _ = io::copy(&mut rest.clone(), &mut hasher);
        }
        *hasher.finalize().as_bytes()
    }

    /// The body without its coat.
    pub fn plain_body(self) -> Box<dyn BufRead + 'a> {
        match self.coat() {
            Some(codec) => compress::decoder(codec, self.raw_body()),
            None => self.raw_body(),
        }
    }
}

/// Bytes of a file from one place to another.
#[derive(Debug, Clone)]
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
