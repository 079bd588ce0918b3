//! Reads a tally line by line, and trusts none of them: what is out of place is refused with its line.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::head::Head;
use super::lines::{AccountLine, MailboxLine, MessageIn, SumLine};
use super::prints::{AccountPrint, MailboxPrint, MessagePrint};
use super::sums;
use crate::bytes::Decode;
use crate::digest::Digest;
use crate::disk::{Dir, File};
use crate::error::{Error, Result};
use crate::model::MailboxName;

/// A line that is longer is none of ours.
const LONGEST_LINE: u64 = 16 << 20;
/// Files written with a larger window would take more memory than a tally may.
const WINDOW_LOG: u32 = 23;

/// A record of a tally.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An account begins.
    Account(String, AccountPrint),
    /// A mailbox of that account begins.
    Mailbox(MailboxPrint),
    /// The next message of that mailbox.
    Message(MessagePrint),
    /// What a mailbox or account adds up to.
    Sum(SumLine),
    /// What all add up to; nothing follows.
    End(SumLine),
}

/// A tally that is being read.
pub struct Reader {
    /// The first line.
    pub head: Head,
    lines: Box<dyn BufRead + Send>,
    path: PathBuf,
    buffer: Vec<u8>,
    number: u64,
    /// Where the line begins, without compression.
    at: u64,
    user: Option<String>,
    /// The mailbox, and as its lines call it.
    mailbox: Option<(MailboxName, String)>,
    uid: u32,
    read: sums::Read,
    ended: bool,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({}, line {})", self.path.display(), self.number)
    }
}

impl Reader {
    /// Opens the file `name`.
    pub fn open(dir: &Dir, name: &[u8]) -> Result<Self> {
        let file: File = dir.file(name)?;
        Self::new(file, dir.path_of(name))
    }

    /// Reads a stream; `path` is for messages.
    pub fn new(stream: impl Read + Send + 'static, path: PathBuf) -> Result<Self> {
        let foreign = |why: String| refusal(&path, 0, format!("line 1: {why}"));
        let zstd = zstd::Decoder::new(stream).and_then(|mut zstd| {
            zstd.window_log_max(WINDOW_LOG)?;
            Ok(zstd)
        });
        let zstd = zstd.map_err(|error| foreign(error.to_string()))?;
        let mut lines: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(1 << 18, zstd));
        let mut buffer = Vec::new();
        next_line(&mut lines, &mut buffer).map_err(|error| foreign(error.to_string()))?;
        let head: Head = serde_json::from_slice(&buffer)
            .map_err(|_| foreign("the first line is not that of a tally".into()))?;
        if let Some(why) = head.problem() {
            return Err(foreign(why));
        }
        let state = head.is_state().then(|| head.digest.clone());
        Ok(Self {
            head,
            lines,
            path,
            buffer,
            number: 1,
            at: 0,
            user: None,
            mailbox: None,
            uid: 0,
            read: sums::Read::new(state),
            ended: false,
        })
    }

    /// The next record; `None` behind the last.
    pub fn next_record(&mut self) -> Result<Option<Record>> {
        self.number += 1;
        self.at += self.buffer.len() as u64 + 1;
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = next_line(&mut self.lines, &mut buffer);
        let record = match read {
            Err(error) => Err(self.refuse(error.to_string())),
            Ok(false) => self.end(),
            Ok(true) if self.ended => Err(self.refuse("a line behind the last")),
            Ok(true) => self.record(&buffer).map(Some),
        };
        self.buffer = buffer;
        record
    }

    /// Where the file stands, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The digest of the mailbox of which the last message was read.
    pub fn last_digest(&self) -> Option<Digest> {
        self.read.last_digest()
    }

    fn end(&mut self) -> Result<Option<Record>> {
        if self.head.is_state() {
            let adds_up = self.read.end_of_state();
            return self.accept(adds_up).map(|()| None);
        }
        if self.ended {
            return Ok(None);
        }
        Err(self.refuse("the file ends before its last line"))
    }

    fn accept(&self, adds_up: Result<(), String>) -> Result<()> {
        adds_up.map_err(|why| self.refuse(why))
    }

    fn record(&mut self, line: &[u8]) -> Result<Record> {
        match kind(line) {
            b"message" => self.message(line),
            b"mailbox" => self.mailbox_line(line),
            b"account" => self.account(line),
            b"sum" => {
                let sum = self.parse(line)?;
                let adds_up = self.read.sum(&sum);
                self.accept(adds_up).map(|()| Record::Sum(sum))
            }
            b"end" => {
                let sum = self.parse(line)?;
                self.accept(self.read.end(&sum))?;
                self.ended = true;
                Ok(Record::End(sum))
            }
            _ => Err(self.refuse("no record of a tally")),
        }
    }

    fn account(&mut self, line: &[u8]) -> Result<Record> {
        let AccountLine { user, print } = self.parse(line)?;
        if self.user.as_ref().is_some_and(|before| *before >= user) {
            return Err(self.refuse("accounts are not in order"));
        }
        let adds_up = self.read.account(&user);
        self.accept(adds_up)?;
        self.user = Some(user.clone());
        self.mailbox = None;
        Ok(Record::Account(user, print))
    }

    fn mailbox_line(&mut self, line: &[u8]) -> Result<Record> {
        let line: MailboxLine = self.parse(line)?;
        if self.user.as_ref() != Some(&line.user) {
            return Err(self.refuse("a mailbox of another account"));
        }
        let (called, claimed) = (line.mailbox.clone(), line.claimed());
        let print = line.print();
        if let Some((before, _)) = &self.mailbox
            && *before >= print.name
        {
            return Err(self.refuse("mailboxes are not in order"));
        }
        let adds_up = self.read.mailbox(&called, &print, claimed);
        self.accept(adds_up)?;
        self.mailbox = Some((print.name.clone(), called));
        self.uid = 0;
        Ok(Record::Mailbox(print))
    }

    fn message(&mut self, line: &[u8]) -> Result<Record> {
        let line: MessageIn<'_> = self.parse(line)?;
        let here = match (&self.user, &self.mailbox) {
            (Some(user), Some((_, mailbox))) => line.user == **user && line.mailbox == **mailbox,
            _ => false,
        };
        if !here {
            return Err(self.refuse("a message of another mailbox"));
        }
        let print = line.print();
        let print = print.map_err(|field| self.refuse(format!("{field} cannot be read")))?;
        if print.uid.get() <= self.uid {
            return Err(self.refuse("messages are not in UID order"));
        }
        self.uid = print.uid.get();
        let adds_up = self.read.message(&print);
        self.accept(adds_up)?;
        Ok(Record::Message(print))
    }

    fn parse<'l, T: serde::Deserialize<'l>>(&self, line: &'l [u8]) -> Result<T> {
        serde_json::from_slice(line).map_err(|error| self.refuse(error.to_string()))
    }

    /// The file is not what it should be, and where.
    pub fn refuse<'w>(&self, why: impl Into<Cow<'w, str>>) -> Error {
        let why = format!("line {}: {}", self.number, why.into());
        refusal(&self.path, self.at, why)
    }
}

fn refusal(path: &Path, at: u64, why: String) -> Error {
    Error::Format {
        format: "tally",
        path: path.to_owned(),
        source: Decode {
            at,
            field: "tally",
            why,
        },
    }
}

/// What the first key says: it is always the type.
fn kind(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(br#"{"type":""#) else {
        return b"";
    };
    rest.split(|byte| *byte == b'"').next().unwrap_or_default()
}

/// Reads a line without its end; false where there is none.
pub(super) fn next_line(lines: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    let read = lines.take(LONGEST_LINE).read_until(b'\n', buffer)?;
    if read == 0 {
        return Ok(false);
    }
    if buffer.pop() != Some(b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the line has no end",
        ));
    }
    Ok(true)
}
