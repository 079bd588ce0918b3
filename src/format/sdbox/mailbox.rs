//! One sdbox mailbox, open for reading.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::layout::{HEADER, file_name};
use super::listing;
use crate::digest::Facts;
use crate::disk::{Dir, File};
use crate::error::Result;
use crate::format::dbox::{
    About, DboxMailbox, Extent, MESSAGE_HEADER, Mails, Places, Refused, StoredMessage, casts_doubt,
};
use crate::format::dovecot_index::{Index, Origin};
use crate::model::{Flags, Mailbox, MailboxName, Message, Uid};
use crate::report::catalogue::{DBOX_LOST, DBOX_UNREADABLE};
use crate::report::{Finding, Rule};
use crate::store::{Access, BelievedUsage, Claims, Found, MadeUp, MailboxSource, Opened};

/// The index's mark for a message in alternative storage.
const IN_ALT: u8 = 0x40;

pub(super) struct SdboxMailbox {
    pub(super) dbox: DboxMailbox,
    pub(super) mails: Mails,
    /// Saved dates by place, where the cache tells them.
    pub(super) saved: Vec<Option<u32>>,
    places: Arc<Places>,
    /// UIDs that only the files tell, ascending, where the index cannot be trusted.
    pub(super) recovered: Vec<u32>,
}

impl SdboxMailbox {
    pub(super) fn open(
        name: &MailboxName,
        mails: Mails,
        places: &Arc<Places>,
        found: Found<'_>,
    ) -> Result<Self> {
        let within = |finding| DboxMailbox::within(finding, name, &mails.path);
        let files = listing::list(&mails, &mut |finding| found(within(finding)))?;
        let mut in_doubt = false;
        let mut holds_up = |index: &Index, _| listing::holds_up(index, &files);
        let index = mails.load(name, &mut holds_up, &mut |finding| {
            in_doubt |= casts_doubt(&finding);
            found(finding);
        })?;
        let mut index = match index {
            Some(mut index) => {
                if index.origin == Origin::Damaged {
                    listing::leave_out_lost(&mut index, &files, &mut |finding| {
                        found(within(finding));
                    });
                }
                index
            }
            None => {
                let left = mails.load_over(name, &listing::made_from(&files), found)?;
                let elsewhere = places.index_is_elsewhere();
                listing::left_of(left, &files, elsewhere, &mut |finding| {
                    found(within(finding));
                })
            }
        };
        let recovered = listing::compare(&mut index, &files, in_doubt, &mut |finding| {
            found(within(finding));
        });
        let saved = mails.saved_dates(&index, name, found)?;
        let mut told = |finding| found(within(finding));
        Ok(Self {
            dbox: DboxMailbox::new(name, &mails, index, HEADER, mails.listed, &mut told),
            saved,
            recovered,
            places: Arc::clone(places),
            mails,
        })
    }

    /// Where the file of a message is, for findings.
    fn path(&self, nth: usize) -> Shown<'_> {
        Shown { mailbox: self, nth }
    }

    /// True where messages may be missing because the alternative storage is.
    pub(super) fn alt_is_missing(&self) -> bool {
        self.places.alt_is_missing()
    }

    /// Flags that only the format itself knows.
    pub(super) fn own_flags(&self, nth: usize) -> u8 {
        self.dbox.index.flags[nth] & IN_ALT
    }

    /// What the index alone tells of a message.
    pub(super) fn as_known(&self, nth: usize) -> Message {
        let saved = self.saved.get(nth).copied().flatten();
        self.dbox.as_known(nth, saved.map(i64::from))
    }

    /// What the index says; the file may be in either place.
    fn in_alt(&self, nth: usize) -> bool {
        self.dbox.index.flags[nth] & IN_ALT != 0
    }

    /// The file of a message, in the one place or the other.
    fn file(&self, nth: usize) -> Result<File> {
        let name = file_name(self.uid(nth).get());
        match (self.mails.dir.file(&name), &self.mails.alt) {
            (Err(error), Some(alt)) if error.is_not_found() => alt.file(&name),
            (opened, _) => opened,
        }
    }

    /// Why a message cannot be opened.
    fn unreadable(&self, nth: usize, error: &crate::Error) -> (&'static Rule, String) {
        let mut detail = error.chain();
        if !error.is_not_found() {
            return (&DBOX_UNREADABLE, detail);
        }
        if self.in_alt(nth) {
            detail += "; the index says that it lies in the alternative storage";
        }
        if self.alt_is_missing() {
            detail += "; the alternative storage (ALT=) is not there";
        }
        (&DBOX_LOST, detail)
    }
}

/// Where the file of a message is.
struct Shown<'m> {
    mailbox: &'m SdboxMailbox,
    nth: usize,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mailbox, nth } = self;
        let name = file_name(mailbox.uid(*nth).get());
        match &mailbox.mails.alt {
            Some(alt) if mailbox.in_alt(*nth) => alt.path_of(name.as_bytes()).display().fmt(f),
            _ => write!(f, "{}/{name}", mailbox.dbox.path),
        }
    }
}

impl MailboxSource for SdboxMailbox {
    fn was_expunged(&self, uid: u32) -> bool {
        self.dbox.index.was_expunged(uid)
    }

    fn mailbox(&self) -> &Mailbox {
        &self.dbox.mailbox
    }

    fn len(&self) -> usize {
        self.dbox.index.uids.len()
    }

    fn uid(&self, nth: usize) -> Uid {
        self.dbox.uid(nth)
    }

    fn marks(&self, nth: usize) -> (Flags, Vec<u32>) {
        self.dbox.marks(nth)
    }

    fn open<'a>(
        &'a self,
        nth: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let refuse = |(rule, detail)| self.dbox.finding(rule, nth, &self.path(nth), detail);
        let unreadable = |error: crate::Error| refuse(self.unreadable(nth, &error));
        let file = self.file(nth).map_err(unreadable)?;
        let stat = file.stat().map_err(unreadable)?;
        let extent = Extent {
            at: None,
            header: MESSAGE_HEADER,
            end: stat.size,
        };
        let stored = StoredMessage::open(Arc::new(file), extent, scratch);
        let stored = stored.map_err(|refused| match refused {
            Refused::Io(error) => refuse((&DBOX_UNREADABLE, error.to_string())),
            Refused::Damaged(rule, why) => refuse((rule, why)),
        })?;
        let saved = self.saved.get(nth).copied().flatten();
        let about = About {
            file: &self.path(nth),
            saved: Some(saved.map_or(stat.ctime, i64::from)),
            attachments: self.places.attachments(),
            named_by_message: true,
        };
        let mut opened = self.dbox.opened(nth, stored, about)?;
        opened.access = Some(Access::from(stat));
        Ok(opened)
    }

    fn judge(
        &self,
        nth: usize,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        let path = self.path(nth);
        self.dbox.judge(nth, &path, message, claims, facts, found);
    }

    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding {
        self.dbox.broken(nth, &self.path(nth), error, recovered)
    }

    fn judge_broken(
        &self,
        nth: usize,
        told: (&Message, Claims),
        error: &io::Error,
        facts: &Facts,
        found: Found<'_>,
    ) {
        let path = &self.path(nth);
        self.dbox.judge_broken(nth, path, told, error, facts, found);
    }

    fn conclude(&self, _: Found<'_>) {}

    fn made_up(&self) -> MadeUp {
        self.dbox.made_up
    }

    fn tells_saved(&self, nth: usize) -> bool {
        self.saved.get(nth).copied().flatten().is_some()
    }

    fn dir_access(&self) -> Option<Access> {
        self.dbox.access
    }

    fn believed_usage(&self) -> Option<BelievedUsage> {
        self.dbox.index.believed_usage()
    }

    fn index_place(&self) -> Result<Option<Dir>> {
        self.dbox.index_place()
    }
}
