//! Writes an sdbox account into a directory that nobody else knows yet.

use std::cell::RefCell;

use bstr::BString;
use zerocopy::IntoBytes;

use super::layout::{
    ALWAYS_FRESH, CACHE, DATE_SAVE, DboxHeader, HAVE_POP3_ORDERS, HAVE_POP3_UIDLS, INDEX, LOG,
    MAILBOXES, MAILS, file_name,
};
use crate::digest::{Facts, Measured};
use crate::disk::{Dir, NewFile};
use crate::error::Result;
use crate::format::dbox::{self, Key, MESSAGE_HEADER, Metadata};
use crate::format::dovecot_index::{
    CacheWriter, ExtId, FixedField, Head, IndexWriter, keywords_header,
};
use crate::format::side_files;
use crate::format::writing::Writing;
use crate::model::{Account, Mailbox, MailboxName, Message, mutf7};
use crate::store::{CreateOptions, Destination, MailboxWriter, StoreError, Stored};

/// What is written at once; a message that is smaller takes one write.
const PIECE: usize = 256 * 1024;
/// The file systems that hold mail take no longer name.
const LONGEST_LEVEL: usize = 255;

/// Begins an account in `root`, which is empty.
pub fn create(root: Dir, options: &CreateOptions) -> Result<Box<dyn Destination>> {
    let account = SdboxAccount {
        root,
        writing: Writing::new(options),
    };
    account.writing.make(&account.root, MAILBOXES)?;
    Ok(Box::new(account))
}

/// Why sdbox cannot hold a name.
pub fn name_problem(name: &MailboxName) -> Option<String> {
    let problem = |level: &String| {
        if level.is_empty() {
            Some("it has an empty level".into())
        } else if level == "." || level == ".." || level.starts_with('~') {
            Some(format!("the level {level} stands for another place"))
        } else if level == MAILS {
            Some(format!(
                "{MAILS} is the folder that holds a mailbox's messages"
            ))
        } else if level.contains('/') {
            Some("it has the separator in a level".into())
        } else if level.chars().any(char::is_control) {
            Some("it has control characters".into())
        } else if mutf7::encode(level).len() > LONGEST_LEVEL {
            Some(format!(
                "a level is longer than {LONGEST_LEVEL} bytes on disk"
            ))
        } else {
            None
        }
    };
    if name.levels().is_empty() {
        return Some("it is empty".into());
    }
    name.levels().iter().find_map(problem)
}

struct SdboxAccount {
    root: Dir,
    writing: Writing,
}

impl Destination for SdboxAccount {
    fn mailbox<'a>(&'a self, mailbox: &Mailbox) -> Result<Box<dyn MailboxWriter + 'a>> {
        let mut dir = self.root.dir(MAILBOXES)?;
        for level in mailbox.name.levels() {
            dir = self.writing.make_or_open(&dir, mutf7::encode(level))?;
        }
        if !mailbox.selectable {
            return Ok(Box::new(OnlyAbove));
        }
        let dir = self.writing.make(&dir, MAILS)?;
        if let Some(acl) = &mailbox.acl {
            self.writing.write(&dir, side_files::ACL, acl)?;
        }
        Ok(Box::new(SdboxMailbox::new(self, dir, mailbox)))
    }

    fn finish(&self, account: &Account) -> Result<()> {
        let (writing, root) = (&self.writing, &self.root);
        let subscriptions = side_files::write_subscriptions(&account.subscriptions);
        writing.write(root, "subscriptions", &subscriptions)?;
        side_files::write_uidvalidity(root, account.last_uidvalidity, writing)?;
        side_files::write_sieve(root, &account.sieve, writing)
    }
}

/// A name that holds no messages: its directory is all there is.
struct OnlyAbove;

impl MailboxWriter for OnlyAbove {
    fn store(&self, _: &Message, _: Measured<'_>) -> Result<Stored, StoreError> {
        Err(StoreError::Destination(crate::Error::Bug(
            "a name without a mailbox was given a message".into(),
        )))
    }
    fn commit(&mut self, _: &Message, _: &Facts) -> Result<()> {
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct SdboxMailbox<'a> {
    account: &'a SdboxAccount,
    dir: Dir,
    guid: [u8; 16],
    index: IndexWriter,
    cache: CacheWriter,
    dbox_header: ExtId,
    last_uidl: ExtId,
    keywords: Option<(ExtId, usize)>,
    cached: ExtId,
    flags: u8,
    last_pop3_uid: u32,
}

impl<'a> SdboxMailbox<'a> {
    fn new(account: &'a SdboxAccount, dir: Dir, mailbox: &Mailbox) -> Self {
        let now = account.writing.now();
        let mut index = IndexWriter::new(Head {
            now,
            indexid: now,
            uid_validity: mailbox.uidvalidity.get(),
            next_uid: mailbox.uidnext,
            first_recent_uid: mailbox.first_recent.min(mailbox.uidnext).max(1),
            log_file_seq: 2,
            initial_modseq: mailbox.highest_modseq.max(1),
        });
        let dbox_header = index.extension("dbox-hdr", 0, vec![0; size_of::<DboxHeader>()], 0, 0);
        let last_uidl = index.extension("hdr-pop3-uidl", 0, vec![0; 4], 0, 0);
        let keywords = (!mailbox.keywords.is_empty()).then(|| {
            let bytes = mailbox.keywords.len().div_ceil(8);
            let width = u16::try_from(bytes).expect("BUG: keywords are at most MOST_KEYWORDS");
            let header = keywords_header(&mailbox.keywords);
            (index.extension("keywords", 0, header, width, 1), bytes)
        });
        let cached = index.extension("cache", now, Vec::new(), 4, 4);
        let saved = FixedField {
            name: DATE_SAVE,
            last_used: ALWAYS_FRESH,
        };
        Self {
            account,
            dir,
            guid: mailbox.guid.bytes(),
            index,
            cache: CacheWriter::new(now, now, &[saved]),
            dbox_header,
            last_uidl,
            keywords,
            cached,
            flags: 0,
            last_pop3_uid: 0,
        }
    }

    fn header(&self) -> DboxHeader {
        DboxHeader {
            rebuild_count: 0.into(),
            mailbox_guid: self.guid,
            flags: self.flags,
            unused: [0; 3],
        }
    }
}

impl MailboxWriter for SdboxMailbox<'_> {
    fn store(&self, message: &Message, body: Measured<'_>) -> Result<Stored, StoreError> {
        let name = file_name(message.uid.get());
        let file = self.account.writing.create(&self.dir, &name)?;
        let stored = BUFFER.with_borrow_mut(|buffer| {
            MessageFile::begin(file, self.account.writing.now(), buffer).store(message, body)
        });
        if let Err(StoreError::Source { .. }) = stored {
            self.dir.remove_file(&name)?;
        }
        stored
    }

    fn commit(&mut self, message: &Message, _: &Facts) -> Result<()> {
        let uid = message.uid.get();
        let nth = self.index.push(uid, message.flags.bits());
        if let Some((ext, bytes)) = self.keywords
            && !message.keywords.is_empty()
        {
            let mut bits = vec![0; bytes];
            for keyword in &message.keywords {
                if let Some(byte) = bits.get_mut(*keyword as usize / 8) {
                    *byte |= 1 << (keyword % 8);
                }
            }
            self.index.set(nth, ext, &bits);
        }
        if let Some(saved) = message.saved {
            let offset = self.cache.push(&[seconds(saved)]);
            self.index.set(nth, self.cached, &offset.to_le_bytes());
        }
        if message.pop3_uidl.is_some() {
            self.flags |= HAVE_POP3_UIDLS;
            self.last_pop3_uid = uid;
        }
        if message.pop3_order.is_some() {
            self.flags |= HAVE_POP3_ORDERS;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let header = self.header().as_bytes().to_vec();
        self.index.set_header(self.dbox_header, header);
        let last = self.last_pop3_uid.to_le_bytes().to_vec();
        self.index.set_header(self.last_uidl, last);
        let SdboxMailbox {
            account,
            dir,
            index,
            cache,
            ..
        } = *self;
        account.writing.write(&dir, CACHE, &cache.into_bytes())?;
        account.writing.write(&dir, LOG, &index.log_bytes())?;
        account.writing.write(&dir, INDEX, &index.index_bytes())
    }
}

/// A date as dbox holds it.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(PIECE + PIECE / 2));
}

/// One `u.<uid>` on its way to the disk.
struct MessageFile<'d, 'b> {
    file: NewFile<'d>,
    buffer: &'b mut Vec<u8>,
    /// Where the message header stands in the file.
    header_at: usize,
    flushed: bool,
}

impl<'d, 'b> MessageFile<'d, 'b> {
    fn begin(file: NewFile<'d>, now: u32, buffer: &'b mut Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend(dbox::file_header(now));
        let header_at = buffer.len();
        buffer.extend(dbox::message_header(0));
        Self {
            file,
            buffer,
            header_at,
            flushed: false,
        }
    }

    fn store(mut self, message: &Message, mut body: Measured<'_>) -> Result<Stored, StoreError> {
        let damage = loop {
            match body.piece(|bytes| self.buffer.extend_from_slice(bytes)) {
                Ok(true) if self.buffer.len() >= PIECE => self.flush()?,
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) if body.is_damage(&error) => break Some(error),
                Err(error) => {
                    let read = body.size();
                    return Err(StoreError::Source { error, read });
                }
            }
        };
        let facts = body.facts();
        self.finish(message, &facts)?;
        Ok(Stored { facts, damage })
    }

    fn flush(&mut self) -> Result<()> {
        self.file.append(self.buffer)?;
        self.buffer.clear();
        self.flushed = true;
        Ok(())
    }

    /// The size is known only now: it goes into the header, wherever that is.
    fn finish(mut self, message: &Message, facts: &Facts) -> Result<()> {
        let header = dbox::message_header(facts.size);
        if self.flushed {
            self.file.write_all_at(&header, self.header_at as u64)?;
        } else {
            self.buffer[self.header_at..][..MESSAGE_HEADER].copy_from_slice(&header);
        }
        metadata(message, facts).write(self.buffer);
        self.flush()
    }
}

/// The metadata in the order in which Dovecot writes it.
fn metadata(message: &Message, facts: &Facts) -> Metadata {
    let mut lines = Metadata::default();
    if let Some((plain, _)) = message.sealed {
        lines.push(Key::PlainSize, format!("{plain:x}"));
    }
    let received = seconds(message.received);
    lines.push(Key::Received, format!("{received:x}"));
    let virtual_size = match message.sealed {
        Some((_, sealed)) => sealed,
        None => Some(facts.virtual_size),
    };
    if let Some(size) = virtual_size {
        lines.push(Key::VirtualSize, format!("{size:x}"));
    }
    if let Some(uidl) = &message.pop3_uidl {
        lines.push(Key::Pop3Uidl, one_line(uidl));
    }
    if let Some(order) = message.pop3_order {
        lines.push(Key::Pop3Order, order.to_string());
    }
    lines.push(Key::Guid, one_line(&message.guid));
    lines
}

/// A metadata value ends at the line end: it cannot hold one.
fn one_line(value: &BString) -> BString {
    let kept = value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    kept.copied().collect::<Vec<_>>().into()
}
