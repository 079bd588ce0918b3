//! The tally file that a conversion leaves at its destination.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::disk::{Dir, NewFile};
use crate::error::{At, Result};
use crate::format::writing::Writing;
use crate::report::MailboxLine;

/// Its name in the root of the destination account.
pub const STATE: &str = "mailtally.state";
/// The version of tally files that is written and read.
const VERSION: u32 = 1;
/// A line that is longer is none of ours.
const LONGEST_LINE: u64 = 1 << 20;
/// Fast, and half of what hex digests take.
const LEVEL: i32 = 1;

/// The head line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Always `tally`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the file.
    pub version: u32,
    /// Which program wrote it.
    pub program: String,
    /// When, RFC 3339.
    pub created: String,
    /// The format of the destination.
    pub format: String,
    /// The form of the destination, in words.
    #[serde(default)]
    pub form: String,
    /// The account that it was made for.
    pub user: String,
    /// Where its source lay.
    pub source: String,
    /// UIDVALIDITY and GUID of the source's INBOX: the same account has the same ones wherever it lies.
    pub inbox: String,
    /// The digest of the account.
    pub digest: String,
    /// What the source looked like when it was read.
    pub source_stamp: String,
    /// What the destination looked like when it was complete.
    pub destination_stamp: String,
    /// Nothing was left that needs a person.
    pub clean: bool,
}

impl Head {
    /// A head of this program and version.
    pub fn new(created: String, format: &str, digest: String) -> Self {
        Self {
            kind: "tally".into(),
            version: VERSION,
            program: concat!("mailtally ", env!("CARGO_PKG_VERSION")).into(),
            created,
            format: format.into(),
            form: String::new(),
            user: String::new(),
            source: String::new(),
            inbox: String::new(),
            digest,
            source_stamp: String::new(),
            destination_stamp: String::new(),
            clean: false,
        }
    }
}

/// One message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "message")]
pub struct MessageLine<'a> {
    /// The account.
    pub user: &'a str,
    /// The mailbox, `/` between levels.
    pub mailbox: &'a str,
    /// Its number.
    pub uid: u32,
    /// System flags.
    pub flags: Vec<&'static str>,
    /// Keywords.
    pub keywords: Vec<String>,
    /// INTERNALDATE, RFC 3339.
    pub received: String,
    /// Its identity over copies.
    pub guid: String,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of the bytes as they are, hex.
    pub crc32: String,
    /// BLAKE3 of the content, CRLF read as LF, hex.
    pub content: String,
}

/// A line as it stands in the file. Compressed whole it takes far less time than piece by piece.
pub fn text(line: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).expect("BUG: a line is plain data");
    text.push(b'\n');
    text
}

/// Writes the file line by line; memory does not grow with the account.
pub struct StateWriter {
    out: zstd::Encoder<'static, io::BufWriter<NewFile>>,
    path: PathBuf,
}

impl StateWriter {
    /// Begins the file in the account's root.
    pub fn create(dir: &Dir, writing: &Writing) -> Result<Self> {
        let file = writing.create(dir, STATE)?;
        let buffered = io::BufWriter::with_capacity(256 * 1024, file);
        let path = dir.path_of(STATE.as_bytes());
        let out = zstd::Encoder::new(buffered, LEVEL).at("write", &path)?;
        Ok(Self { out, path })
    }

    /// One line.
    pub fn line(&mut self, line: &impl Serialize) -> Result<()> {
        self.text(&text(line))
    }

    /// One line that [`text`] has made.
    pub fn text(&mut self, line: &[u8]) -> Result<()> {
        let written = self.out.write_all(line);
        written.at("write", &self.path)
    }

    /// Completes the file.
    pub fn finish(self) -> Result<()> {
        let flushed = self.out.finish().and_then(|mut buffered| buffered.flush());
        flushed.at("write", &self.path)
    }
}

/// The head and the mailboxes of the state in `dir`; `None` where there is none that can be read.
pub fn read_state(dir: &Dir) -> Result<Option<(Head, Vec<MailboxLine>)>> {
    if dir.stat_if_there(STATE)?.is_none() {
        return Ok(None);
    }
    let file = dir.file(STATE)?;
    Ok(read(file).ok())
}

fn read(file: impl Read) -> io::Result<(Head, Vec<MailboxLine>)> {
    let mut lines = BufReader::new(zstd::Decoder::new(file)?);
    let head = next_line(&mut lines)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head: Head = serde_json::from_slice(&head)?;
    if head.kind != "tally" || head.version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut mailboxes = Vec::new();
    while let Some(line) = next_line(&mut lines)? {
        if line.starts_with(br#"{"type":"mailbox""#) {
            mailboxes.push(serde_json::from_slice(&line)?);
        }
    }
    Ok((head, mailboxes))
}

fn next_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = lines.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok((read > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CreateOptions;
    use std::sync::Arc;

    #[test]
    fn what_a_pass_leaves_the_next_one_reads() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path(), Arc::new(crate::disk::Real)).unwrap();
        assert_eq!(read_state(&dir).unwrap(), None);
        let head = Head::new("2026-01-01T00:00:00Z".into(), "sdbox", "d".into());
        let mailbox = MailboxLine {
            user: "u".into(),
            mailbox: "INBOX".into(),
            messages: 1,
            unseen: 0,
            bytes: 2,
            virtual_bytes: 3,
            uidvalidity: 4,
            uidnext: 5,
            digest: "e".into(),
        };
        let mut state = StateWriter::create(
            &dir,
            &Writing::new(&CreateOptions {
                now: 1,
                owner: None,
                mode: 0o700,
                form: crate::store::Form::default(),
            }),
        )
        .unwrap();
        state.line(&head).unwrap();
        state.line(&mailbox).unwrap();
        state.finish().unwrap();
        assert_eq!(read_state(&dir).unwrap(), Some((head, vec![mailbox])));
    }

    #[test]
    fn a_state_that_is_cut_or_foreign_is_none() {
        for bytes in [&b""[..], b"not zstd", b"\x28\xb5\x2f\xfd", &[0; 100]] {
            assert!(read(bytes).is_err());
        }
    }
}
