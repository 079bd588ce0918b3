//! Reads an sdbox account, as we or a live Dovecot left it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use bstr::{BString, ByteSlice};
use zerocopy::FromBytes;

use super::layout::{
    CACHE, DATE_SAVE, DboxHeader, INDEX, LOG, MAILBOXES, MAILS, file_name, uid_of,
};
use crate::digest::{Digest, Facts};
use crate::disk::{Dir, File, Kind};
use crate::error::Result;
use crate::format::compress::{self, Codec};
use crate::format::dbox::{FileHeader, Key, Metadata, read_message_header};
use crate::format::dovecot_index::{self, Cache, Index};
use crate::format::names::{self, Spelling};
use crate::format::{OpenOptions, side_files, stamp::Stamper};
use crate::model::{Account, Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::report::catalogue::{
    DBOX_DAMAGED, DBOX_ENCRYPTED, DBOX_EXTERNAL_ATTACHMENT, DBOX_GUID, DBOX_HEADER, DBOX_LOST,
    DBOX_METADATA, DBOX_ORPHAN, DBOX_SIZE, DBOX_STRAY, DBOX_TRUNCATED, DBOX_UNREADABLE,
    INDEX_MISSING, MAILBOX_UNREADABLE, SUBSCRIPTIONS_UNREADABLE,
};
use crate::report::{Finding, Rule, counted};
use crate::store::{Claims, Found, MailboxSource, Opened, Source};

/// A message up to this size takes one read.
const SMALL: usize = 64 * 1024;
/// Metadata is far smaller; more than this is damage.
const MOST_METADATA: u64 = 64 * 1024;
/// Deeper trees are not made by any server.
const DEEPEST: usize = 64;

/// Opens the account in `root`.
pub fn open(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Box<dyn Source>> {
    let tree = match &options.mailboxdir {
        Some(name) if name.is_empty() => root.again()?,
        Some(name) => root.dir(name.as_bytes())?,
        None => root.dir(MAILBOXES)?,
    };
    let mut folders = BTreeMap::new();
    walk(&tree, &mut Vec::new(), options, &mut folders, found);
    let (names, paths) = folders.into_iter().unzip();
    let account = account(&root, options, found);
    Ok(Box::new(Sdbox {
        root,
        tree,
        names,
        paths,
        account,
    }))
}

/// A digest of all that changes when a server works on the account.
pub fn stamp(root: &Dir) -> Result<Digest> {
    let mut stamper = Stamper::default();
    stamper.file(root, "subscriptions")?;
    stamp_tree(&root.dir(MAILBOXES)?, &mut stamper, 0)?;
    Ok(stamper.digest())
}

fn stamp_tree(dir: &Dir, stamper: &mut Stamper, depth: usize) -> Result<()> {
    stamper.dir(dir)?;
    for name in [INDEX, LOG, side_files::ACL] {
        stamper.file(dir, name)?;
    }
    for entry in stamper.folders(dir)? {
        if depth < DEEPEST {
            stamper.name(&entry);
            stamp_tree(&dir.dir(&entry)?, stamper, depth + 1)?;
        }
    }
    Ok(())
}

/// Finds every name below `dir`; a name without messages stands above others, or is an empty folder.
fn walk(
    dir: &Dir,
    at: &mut Vec<BString>,
    options: &OpenOptions,
    folders: &mut BTreeMap<MailboxName, Folder>,
    found: Found<'_>,
) {
    let entries = match dir.entries() {
        Ok(entries) => entries,
        Err(error) => {
            found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(bstr::join("/", &*at)));
            return;
        }
    };
    for entry in entries {
        if entry.kind != Kind::Dir || entry.name == MAILS || at.len() >= DEEPEST {
            continue;
        }
        at.push(entry.name.clone());
        match dir.dir(&entry.name) {
            Ok(inner) => {
                add(&inner, at, options, folders, found);
                walk(&inner, at, options, folders, found);
            }
            Err(error) => {
                found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(bstr::join("/", &*at)));
            }
        }
        at.pop();
    }
}

fn add(
    dir: &Dir,
    at: &[BString],
    options: &OpenOptions,
    folders: &mut BTreeMap<MailboxName, Folder>,
    found: Found<'_>,
) {
    let mut spelling = Spelling::new(options.utf8);
    let name = MailboxName::new(at.iter().map(|level| spelling.level(level)));
    let path = bstr::join("/", at);
    spelling.tell(&name, &path, found);
    let selectable = matches!(dir.stat_if_there(MAILS), Ok(Some(stat)) if stat.kind == Kind::Dir);
    folders.insert(
        name,
        Folder {
            path: at.to_vec(),
            selectable,
        },
    );
}

fn account(root: &Dir, options: &OpenOptions, found: Found<'_>) -> Account {
    let name = options.subscriptions.as_deref().unwrap_or("subscriptions");
    let subscriptions = match root.read_if_there(name, side_files::MOST) {
        Ok(bytes) => side_files::read_subscriptions(&bytes.unwrap_or_default(), b'/', |level| {
            names::level(level, options.utf8)
        }),
        Err(error) => {
            found(Finding::new(&SUBSCRIPTIONS_UNREADABLE, error.chain()).path(name));
            Vec::new()
        }
    };
    Account {
        subscriptions,
        sieve: side_files::read_sieve(root, found),
        quota: None,
        last_uidvalidity: side_files::read_uidvalidity(root).unwrap_or(0),
    }
}

struct Folder {
    path: Vec<BString>,
    selectable: bool,
}

struct Sdbox {
    root: Dir,
    tree: Dir,
    names: Vec<MailboxName>,
    paths: Vec<Folder>,
    account: Account,
}

impl Source for Sdbox {
    fn account(&self) -> &Account {
        &self.account
    }

    fn mailboxes(&self) -> &[MailboxName] {
        &self.names
    }

    fn mailbox<'a>(&'a self, nth: usize, found: Found<'_>) -> Result<Box<dyn MailboxSource + 'a>> {
        let (name, folder) = (&self.names[nth], &self.paths[nth]);
        let above = self.tree.descend(&folder.path)?;
        if !folder.selectable {
            return Ok(Box::new(SdboxMailbox::only_above(name.clone(), above)));
        }
        SdboxMailbox::open(name, above.dir(MAILS)?, &folder.path, found)
            .map(|mailbox| Box::new(mailbox) as Box<dyn MailboxSource>)
    }

    fn root(&self) -> &Dir {
        &self.root
    }

    fn estimate(&self) -> u64 {
        let folders = self.paths.iter().filter(|folder| folder.selectable);
        let dirs = folders.filter_map(|folder| self.tree.descend(&folder.path).ok());
        dirs.map(|dir| dir.dir(MAILS).map_or(0, |mails| mails.count()))
            .sum()
    }

    fn stamp(&self) -> Result<Digest> {
        stamp(&self.root)
    }
}

struct SdboxMailbox {
    mailbox: Mailbox,
    dir: Dir,
    /// From the account's root, for findings.
    path: BString,
    index: Index,
    /// Saved dates by place, where the cache tells them.
    saved: Vec<Option<u32>>,
}

impl SdboxMailbox {
    fn only_above(name: MailboxName, dir: Dir) -> Self {
        let mut this = Self::of(name, dir, BString::default(), Index::default(), Vec::new());
        this.mailbox.selectable = false;
        this
    }

    fn open(name: &MailboxName, dir: Dir, at: &[BString], found: Found<'_>) -> Result<Self> {
        let path = BString::from(format!(
            "{MAILBOXES}/{}/{MAILS}",
            bstr::join("/", at).as_bstr()
        ));
        let mut told = |finding: Finding| found(within(finding, name, &path));
        let index = dovecot_index::load(&dir, INDEX, &mut told)?;
        let files = list(&dir, &mut told)?;
        let index = index.unwrap_or_else(|| {
            if !files.is_empty() {
                told(Finding::new(
                    &INDEX_MISSING,
                    counted(files.len() as u64, "message file"),
                ));
            }
            made_from(&files)
        });
        compare(&index, &files, &mut told);
        let saved = saved_dates(&dir, &index, &mut told)?;
        let mut this = Self::of(name.clone(), dir, path.clone(), index, saved);
        this.read_header(&mut |finding| found(within(finding, name, &path)));
        this.mailbox.acl = this.dir.read_if_there(side_files::ACL, side_files::MOST)?;
        Ok(this)
    }

    fn of(
        name: MailboxName,
        dir: Dir,
        path: BString,
        index: Index,
        saved: Vec<Option<u32>>,
    ) -> Self {
        let guid = names::made_guid(&dir, &name);
        let mailbox = Mailbox {
            selectable: true,
            guid,
            uidvalidity: UidValidity::new(index.uid_validity).unwrap_or(UidValidity::ONE),
            uidnext: index.next_uid,
            first_recent: index.first_recent_uid,
            highest_modseq: index.highest_modseq,
            keywords: index.keyword_names(),
            acl: None,
            name,
        };
        Self {
            mailbox,
            dir,
            path,
            index,
            saved,
        }
    }

    fn read_header(&mut self, found: Found<'_>) {
        let header = self.index.extension("dbox-hdr");
        let guid = header.and_then(|ext| {
            let (header, _) = DboxHeader::read_from_prefix(&ext.header).ok()?;
            MailboxGuid::new(header.mailbox_guid)
        });
        match guid {
            Some(guid) => self.mailbox.guid = guid,
            None => found(Finding::new(&DBOX_GUID, "a new one is made")),
        }
    }

    fn finding(&self, rule: &'static Rule, nth: usize, detail: impl Into<String>) -> Box<Finding> {
        let uid = self.uid(nth);
        let finding = Finding::new(rule, detail)
            .uid(uid)
            .path(file_name(uid.get()));
        Box::new(within(finding, &self.mailbox.name, &self.path))
    }
}

/// Puts a finding of a mailbox's folder into its place in the account.
fn within(mut finding: Finding, name: &MailboxName, path: &BString) -> Finding {
    let inner = finding.place.path.take();
    let finding = finding.mailbox(name);
    match inner {
        Some(file) => finding.path(format!("{path}/{file}")),
        None => finding.path(path),
    }
}

/// The UIDs that have a file, ascending.
fn list(dir: &Dir, found: Found<'_>) -> Result<Vec<u32>> {
    let mut files = Vec::new();
    dir.each_entry(|name, kind| {
        if let (Some(uid), Kind::File) = (uid_of(name), kind) {
            files.push(uid);
        } else if !name.starts_with(b"dovecot") && !name.starts_with(b".temp.") {
            found(Finding::new(&DBOX_STRAY, "not a message").path(name));
        }
    })?;
    files.sort_unstable();
    Ok(files)
}

/// What is left of a mailbox without an index: the numbers in the file names.
fn made_from(files: &[u32]) -> Index {
    let mut index = Index::default();
    index.uids = files.to_vec();
    index.flags = vec![0; files.len()];
    index.next_uid = files.last().map_or(1, |uid| uid.saturating_add(1));
    index.first_recent_uid = 1;
    index
}

fn compare(index: &Index, files: &[u32], found: Found<'_>) {
    for uid in files {
        if index.position(*uid).is_none() && !index.requested_expunges.contains(uid) {
            found(Finding::new(&DBOX_ORPHAN, "not in the index").path(file_name(*uid)));
        }
    }
}

fn saved_dates(dir: &Dir, index: &Index, found: Found<'_>) -> Result<Vec<Option<u32>>> {
    let Some(cache) = Cache::open(dir, CACHE, index, found)? else {
        return Ok(Vec::new());
    };
    if !cache.has(DATE_SAVE) {
        return Ok(Vec::new());
    }
    let places = 0..index.uids.len();
    Ok(places
        .map(|nth| cache.u32_of(index, nth, DATE_SAVE))
        .collect())
}

impl MailboxSource for SdboxMailbox {
    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    fn len(&self) -> usize {
        self.index.uids.len()
    }

    fn uid(&self, nth: usize) -> Uid {
        Uid::new(self.index.uids[nth]).expect("BUG: the index reader refuses UID 0")
    }

    fn open<'a>(
        &'a self,
        nth: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let uid = self.uid(nth);
        let file = self.dir.file(file_name(uid.get())).map_err(|error| {
            let rule = if error.is_not_found() {
                &DBOX_LOST
            } else {
                &DBOX_UNREADABLE
            };
            self.finding(rule, nth, error.chain())
        })?;
        let unreadable = |error: io::Error| self.finding(&DBOX_UNREADABLE, nth, error.to_string());
        let stored = StoredMessage::read(file, scratch).map_err(|refused| match refused {
            Refused::Io(error) => unreadable(error),
            Refused::Damaged(rule, why) => self.finding(rule, nth, why),
        })?;
        if stored.metadata.get(Key::External).is_some() {
            return Err(self.finding(&DBOX_EXTERNAL_ATTACHMENT, nth, "not joined"));
        }
        let saved = match self.saved.get(nth).copied().flatten() {
            Some(saved) => Some(i64::from(saved)),
            None => Some(stored.changed),
        };
        let message = self.message(nth, &stored, saved)?;
        let claims = Claims {
            size: stored.metadata.hex(Key::PlainSize),
            virtual_size: stored.metadata.hex(Key::VirtualSize),
        };
        Ok(Opened {
            message,
            claims,
            body: stored.plain_body(),
        })
    }

    fn judge(
        &self,
        nth: usize,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        if message.sealed.is_some() {
            found(*self.finding(&DBOX_ENCRYPTED, nth, "ciphertext"));
            return;
        }
        for (key, told, real) in [
            ("size", claims.size, facts.size),
            ("virtual size", claims.virtual_size, facts.virtual_size),
        ] {
            if let Some(told) = told.filter(|told| *told != real) {
                let detail = format!("the metadata says {key} {told}, it is {real}");
                found(*self.finding(&DBOX_SIZE, nth, detail));
            }
        }
    }

    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding {
        let rule = if error.kind() == io::ErrorKind::InvalidData {
            &DBOX_DAMAGED
        } else {
            &DBOX_UNREADABLE
        };
        *self.finding(
            rule,
            nth,
            format!("{error}; {recovered} bytes could be read"),
        )
    }

    fn conclude(&self, _: Found<'_>) {}
}

impl SdboxMailbox {
    fn message(
        &self,
        nth: usize,
        stored: &StoredMessage<'_>,
        saved: Option<i64>,
    ) -> Result<Message, Box<Finding>> {
        let metadata = &stored.metadata;
        let guid = metadata
            .get(Key::Guid)
            .ok_or_else(|| self.finding(&DBOX_METADATA, nth, "no GUID"))?;
        let received = metadata.hex(Key::Received).unwrap_or(0);
        let sealed = compress::is_encrypted(stored.head).then(|| {
            let plain = metadata.hex(Key::PlainSize).unwrap_or(stored.size);
            (plain, metadata.hex(Key::VirtualSize))
        });
        Ok(Message {
            uid: self.uid(nth),
            flags: Flags::from_bits(self.index.flags[nth]),
            keywords: self.index.keywords_of(nth).collect(),
            received: i64::try_from(received).unwrap_or(i64::MAX),
            saved,
            guid: guid.into(),
            pop3_uidl: metadata.get(Key::Pop3Uidl).map(BString::from),
            pop3_order: metadata.decimal(Key::Pop3Order),
            sealed,
        })
    }
}

enum Refused {
    Io(io::Error),
    Damaged(&'static Rule, String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A `u.<uid>` file, taken apart.
struct StoredMessage<'a> {
    metadata: Metadata,
    /// Bytes of the body as stored.
    size: u64,
    /// The beginning of the body, as far as the first read came.
    head: &'a [u8],
    /// What follows `head`; `None` where the body is all there.
    rest: Option<io::Take<File<'a>>>,
    changed: i64,
}

impl<'a> StoredMessage<'a> {
    fn read(mut file: File<'a>, scratch: &'a mut Vec<u8>) -> Result<Self, Refused> {
        let damaged = |rule, why: String| Refused::Damaged(rule, why);
        scratch.resize(SMALL, 0);
        let read = file.fill(scratch)?;
        let stat = file
            .stat()
            .map_err(|error| io::Error::other(error.chain()))?;
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
            Some(rest) => Box::new(self.head.chain(BufReader::with_capacity(128 * 1024, rest))),
        }
    }

    /// The body without its coat.
    fn plain_body(self) -> Box<dyn BufRead + 'a> {
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
