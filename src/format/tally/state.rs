//! The tally file that a conversion leaves at its destination.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::head::Head;
use super::lines::MessageIn;
use super::prints::MessagePrint;
use super::reader::next_line;
use super::writer::Writer;
use crate::digest::merkle;
use crate::disk::{Dir, File, NewFile};
use crate::error::Result;
use crate::format::writing::Writing;
use crate::model::{Mailbox, MailboxGuid};
use crate::report::{MailboxLine, escape};

/// Its name in the root of the destination account.
pub const STATE: &str = "mailtally.state";

/// A state that is being written.
pub type StateWriter = Writer<NewFile>;

impl StateWriter {
    /// Begins the file in the account's root.
    pub fn create(dir: &Dir, writing: &Writing) -> Result<Self> {
        let file = writing.create(dir, STATE)?;
        Self::new(file, dir.path_of(STATE.as_bytes()))
    }
}

/// A mailbox as a state has it: its line, and what only repair asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct StateMailbox {
    /// What it adds up to.
    #[serde(flatten)]
    pub line: MailboxLine,
    /// Its identity over renames; a state of before does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox_guid: Option<String>,
    /// Keywords that are not in lower case, by what the lines of messages call them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keyword_names: BTreeMap<String, String>,
}

impl StateMailbox {
    /// Of this mailbox, which adds up to `line`.
    pub fn of(line: &MailboxLine, mailbox: &Mailbox) -> Self {
        let names = mailbox.keywords.iter();
        let names = names.map(|name| (merkle::keyword(name), escape(name)));
        Self {
            line: line.clone(),
            mailbox_guid: Some(mailbox.guid.to_string()),
            keyword_names: names.filter(|(lower, name)| lower != name).collect(),
        }
    }

    /// Its identity over renames, where that is told.
    pub fn guid(&self) -> Option<MailboxGuid> {
        MailboxGuid::from_hex(self.mailbox_guid.as_deref()?.as_bytes())
    }
}

/// The same as [`read_state`], with all that is told of the mailboxes.
pub fn read_state_mailboxes(dir: &Dir) -> Result<Option<(Head, Vec<StateMailbox>)>> {
    if dir.stat_if_there(STATE)?.is_none() {
        return Ok(None);
    }
    Ok(read(dir.file(STATE)?).ok())
}

/// The head and the mailboxes of the state in `dir`; `None` where there is none that can be read.
pub fn read_state(dir: &Dir) -> Result<Option<(Head, Vec<MailboxLine>)>> {
    if dir.stat_if_there(STATE)?.is_none() {
        return Ok(None);
    }
    let file = dir.file(STATE)?;
    Ok(read(file).ok())
}

/// The messages of the state in `dir`, each with its mailbox, as far as they can be read.
pub fn read_state_messages(dir: &Dir, each: &mut dyn FnMut(&str, MessagePrint)) -> Result<()> {
    if dir.stat_if_there(STATE)?.is_none() {
        return Ok(());
    }
    if let Err(error) = messages(dir.file(STATE)?, each) {
        tracing::warn!("{STATE}: {error}");
    }
    Ok(())
}

/// The mailboxes of the state in `dir`, none where it is not there; or why it cannot be read to its end.
pub fn whole_mailboxes(dir: &Dir) -> Result<Vec<MailboxLine>, String> {
    let Some(file) = open(dir)? else {
        return Ok(Vec::new());
    };
    let read = read(file).map_err(|error| error.to_string());
    read.map(|(_, mailboxes)| mailboxes)
}

/// The same for its messages.
pub fn whole_messages(dir: &Dir, each: &mut dyn FnMut(&str, MessagePrint)) -> Result<(), String> {
    match open(dir)? {
        Some(file) => messages(file, each).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

fn open(dir: &Dir) -> Result<Option<File>, String> {
    let stat = dir.stat_if_there(STATE);
    let file = stat.and_then(|stat| stat.map(|_| dir.file(STATE)).transpose());
    file.map_err(|error| error.chain())
}

fn messages(file: impl Read, each: &mut dyn FnMut(&str, MessagePrint)) -> io::Result<()> {
    let read = lines(file, &mut |line| {
        if line.starts_with(br#"{"type":"message""#) {
            let line: MessageIn<'_> = serde_json::from_slice(line)?;
            let mailbox = line.mailbox.clone().into_owned();
            let print = line.print().map_err(io::Error::other)?;
            each(&mailbox, print);
        }
        Ok(())
    });
    read.map(drop)
}

fn read<M: DeserializeOwned>(file: impl Read) -> io::Result<(Head, Vec<M>)> {
    let mut mailboxes = Vec::new();
    let head = lines(file, &mut |line| {
        if line.starts_with(br#"{"type":"mailbox""#) {
            mailboxes.push(serde_json::from_slice(line)?);
        }
        Ok(())
    })?;
    Ok((head, mailboxes))
}

/// Reads the head, and hands on each line behind it.
fn lines(file: impl Read, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Head> {
    let mut lines: Box<dyn BufRead + '_> = Box::new(BufReader::new(zstd::Decoder::new(file)?));
    let mut line = Vec::new();
    if !next_line(&mut lines, &mut line)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let head: Head = serde_json::from_slice(&line)?;
    if head.problem().is_some() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    while next_line(&mut lines, &mut line)? {
        each(&line)?;
    }
    Ok(head)
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
            assert!(read::<MailboxLine>(bytes).is_err());
        }
    }
}
