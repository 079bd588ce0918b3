//! The doors: what every store offers to read, and what every destination takes. Knows no format.
//!
//! ```text
//! Source -- mailbox(n) --> MailboxSource -- open(n) --> Message + body
//!                                                          |
//! Destination -- mailbox() --> MailboxWriter -- store() <--+   in any order, side by side
//!                                            -- commit()       in UID order, one after the other
//!                                            -- finish()
//! ```

mod look;
mod turn;

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::path::Path;

use bstr::BString;

pub use look::{Access, MadeUp, Peek};
pub use turn::{Turn, Turns};

use crate::digest::{Digest, Facts, Measured};
use crate::disk::{Dir, Owner};
use crate::error::Result;
use crate::model::{Account, Codec, Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid};
use crate::report::Finding;

/// Where findings go.
pub type Found<'a> = &'a mut dyn FnMut(Finding);

/// A store of one account, open for reading; nothing is ever written through it.
pub trait Source: Send + Sync {
    /// What belongs to the account as a whole.
    fn account(&self) -> &Account;
    /// Its mailboxes by name, in name order; ones that only stand above others included.
    fn mailboxes(&self) -> &[MailboxName];
    /// Opens the `nth` of them.
    fn mailbox<'a>(&'a self, nth: usize, found: Found<'_>) -> Result<Box<dyn MailboxSource + 'a>>;
    /// The account's own directory, for owner and mode.
    fn root(&self) -> &Dir;
    /// About how many messages it has, told without opening mailboxes: for progress only.
    fn estimate(&self) -> u64;
    /// A digest that changes when messages, flags or side files do, made without opening messages.
    fn stamp(&self) -> Result<Digest>;
    /// Mailboxes that a client deleted, as far as the server's records go; `None` where it keeps none.
    fn deleted_mailboxes(&self) -> Option<BTreeSet<MailboxGuid>> {
        None
    }
}

/// One mailbox of a source.
pub trait MailboxSource: Send + Sync {
    /// What the mailbox is.
    fn mailbox(&self) -> &Mailbox;
    /// How many messages it lists.
    fn len(&self) -> usize;
    /// True without messages.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The UID of the `nth` message; ascending.
    fn uid(&self, nth: usize) -> Uid;
    /// The flags and keywords of the `nth` message, told without opening it.
    fn marks(&self, nth: usize) -> (Flags, Vec<u32>);
    /// Opens the `nth` message. A small body is held by `scratch`. What cannot be read is a finding.
    fn open<'a>(&'a self, nth: usize, scratch: &'a mut Vec<u8>)
    -> Result<Opened<'a>, Box<Finding>>;
    /// What the store's own claims about a message say against its bytes.
    fn judge(&self, nth: usize, message: &Message, claims: Claims, facts: &Facts, found: Found<'_>);
    /// The finding for a body that broke off with `error` after `recovered` bytes.
    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding;
    /// What the bytes say that were recovered of such a body.
    fn judge_broken(
        &self,
        _nth: usize,
        _told: (&Message, Claims),
        _error: &io::Error,
        _facts: &Facts,
        _found: Found<'_>,
    ) {
    }
    /// All that is to be said of a message that was read: to its end, or until it broke off.
    fn tell(
        &self,
        nth: usize,
        (message, claims): (&Message, Claims),
        broken: Option<&io::Error>,
        facts: &Facts,
        found: Found<'_>,
    ) {
        match broken {
            None => self.judge(nth, message, claims, facts, found),
            Some(error) => {
                found(self.broken(nth, error, facts.size));
                self.judge_broken(nth, (message, claims), error, facts, found);
            }
        }
    }
    /// What shows only after the last message.
    fn conclude(&self, found: Found<'_>);
    /// What of the `nth` message shows without its body. Formats that know a shorter way take it.
    fn peek(&self, nth: usize, scratch: &mut Vec<u8>) -> Result<Peek, Box<Finding>> {
        let opened = self.open(nth, scratch)?;
        Ok(Peek::from(opened))
    }
    /// The GUID of the `nth` message, where that is told without opening it.
    fn known_guid(&self, _: usize) -> Option<BString> {
        None
    }
    /// What was made up because the store does not tell it.
    fn made_up(&self) -> MadeUp {
        MadeUp::default()
    }
    /// True where the saved date of the `nth` message is told, and not taken from a file's times.
    fn tells_saved(&self, _: usize) -> bool {
        true
    }
    /// Who may touch the directory of the mailbox.
    fn dir_access(&self) -> Option<Access> {
        None
    }
    /// What the mailbox itself says that its messages add up to.
    fn believed_usage(&self) -> Option<BelievedUsage> {
        None
    }
    /// True where the index tells that it had the message of this UID, and that it was expunged.
    fn was_expunged(&self, _: u32) -> bool {
        false
    }
    /// The directory of the index that says so.
    fn index_place(&self) -> Result<Option<Dir>> {
        Ok(None)
    }
}

/// What a mailbox says that its messages add up to: a claim that a server's quota may rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BelievedUsage {
    /// Bytes with CRLF line ends.
    pub virtual_bytes: u64,
    /// Messages.
    pub messages: u32,
    /// Later messages are not counted in it.
    pub highest_uid: u32,
}

/// What a store says of a message's sizes, its storage coat taken off: claims, until they are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claims {
    /// Bytes.
    pub size: Option<u64>,
    /// Bytes with CRLF line ends.
    pub virtual_size: Option<u64>,
    /// The same two, as a server remembers them apart from the message.
    pub remembered: (Option<u64>, Option<u64>),
}

/// A message that is open for reading.
pub struct Opened<'a> {
    /// All but the body.
    pub message: Message,
    /// What the store says of its sizes.
    pub claims: Claims,
    /// Who may touch its file, where it has one of its own.
    pub access: Option<Access>,
    /// The coat that was taken off.
    pub coat: Option<Codec>,
    /// The body, its storage coat taken off. [`io::ErrorKind::InvalidData`] says that the stored
    /// form is damaged; what came before is sound.
    pub body: Box<dyn BufRead + 'a>,
}

/// How a destination is made.
#[derive(Debug, Clone, Copy)]
pub struct CreateOptions {
    /// The time that goes into new files.
    pub now: u32,
    /// Who it is given to; `None` where this process already is that owner.
    pub owner: Option<Owner>,
    /// Permission bits of the account's directory; all others follow from it, as in Dovecot.
    pub mode: u32,
    /// What the command line says of its form.
    pub form: Form,
}

/// The form of a new store, as far as it can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// `LAYOUT=fs`: directories stand for levels.
    pub fs_layout: bool,
    /// The coat that messages get.
    pub compress: Compress,
    /// A file that holds many messages is not to become larger, unless for one message alone.
    pub rotate_size: u64,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            fs_layout: false,
            compress: Compress::None,
            rotate_size: 10 << 20, // Dovecot's mdbox_rotate_size
        }
    }
}

impl Form {
    /// The form in words: an account in another form is made anew.
    pub fn text(&self) -> String {
        let coat = match self.compress {
            Compress::None => "none",
            Compress::Keep => "keep",
            Compress::With(codec) => codec.name(),
        };
        let layout = if self.fs_layout { "fs" } else { "own" };
        format!(
            "layout {layout}, compress {coat}, rotate at {}",
            self.rotate_size
        )
    }
}

/// The coat that messages get at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// None: every server reads it.
    None,
    /// The one that each had at the source.
    Keep,
    /// This one.
    With(Codec),
}

/// What a format has a place for. What it has none for is said, and not compared.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a place of its own, there or not"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// So many keywords a mailbox.
    pub keywords: usize,
    /// When a message came into its mailbox.
    pub saved_dates: bool,
    /// CONDSTORE's counter.
    pub modseq: bool,
    /// Names that hold no messages, and stand above none that do.
    pub bare_names: bool,
    /// Quota limits.
    pub quota_limits: bool,
    /// The INBOX is always there.
    pub always_inbox: bool,
    /// GUIDs and POP3 UIDLs that are no words: empty ones, and ones with spaces or control characters.
    pub ids_of_any_text: bool,
    /// Links in the account's root: without, a server would take them for mailboxes.
    pub links_in_root: bool,
}

/// Which files a store is made of, for who counts the room that it will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// A message is a file; elsewhere many share one.
    pub file_per_message: bool,
    /// Files that tell of the messages of a mailbox: so many bytes of each message.
    pub mailbox_files: &'static [u64],
    /// Files of a mailbox without any content.
    pub mailbox_marks: u64,
    /// Directories of a mailbox.
    pub mailbox_dirs: u64,
    /// Files of the account that tell of messages: so many bytes of each.
    pub account_files: &'static [u64],
    /// Directories of the account.
    pub account_dirs: u64,
}

impl Holds {
    /// True for a name without messages that has a place of its own. An INBOX that is always there has
    /// messages, and hidden names without any are nobody's mailboxes.
    pub fn holds_alone(&self, name: &MailboxName) -> bool {
        let hidden = name.levels().iter().any(|level| level.starts_with('.'));
        let given = self.always_inbox && name.is_inbox();
        self.bare_names && !hidden && !given
    }
}

/// A store that is being made, in a directory that nobody else knows yet.
pub trait Destination: Send + Sync {
    /// Begins a mailbox.
    fn mailbox<'a>(&'a self, mailbox: &Mailbox) -> Result<Box<dyn MailboxWriter + 'a>>;
    /// Writes what belongs to the account as a whole; after this the store is complete.
    fn finish(&self, account: &Account) -> Result<()>;
}

/// One mailbox of a destination.
pub trait MailboxWriter: Send + Sync {
    /// Stores one body. Called from several threads, begun in ascending UID order.
    fn store(&self, incoming: Incoming<'_>) -> Result<Stored, StoreError>;
    /// Enters a stored message. Called in ascending UID order.
    fn commit(&mut self, message: &Message, stored: &Stored) -> Result<()>;
    /// Completes the mailbox.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A message that is to be stored.
pub struct Incoming<'a> {
    /// All but its body; keywords are places in those of the destination's mailbox.
    pub message: &'a Message,
    /// The body, without a coat.
    pub body: Measured<'a>,
    /// The coat that it had.
    pub coat: Option<Codec>,
    /// About how many bytes it has, where the source tells.
    pub hint: Option<u64>,
    /// Its place among the messages of its mailbox.
    pub turn: Turn,
}

impl Incoming<'_> {
    /// The coat that it gets. Ciphertext gets none: a server decrypts first.
    pub fn new_coat(&self, form: &Form) -> Option<Codec> {
        match form.compress {
            _ if self.message.sealed.is_some() => None,
            Compress::None => None,
            Compress::Keep => self.coat,
            Compress::With(codec) => Some(codec),
        }
    }
}

/// A body that is stored.
#[derive(Debug)]
pub struct Stored {
    /// What the pass over it told.
    pub facts: Facts,
    /// Where, in the destination's own words.
    pub place: u64,
    /// The stored form at the source was damaged from here on; what came before is stored.
    pub damage: Option<io::Error>,
}

/// Why a body is not stored.
#[derive(Debug)]
pub enum StoreError {
    /// The source could not be read; nothing is left behind at the destination.
    Source {
        /// What the system said.
        error: io::Error,
        /// How far the reading came.
        read: u64,
    },
    /// The destination's format cannot hold it, and why; nothing is left behind there.
    Refused(String),
    /// The destination could not be written.
    Destination(crate::Error),
}

impl From<crate::Error> for StoreError {
    fn from(error: crate::Error) -> Self {
        Self::Destination(error)
    }
}

impl StoreError {
    /// Why the operation cannot go on, where `path` is read and written by the same one.
    pub fn into_error(self, path: &Path) -> crate::Error {
        match self {
            Self::Destination(error) => error,
            Self::Refused(why) => crate::Error::Bug(why),
            Self::Source { error, .. } => crate::Error::Io {
                action: "read what goes into",
                path: path.to_owned(),
                source: error,
            },
        }
    }
}

/// Why a name does not fit a destination, as its room sees it.
pub type NameCheck = fn(&MailboxName, &Form) -> Option<String>;

impl Measured<'_> {
    /// Reads to the end as if it were stored: what a dry run does.
    pub fn store_nowhere(mut self) -> Result<Stored, StoreError> {
        let damage = loop {
            match self.piece(|_| ()) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) if self.is_damage(&error) => break Some(error),
                Err(error) => {
                    let read = self.size();
                    return Err(StoreError::Source { error, read });
                }
            }
        };
        Ok(Stored {
            facts: self.facts(),
            place: 0,
            damage,
        })
    }

    /// True where what was read is sound and only the rest is lost.
    pub fn is_damage(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::InvalidData && self.size() > 0
    }
}
