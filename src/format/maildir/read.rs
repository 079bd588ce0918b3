//! A Maildir account, open for reading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use bstr::{BString, ByteSlice};

use super::filename::LETTERS;
use super::folders::{self, Folder};
use super::identity::Identity;
use super::mailbox::MaildirMailbox;
use super::stamp::{PLACES, stamp_of};
use super::{keywords, quota};
use crate::digest::Digest;
use crate::disk::{Dir, Kind};
use crate::error::{Error, Result};
use crate::format::mailbox_list::{self, Listed};
use crate::format::only_above::OnlyAbove;
use crate::format::tally::{Given, GivenUids, shown};
use crate::format::{OpenOptions, StoredUsage, mailbox_log, names, side_files};
use crate::model::{Account, MailboxGuid, MailboxName, QuotaLimits};
use crate::report::catalogue::{
    ACCOUNT_TWO_STORES, MAILBOX_UNREADABLE, MAILDIR_SYMLINK_OUTSIDE, QUOTA_BROKEN, QUOTA_STALE,
    SUBSCRIPTIONS_UNREADABLE,
};
use crate::report::{Finding, counted as number_of};
use crate::store::{Found, MailboxSource, Source};

/// Where UIDs are listed: Dovecot's file, then Courier's.
pub(super) const UIDLISTS: [&str; 2] = ["dovecot-uidlist", "courierimapuiddb"];
pub(super) struct Maildir {
    pub(super) root: Dir,
    pub(super) options: OpenOptions,
    pub(super) now: i64,
    pub(super) names: Vec<MailboxName>,
    pub(super) folders: Vec<Folder>,
    pub(super) identities: Vec<Identity>,
    /// The server's list of mailboxes.
    pub(super) listed: BTreeMap<BString, Listed>,
    pub(super) account: Account,
    /// What maildirsize says is used: bytes, messages.
    believed: Option<(i64, i64)>,
    counted: Mutex<Counted>,
    /// Names that the account's folders have for each letter.
    letter_names: OnceLock<BTreeMap<u32, BTreeSet<BString>>>,
    /// What an earlier pass remembers, read at the first question.
    given: OnceLock<Option<Given>>,
}

/// What the messages add up to, mailbox by mailbox.
#[derive(Debug, Default)]
struct Counted {
    mailboxes: usize,
    messages: i64,
    bytes: i64,
}

/// Opens the account in `root`.
pub(super) fn open(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Box<dyn Source>> {
    Ok(Box::new(open_typed(root, options, found)?))
}

/// The same, for this room alone.
pub(super) fn open_typed(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Maildir> {
    let options = options.again()?;
    if options.inbox.is_none() && options.dirname.is_none() && !holds_mail(&root) {
        let what = format!(
            "{} holds no Maildir: no cur, new or tmp",
            root.path().display()
        );
        let help = "name the directory of the account, the one that holds cur and new".into();
        return Err(Error::Missing { what, help });
    }
    let mut is_partly_hidden = false;
    let folders = folders::find(&root, &options, &mut |finding| {
        // What lies behind a link may be one of those that the server lists.
        let hides = [&MAILBOX_UNREADABLE, &MAILDIR_SYMLINK_OUTSIDE];
        is_partly_hidden |= hides.contains(&finding.rule);
        found(finding);
    })?;
    let (names, folders): (Vec<_>, Vec<_>) = folders.into_iter().unzip();
    let mut this = Maildir {
        now: options.now,
        account: Account::default(),
        identities: Vec::new(),
        listed: BTreeMap::new(),
        believed: None,
        counted: Mutex::default(),
        letter_names: OnceLock::new(),
        given: OnceLock::new(),
        root,
        options,
        names,
        folders,
    };
    this.read_account(found);
    let list = this.options.index.as_ref().unwrap_or(&this.root);
    this.listed = if is_partly_hidden {
        mailbox_list::read(list)
    } else {
        mailbox_list::read_and_tell(list, found)
    };
    this.read_identities(found);
    if !is_partly_hidden {
        this.tell_gone(found);
    }
    if this
        .root
        .stat("mailboxes")
        .is_ok_and(|stat| stat.kind == Kind::Dir)
    {
        found(Finding::new(&ACCOUNT_TWO_STORES, "a dbox store").path("mailboxes"));
    }
    Ok(this)
}

/// One of the three directories, in the root or in a folder.
fn holds_mail(root: &Dir) -> bool {
    let is_place = |dir: &Dir| {
        let stats = PLACES.iter().filter_map(|place| dir.stat(place).ok());
        stats.into_iter().any(|stat| stat.kind != Kind::File)
    };
    let folder = |name: &BString| root.dir(name).is_ok_and(|dir| is_place(&dir));
    is_place(root)
        || root
            .entries()
            .is_ok_and(|all| all.iter().any(|entry| folder(&entry.name)))
}

impl Maildir {
    /// Where the `nth` mailbox lies.
    pub(super) fn folder_of(&self, nth: usize) -> &Folder {
        &self.folders[nth]
    }

    /// Opens the `nth` mailbox, which has messages of its own.
    pub(super) fn open_mailbox(&self, nth: usize, found: Found<'_>) -> Result<MaildirMailbox<'_>> {
        let (name, folder) = (&self.names[nth], &self.folders[nth]);
        let Identity {
            uidvalidity, guid, ..
        } = self.identities[nth];
        MaildirMailbox::open(self, name, folder, uidvalidity, guid, found)
    }

    /// The name of a letter, where the account's other folders agree on one.
    pub(super) fn keyword_proposed(&self, letter: u32) -> Option<BString> {
        let all = self
            .letter_names
            .get_or_init(|| self.collect_letter_names());
        let mut names = all.get(&letter)?.iter();
        names.next().filter(|_| names.next().is_none()).cloned()
    }

    /// The UIDs that an earlier pass gave in a mailbox.
    pub(super) fn given(&self, name: &MailboxName) -> Option<GivenUids<'_>> {
        // A repair names it only once the account is open: no answer is kept before.
        let earlier = self.options.earlier.as_ref()?;
        let given = self
            .given
            .get_or_init(|| earlier.again().ok().map(Given::read));
        given.as_ref()?.of_mailbox(shown(name))
    }

    pub(super) fn folder(&self, folder: &Folder) -> Result<Dir> {
        match &self.options.inbox {
            Some(inbox) if folder.path.is_empty() => inbox.again(),
            _ => self.root.descend(&folder.path),
        }
    }

    /// Where the uidlist and the keywords of a folder lie.
    pub(super) fn lists(&self, folder: &Folder) -> Result<Dir> {
        match &self.options.control {
            Some(control) => control.descend(&folder.side),
            None => self.folder(folder),
        }
    }

    fn control(&self) -> &Dir {
        self.options.control.as_ref().unwrap_or(&self.root)
    }

    fn read_account(&mut self, found: Found<'_>) {
        self.account = Account {
            subscriptions: self.subscriptions(found),
            sieve: side_files::read_sieve(&self.root, found),
            quota: self.quota(found),
            last_uidvalidity: side_files::read_uidvalidity(self.control()).unwrap_or(0),
        };
    }

    fn subscriptions(&self, found: Found<'_>) -> Vec<MailboxName> {
        let own = self
            .options
            .subscriptions
            .as_deref()
            .unwrap_or("subscriptions");
        let separator = if self.options.fs_layout { b'/' } else { b'.' };
        for (name, courier) in [(own, false), ("courierimapsubscribed", true)] {
            match self.control().read_if_there(name, side_files::MOST) {
                Ok(Some(bytes)) => {
                    let separator = if courier { b'.' } else { separator };
                    let level = |level: &[u8]| names::level(level, self.options.utf8);
                    let names = side_files::read_subscriptions(&bytes, separator, level);
                    return names
                        .into_iter()
                        .map(|name| without_prefix(name, courier))
                        .collect();
                }
                Ok(None) => {}
                Err(error) => {
                    found(Finding::new(&SUBSCRIPTIONS_UNREADABLE, error.chain()).path(name));
                    return Vec::new();
                }
            }
        }
        Vec::new()
    }

    fn quota(&mut self, found: Found<'_>) -> Option<QuotaLimits> {
        let bytes = quota::bytes(&self.root, &self.options);
        let bytes = bytes.unwrap_or_else(|error| {
            found(Finding::new(&QUOTA_BROKEN, error.chain()).path(quota::NAME));
            None
        });
        let bytes = bytes?;
        let read = quota::read(&bytes);
        let broken = match read.used {
            None => Some("a line is no pair of numbers, or the sum is beyond 2^63".to_owned()),
            Some((bytes, messages)) if bytes < 0 || messages < 0 => {
                Some(format!("it adds up to {bytes} bytes, {messages} messages"))
            }
            Some(_) => None,
        };
        let foreign = read
            .has_no_limits
            .then(|| StoredUsage::NO_LIMITS.to_owned());
        let details: Vec<_> = broken.into_iter().chain(foreign).collect();
        if !details.is_empty() {
            let detail = details.join("; ");
            found(Finding::new(&QUOTA_BROKEN, detail).path(quota::NAME));
        }
        self.believed = read.used.filter(|used| used.0 >= 0 && used.1 >= 0);
        (read.limits != QuotaLimits::default()).then_some(read.limits)
    }

    /// A mailbox was read, and has so many messages and bytes, where all of it could be. After the last
    /// mailbox it is known what maildirsize should say.
    pub(super) fn conclude(&self, sum: Option<(u64, u64)>, found: Found<'_>) {
        // A mailbox that is not in the sum keeps the number of mailboxes too low to compare it.
        let Some((messages, bytes)) = sum else {
            return;
        };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.mailboxes += 1;
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        counted.messages = counted.messages.saturating_add(number(messages));
        counted.bytes = counted.bytes.saturating_add(number(bytes));
        let all = self.folders.iter().filter(|folder| folder.selectable);
        let Some(believed) = self.believed else {
            return;
        };
        let real = (counted.bytes, counted.messages);
        if counted.mailboxes == all.count() && believed != real {
            let detail = format!(
                "it says {}, {}; the count is {}, {}",
                number_of(believed.0, "byte"),
                number_of(believed.1, "message"),
                number_of(real.0, "byte"),
                number_of(real.1, "message"),
            );
            found(Finding::new(&QUOTA_STALE, detail).path(quota::NAME));
        }
    }

    /// What a letter without a name may mean, from the account's other folders.
    pub(super) fn propose_keyword(&self, letter: u32) -> String {
        let names = self
            .letter_names
            .get_or_init(|| self.collect_letter_names());
        let shown = char::from_u32(u32::from(b'a') + letter).unwrap_or('?');
        match names.get(&letter) {
            Some(names) => {
                let names: Vec<_> = names.iter().map(|name| name.to_str_lossy()).collect();
                let names = names.join(", ");
                format!("letter {shown} becomes unknown-{letter}; other folders name it {names}")
            }
            None => format!("letter {shown} becomes unknown-{letter}; no other folder names it"),
        }
    }

    fn collect_letter_names(&self) -> BTreeMap<u32, BTreeSet<BString>> {
        let mut all: BTreeMap<u32, BTreeSet<BString>> = BTreeMap::new();
        for folder in &self.folders {
            let named = { self.lists(folder) }
                .and_then(|dir| keywords::read(&dir, &dir))
                .unwrap_or_default();
            for (letter, name) in (0..LETTERS).zip(named.letters) {
                all.entry(letter).or_default().extend(name);
            }
        }
        all.retain(|_, names| !names.is_empty());
        all
    }
}

/// Courier writes `INBOX.Sent` for what Dovecot calls `Sent`.
fn without_prefix(name: MailboxName, courier: bool) -> MailboxName {
    match name.levels() {
        [first, rest @ ..] if courier && first == "INBOX" && !rest.is_empty() => {
            MailboxName::new(rest.to_vec())
        }
        _ => name,
    }
}

impl Source for Maildir {
    fn account(&self) -> &Account {
        &self.account
    }

    fn mailboxes(&self) -> &[MailboxName] {
        &self.names
    }

    fn mailbox<'a>(&'a self, nth: usize, found: Found<'_>) -> Result<Box<dyn MailboxSource + 'a>> {
        let (name, folder) = (&self.names[nth], &self.folders[nth]);
        let Identity { uidvalidity, .. } = self.identities[nth];
        if !folder.selectable {
            return Ok(Box::new(OnlyAbove::new(name, uidvalidity, &self.root)));
        }
        self.open_mailbox(nth, found)
            .map(|mailbox| Box::new(mailbox) as Box<dyn MailboxSource>)
    }

    fn root(&self) -> &Dir {
        &self.root
    }

    fn deleted_mailboxes(&self) -> Option<BTreeSet<MailboxGuid>> {
        mailbox_log::deleted(self.options.index.as_ref().unwrap_or(&self.root))
    }

    fn estimate(&self) -> u64 {
        let places = self
            .folders
            .iter()
            .filter_map(|folder| self.folder(folder).ok());
        let files = places
            .map(|dir| ["cur", "new"].map(|place| dir.dir(place).map_or(0, |dir| dir.count())));
        files.flatten().sum()
    }

    fn stamp(&self) -> Result<Digest> {
        let options = &self.options;
        let elsewhere = [&options.inbox, &options.control, &options.index];
        stamp_of(&self.root, elsewhere.into_iter().flatten())
    }
}
