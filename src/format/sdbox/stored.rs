//! A `u.<uid>` file, taken apart.

use std::io::{self, BufRead, BufReader, Read};

use crate::disk::File;
use crate::format::compress::{self, Codec};
use crate::format::dbox::{FileHeader, Key, Metadata, read_message_header};
use crate::report::Rule;
use crate::report::catalogue::{DBOX_HEADER, DBOX_METADATA, DBOX_TRUNCATED};

/// A message up to this size takes one read.
const SMALL: usize = 128 * 1024;
/// Metadata is far smaller; more than this is damage.
const MOST_METADATA: u64 = 64 * 1024;

/// Why a message file cannot be read.
pub(super) enum Refused {
    Io(io::Error),
    Damaged(&'static Rule, String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A `u.<uid>` file, taken apart.
pub(super) struct StoredMessage<'a> {
    pub(super) metadata: Metadata,
    /// Bytes of the body as stored.
    pub(super) size: u64,
    /// The beginning of the body, as far as the first read came.
    pub(super) head: &'a [u8],
    /// What follows `head`; `None` where the body is all there.
    rest: Option<io::Take<File<'a>>>,
    pub(super) changed: i64,
}

impl<'a> StoredMessage<'a> {
    pub(super) fn read(mut file: File<'a>, scratch: &'a mut Vec<u8>) -> Result<Self, Refused> {
        let damaged = |rule, why: String| Refused::Damaged(rule, why);
        let stat = file
            .stat()
            .map_err(|error| io::Error::other(error.chain()))?;
        let room = usize::try_from(stat.size).map_or(SMALL, |size| size.min(SMALL));
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let read = file.fill(&mut scratch[..room])?;
        let bytes = &scratch[..read];
        let refuse = |error: crate::bytes::Decode| damaged(&DBOX_HEADER, error.to_string());
        let header = FileHeader::read(bytes).map_err(refuse)?;
        let body_at = header.len + header.message_header;
        let message = bytes
            .get(header.len..body_at)
            .ok_or_else(|| damaged(&DBOX_TRUNCATED, "ends in the message header".into()))?;
        let size = read_message_header(message).map_err(refuse)?;
        let end = (body_at as u64).saturating_add(size);
        if end > stat.size {
            let why = format!(
                "the body needs {size} bytes, the file ends {} short",
                end - stat.size
            );
            return Err(damaged(&DBOX_TRUNCATED, why));
        }
        let kept;
        let block = match usize::try_from(end)
            .ok()
            .filter(|_| (read as u64) == stat.size)
        {
            Some(end) => bytes.get(end..).unwrap_or(&[]),
            None => {
                kept = tail(&file, end, stat.size)?;
                &kept
            }
        };
        let metadata =
            Metadata::read(block).map_err(|error| damaged(&DBOX_METADATA, error.to_string()))?;
        let in_head = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .min(read - body_at);
        let missing = size - in_head as u64;
        Ok(Self {
            metadata,
            size,
            head: &bytes[body_at..body_at + in_head],
            rest: (missing > 0).then(|| file.take(missing)),
            changed: stat.ctime,
        })
    }

    fn raw_body(self) -> Box<dyn BufRead + 'a> {
        match self.rest {
            None => Box::new(self.head),
            Some(rest) => Box::new(self.head.chain(BufReader::with_capacity(SMALL, rest))),
        }
    }

    /// The body without its coat.
    pub(super) fn plain_body(self) -> Box<dyn BufRead + 'a> {
        // Only a body whose plain size is told apart from its stored size has a coat.
        let coat = self.metadata.get(Key::PlainSize).and(Codec::of(self.head));
        match coat {
            Some(codec) => compress::decoder(codec, self.raw_body()),
            None => self.raw_body(),
        }
    }
}

/// The metadata of a message whose body is larger than the first read.
fn tail(file: &File<'_>, from: u64, len: u64) -> io::Result<Vec<u8>> {
    let most = (len - from).min(MOST_METADATA);
    let mut block = vec![0; usize::try_from(most).unwrap_or(0)];
    let read = file.read_at(from, &mut block)?;
    block.truncate(read);
    Ok(block)
}
