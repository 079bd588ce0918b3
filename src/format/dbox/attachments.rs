//! Attachments that lie outside the store (`mail_attachment_dir`), joined to their messages again.
//!
//! ```text
//! X273 270176 B76 57/79/57796f..-08eb1d..  270555 214889 - 32/46/3246c8..-09eb1d..
//!  |   |      |   '-- below the attachment directory; sdbox adds "-<mailbox GUID>-<uid>"
//!  |   |      '-- B76: base64 again, 76 characters a line; C: with CRLF; -: as it is
//!  |   '-- so many bytes in the message
//!  '-- from this byte of the whole message on
//!
//! body without its coat:  [ 0 .. 273 ]             [ 379 bytes ]             [ rest ]
//! whole message:          [ 0 .. 273 ][ attachment ][ 379 bytes ][ attachment ][ rest ]
//! ```
//! Every attachment is looked at before the first byte is read, so that no message is carried half: its
//! file must be there and come to the length that is told.
//!
//! Source: Dovecot 2.3, `src/lib-storage/index/index-attachment.c`, `dbox-common/dbox-attachment.c`,
//! `src/lib-mail/istream-attachment-connector.c`.

mod encode;
mod joined;

use std::io::BufRead;

use bstr::{BString, ByteSlice};

use encode::{Encoder, Lines};
use joined::Joined;

use crate::disk::{Dir, File, Kind};
use crate::error::Result;

/// The attachments of one message, each of them looked at.
#[derive(Debug)]
pub struct Attachments<'a> {
    dir: &'a Dir,
    /// What the format adds to the name of a file.
    suffix: String,
    parts: Vec<Part>,
}

/// One attachment, as the metadata tells it.
#[derive(Debug)]
struct Part {
    /// Where it begins in the whole message.
    start: u64,
    /// Its bytes there.
    len: u64,
    /// How it is written there, if not as it lies in its file.
    lines: Option<Lines>,
    /// Directories and name.
    path: Vec<BString>,
}

impl<'a> Attachments<'a> {
    /// Those that the value of an `X` key tells of; the error says what is wrong, and where.
    pub fn find(value: &[u8], dir: &'a Dir, suffix: String) -> Result<Self, String> {
        let parts = parts(value)
            .ok_or_else(|| format!("`X{}` tells of no attachments that can be", value.as_bstr()))?;
        let this = Self { dir, suffix, parts };
        for part in &this.parts {
            this.look_at(part)
                .map_err(|why| format!("{}: {why}", part.name()))?;
        }
        Ok(this)
    }

    /// The whole message; `body` is what the store has of it, without a coat.
    pub fn join(self, body: Box<dyn BufRead + 'a>) -> Box<dyn BufRead + 'a> {
        Box::new(Joined::new(self, body))
    }

    fn look_at(&self, part: &Part) -> Result<(), String> {
        let file = self.file(part).map_err(|error| error.chain())?;
        let stat = file.stat().map_err(|error| error.chain())?;
        let len = match part.lines {
            Some(lines) => lines.encoded(stat.size),
            None => Some(stat.size),
        };
        if stat.kind != Kind::File {
            return Err("not a regular file".into());
        }
        if len != Some(part.len) {
            let told = part.len;
            let size = stat.size;
            return Err(format!(
                "its {size} bytes do not come to the {told} that are told"
            ));
        }
        Ok(())
    }

    /// Opens the file of an attachment, beneath the directory and through no link. A copied store has other
    /// mailboxes, so without the exact name another owner's name for the same attachment will do.
    fn file(&self, part: &Part) -> Result<File> {
        let (name, dirs) = part.path.split_last().expect("BUG: a path has a name");
        let dir = self.dir.descend(dirs)?;
        let whole = [name.as_slice(), self.suffix.as_bytes()].concat();
        match dir.file(&whole) {
            Err(error) if error.is_not_found() && !self.suffix.is_empty() => {
                let other = another(&dir, name)?.ok_or(error)?;
                dir.file(other)
            }
            opened => opened,
        }
    }

    /// The bytes of an attachment as they stand in the message.
    fn open(&self, part: &Part) -> Result<Encoder> {
        Ok(Encoder::new(self.file(part)?, part.lines))
    }
}

impl Part {
    fn name(&self) -> BString {
        bstr::join("/", &self.path).into()
    }
}

/// The first name, in order, that begins as this one and has another suffix.
fn another(dir: &Dir, name: &[u8]) -> Result<Option<BString>> {
    let mut others = Vec::new();
    dir.each_entry(|entry, kind| {
        let suffix = entry.strip_prefix(name);
        if kind == Kind::File && suffix.is_some_and(|suffix| suffix.starts_with(b"-")) {
            others.push(BString::from(entry));
        }
    })?;
    Ok(others.into_iter().min())
}

/// Groups of four words, in the order of their places; `None` where that is not what stands there.
fn parts(value: &[u8]) -> Option<Vec<Part>> {
    let words: Vec<_> = value.split_str(" ").collect();
    let mut end = 0;
    let parts = words.chunks(4).map(|group| {
        let &[start, len, options, path] = group else {
            return None;
        };
        let (start, len) = (number(start)?, number(len)?);
        if start < end {
            return None;
        }
        end = start.checked_add(len)?;
        Some(Part {
            start,
            len,
            lines: lines(options).ok()?,
            path: path.split_str("/").map(BString::from).collect(),
        })
    });
    parts.collect()
}

fn number(word: &[u8]) -> Option<u64> {
    let digits = word.to_str().ok()?;
    let sound = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| sound)
}

/// Options that no known server writes.
struct NotKnown;

/// `-`, or letters with their numbers.
fn lines(options: &[u8]) -> Result<Option<Lines>, NotKnown> {
    let mut rest = options;
    let (mut chars, mut crlf) = (None, false);
    while let Some((letter, after)) = rest.split_first() {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit());
        let (value, next) = after.split_at(digits.count());
        match (letter, value) {
            (b'B', value) => chars = Some(number(value).ok_or(NotKnown)?),
            (b'C', b"") => crlf = true,
            (b'-', b"") if options == b"-" => {}
            _ => return Err(NotKnown),
        }
        rest = next;
    }
    match chars {
        None => Ok(None),
        Some(chars) => Lines::new(chars, crlf).map(Some).ok_or(NotKnown),
    }
}

#[cfg(test)]
mod tests;
