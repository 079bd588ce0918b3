//! Reads a storage file from end to end, without the map.
//!
//! ```text
//! header line | message | message | ##### | message | message
//!                                   '-- damage: the search goes on byte by byte to the next header that
//!                                       holds up: header, body and metadata end where they say
//! ```
//! What lies within a sound message is never looked at: a body may hold whatever it likes.

use std::io;

use bstr::{BString, ByteSlice};

use crate::disk::File;
use crate::format::dbox::{
    FileHeader, Key, MESSAGE_BEGIN, MESSAGE_HEADER, METADATA_MAGIC, Metadata, guid_128,
    read_message_header,
};

/// Bytes that are searched at once.
const PIECE: usize = 256 * 1024;
/// Metadata is far smaller; more than this is damage.
const MOST_METADATA: usize = 64 * 1024;
/// The header line is not longer.
const MOST_LINE: usize = 512;
/// Nor is a message header.
const MOST_HEADER: usize = 512;

/// What a storage file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A message that holds up.
    Message(Message),
    /// Bytes that are no message, from here to there; with a damaged header line in front, that too.
    Gap(u64, u64),
}

/// A message that holds up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where its header begins.
    pub at: u64,
    /// Bytes of the whole record.
    pub len: u64,
    /// Its GUID in short; `None` where it has none.
    pub guid: Option<[u8; 16]>,
    /// The storage name of the mailbox that it was first saved to.
    pub first_mailbox: Option<BString>,
}

/// The header line of a file.
#[derive(Debug)]
pub struct HeaderLine {
    /// Bytes of it; 0 where it cannot be read.
    pub len: u64,
    /// Bytes of each message header in the file.
    pub message_header: usize,
    /// Why no server reads the file with it.
    pub damage: Option<String>,
}

/// Reads the header line. That message headers are longer than usual is a claim, and wrong where the first one
/// is not. A file that was made and not written to has no line yet.
pub fn header_line(file: &File) -> io::Result<HeaderLine> {
    let mut bytes = vec![0; MOST_LINE + MOST_HEADER];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    let mut line = HeaderLine {
        len: 0,
        message_header: MESSAGE_HEADER,
        damage: None,
    };
    match FileHeader::read(&bytes[..read.min(MOST_LINE)]) {
        Ok(told) => {
            line.len = told.len as u64;
            if claim_is_wrong(&bytes[told.len..], told.message_header) {
                let claim = told.message_header;
                line.damage = Some(format!(
                    "byte 0: dbox file header: message headers of {claim} bytes (M), they have {MESSAGE_HEADER}"
                ));
            } else {
                line.message_header = told.message_header;
            }
        }
        Err(error) => line.damage = (read > 0).then(|| error.to_string()),
    }
    Ok(line)
}

/// True where the first message has a usual header, or one of the told size would be none.
fn claim_is_wrong(messages: &[u8], told: usize) -> bool {
    let is_header = |len: usize| {
        let header = messages.get(..len);
        header.is_some_and(|header| read_message_header(header).is_ok())
    };
    !messages.is_empty()
        && told != MESSAGE_HEADER
        && (is_header(MESSAGE_HEADER) || !is_header(told))
}

/// Reads the file of `len` bytes from end to end.
pub fn scan(file: &File, len: u64, each: &mut dyn FnMut(Found)) -> io::Result<()> {
    let line = header_line(file)?;
    let (header, mut at) = (line.message_header, line.len);
    let mut lost = line.damage.map(|_| 0);
    let mut search = Search::of(file);
    while at < len {
        if let Some(message) = message_at(file, at, header, len)? {
            if let Some(from) = lost.take().filter(|from| *from < at) {
                each(Found::Gap(from, at));
            }
            at += message.len;
            each(Found::Message(message));
        } else {
            lost.get_or_insert(at);
            at = search.next_begin(at + 1, len)?;
        }
    }
    if let Some(from) = lost.filter(|from| *from < len) {
        each(Found::Gap(from, len));
    }
    Ok(())
}

/// The message at `at`, if it holds up.
fn message_at(file: &File, at: u64, header: usize, len: u64) -> io::Result<Option<Message>> {
    let mut bytes = vec![0; header];
    if file.read_at(at, &mut bytes)? < header {
        return Ok(None);
    }
    let Ok(size) = read_message_header(&bytes) else {
        return Ok(None);
    };
    let block_at = at.saturating_add(header as u64).saturating_add(size);
    if block_at >= len {
        return Ok(None);
    }
    let Some((metadata, block)) = metadata_at(file, block_at)? else {
        return Ok(None);
    };
    Ok(Some(Message {
        at,
        len: block_at - at + block as u64,
        guid: metadata.get(Key::Guid).map(guid_128),
        first_mailbox: metadata.get(Key::FirstMailbox).map(BString::from),
    }))
}

fn metadata_at(file: &File, at: u64) -> io::Result<Option<(Metadata, usize)>> {
    // Most blocks are short.
    for most in [512, MOST_METADATA] {
        let mut block = vec![0; most];
        let read = file.read_at(at, &mut block)?;
        if let Ok(measured) = Metadata::measure(&block[..read]) {
            return Ok(Some(measured));
        }
        // Where no metadata begins, more bytes make none of it.
        if read < most || !block.starts_with(METADATA_MAGIC) {
            break;
        }
    }
    Ok(None)
}

/// Looks for headers. A hostile file can have any number of beginnings of none, so each byte is read once,
/// but for what a header that may hold up leads to.
struct Search<'f> {
    file: &'f File,
    /// What was read last, and from where.
    piece: Vec<u8>,
    from: u64,
}

impl<'f> Search<'f> {
    fn of(file: &'f File) -> Self {
        Self {
            file,
            piece: Vec::new(),
            from: 0,
        }
    }

    /// Where the next header may begin, from `at` on; `len` where none does.
    fn next_begin(&mut self, mut at: u64, len: u64) -> io::Result<u64> {
        while at < len {
            let begin = at.checked_sub(self.from).map(usize::try_from);
            let rest = match begin {
                Some(Ok(begin)) => self.piece.get(begin..).unwrap_or_default(),
                _ => &[],
            };
            if let Some(found) = rest.find(MESSAGE_BEGIN) {
                return Ok(at + found as u64);
            }
            // A header may lie across the end of the piece.
            at += (rest.len() + 1).saturating_sub(MESSAGE_BEGIN.len()) as u64;
            self.from = at;
            self.piece.resize(PIECE, 0);
            let read = self.file.read_at(at, &mut self.piece)?;
            self.piece.truncate(read);
            if read < MESSAGE_BEGIN.len() {
                break;
            }
        }
        Ok(len)
    }
}
