//! Plans what makes a Maildir sound again.
//!
//! ```text
//! cur, new or tmp is missing           it is made; not cur where messages that the lists know lay in it
//! S= or W= in a name is wrong          the file gets the right name; UID, GUID and POP3 UIDL stay
//! two files have one base name         of the same bytes one name goes, and the flags that only it has are said; other
//!                                      bytes get their own name                                   `doubles`
//! a compressed message breaks off      what is left of it takes its place, without its coat       `salvage`
//! uidlist damaged, or no longer right  a new one: sound lines keep their UIDs, all others get new ones
//! uidlist or index: UIDVALIDITY wrong  a new one, with that of the other and of the list of mailboxes  `outvoted`
//! the cache tells other sizes          it forgets them, and those of what got another name
//! a keyword letter has no name         the one that the index tells; else that of the account's other folders, if they
//!                                      agree
//! dovecot-keywords is damaged          a new one: sound lines, and these names
//! index, log or cache damaged          new ones, of all that is left of them and of what the names tell
//! the index has UIDs that messages     a new one: no server looks for what is gone from the list alone
//! no longer have
//! the list of mailboxes is damaged     it goes: a server makes it anew
//! maildirsize                          what the messages add up to; its limits stay
//! file times, when asked to            those that are plainly of a copy become better ones    `dates`
//! ```
//! A message file is never written to, only replaced where it is torn, and kept. A sound index follows what is
//! there.

mod cache;
mod dates;
mod doubles;
mod index;
mod letters;
mod names;
mod rows;
mod salvage;
mod where_to;

use std::collections::HashSet;
use std::rc::Rc;

use bstr::BString;

use self::salvage::Torn;
use super::folders::Folder;
use super::mailbox::MaildirMailbox;
use super::quota;
use super::read::Maildir;
use crate::digest::Measured;
use crate::disk::Dir;
use crate::disk::plan::{About, Act, Plan};
use crate::error::{Error, Result};
use crate::format::{Absent, OpenOptions, RepairOptions, StoredUsage};
use crate::model::Uid;
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule, counted};
use crate::store::{Claims, MailboxSource, Source};

/// Looks at the account in `root`.
pub(super) fn plan(root: &Dir, open: &OpenOptions, options: RepairOptions) -> Result<Plan> {
    let mut unreadable = false;
    let mut of_account = Vec::new();
    let mut found = |finding: Finding| {
        unreadable |= finding.rule == &rules::MAILBOX_UNREADABLE;
        of_account.push(finding);
    };
    let mut store = super::read::open_typed(root.again()?, open, &mut found)?;
    store.recall()?;
    let mut repair = Repair {
        store: &store,
        plan: Plan::default(),
        bytes: 0,
        messages: 0,
        unreadable,
        dates: None,
        torn_in: None,
        taken: HashSet::new(),
    };
    if options.dates {
        repair.dates = Some(repair.look_at_dates()?);
    }
    for nth in 0..store.mailboxes().len() {
        if store.folder_of(nth).selectable {
            repair.mailbox(nth)?;
        }
    }
    repair.list_of_mailboxes(&of_account)?;
    repair.usage(root, open);
    Ok(repair.plan)
}

struct Repair<'a> {
    store: &'a Maildir,
    plan: Plan,
    /// Bytes and messages of the account.
    bytes: u64,
    messages: u64,
    /// Some message or mailbox could not be read, or not all of it: then nobody knows the sum.
    unreadable: bool,
    /// What file times show, where they are to be mended.
    dates: Option<dates::Dates>,
    /// The folder of the mailbox, once one of its messages is torn.
    torn_in: Option<Rc<Dir>>,
    /// The base names in the mailbox, and those that its files get.
    taken: HashSet<BString>,
}

/// What becomes of one message.
#[derive(Debug, Default)]
struct Fate {
    /// Its new base name.
    base: Option<BString>,
    /// Its GUID, where that is no longer the base name.
    guid: Option<BString>,
    /// What the uidlist says of its sizes is wrong.
    wrong_words: bool,
    /// Its bytes are others.
    is_torn: bool,
    /// What is told of it and not there.
    lost: Option<String>,
    /// Codes of what the server's cache tells wrong.
    misremembered: Vec<&'static str>,
}

/// The sizes of a message.
#[derive(Debug, Clone)]
struct Sizes {
    /// Bytes, and bytes with CRLF line ends.
    real: (u64, u64),
    told: Claims,
    /// It ends within a line, or before the first.
    ends_early: bool,
    /// They are those of what is left.
    torn: Option<Torn>,
}

impl Sizes {
    /// More was told than is there, and it ends as no message does: a name alone may have been wrong always.
    fn cut_off(&self, uid: Uid) -> Option<String> {
        let told = &self.told;
        let (told, real) = match (told.size.or(told.remembered.0), told.virtual_size) {
            (Some(told), _) => (told, self.real.0),
            (None, named) => (named.or(told.remembered.1)?, self.real.1),
        };
        let bytes = counted(told, "byte");
        (told > real && self.ends_early && self.torn.is_none())
            .then(|| format!("uid {uid}: perhaps its end: {bytes} were told, and {real} are there"))
    }

    /// Codes of what the server's cache tells wrong.
    fn misremembered(&self) -> Vec<&'static str> {
        let (size, virtual_size) = self.told.remembered;
        let wrong = |told: Option<u64>, real| told.is_some_and(|told| told != real);
        let told = [
            (wrong(size, self.real.0), &rules::MAILDIR_SIZE_MISMATCH),
            (
                wrong(virtual_size, self.real.1),
                &rules::MAILDIR_VSIZE_MISMATCH,
            ),
        ];
        let told = told.into_iter().filter(|(is_wrong, _)| *is_wrong);
        told.map(|(_, rule)| rule.code).collect()
    }
}

impl Fate {
    fn changes(&self) -> bool {
        self.base.is_some() || self.guid.is_some() || self.wrong_words
    }

    /// The server's cache may tell other sizes.
    fn is_outdated(&self) -> bool {
        self.changes() || self.is_torn || !self.misremembered.is_empty()
    }
}

/// A new uidlist no longer has it.
fn is_of_the_list(rule: &'static Rule) -> bool {
    let mended = [
        &rules::MAILDIR_LOST,
        &rules::UIDLIST_BROKEN,
        &rules::UIDLIST_UIDVALIDITY,
        &rules::UIDLIST_TRUNCATED,
        &rules::UIDLIST_DUPLICATE,
        &rules::UIDLIST_MISSING,
        &rules::UIDLIST_RENUMBERED,
        &rules::UIDLIST_RECOVERED,
    ];
    mended.contains(&rule)
}

impl<'s> Repair<'s> {
    fn mailbox(&mut self, nth: usize) -> Result<()> {
        let folder = self.store.folder_of(nth);
        let Some((mailbox, findings)) = self.read_mailbox(nth)? else {
            return Ok(());
        };
        if self.is_out_of_sight(folder, &findings)? {
            (self.plan.leaves_something, self.unreadable) = (true, true);
            return Ok(());
        }
        self.make_places(&mailbox, folder)?;
        let accepts = self.accepts_loss();
        let is_accepted = |finding: &Finding| accepts && finding.rule == &rules::MAILDIR_EMPTIED;
        let mut codes: Vec<_> = findings
            .iter()
            .filter(|finding| is_of_the_list(finding.rule) || is_accepted(finding))
            .map(|finding| finding.rule.code)
            .collect();
        self.remove_doubles(&mailbox, folder);
        let (mut fates, mut scratch) = (Vec::new(), Vec::new());
        self.torn_in = None;
        self.taken.clear();
        for at in 0..mailbox.len() {
            let fate = self.message(&mailbox, folder, at, &mut scratch)?;
            fates.push(fate);
        }
        self.name_letters(&mailbox, folder);
        let mut outdated = cache::Outdated::of(&fates);
        let mut index_codes = index::codes(&findings);
        if findings.iter().any(is_accepted) && mailbox.index.is_some() {
            index_codes.push(rules::MAILDIR_EMPTIED.code);
        }
        // What a new index has needs its line.
        let has_unlisted = !index_codes.is_empty() && mailbox.unlisted > 0;
        if !codes.is_empty() || has_unlisted || fates.iter().any(Fate::changes) {
            codes.sort_unstable();
            codes.dedup();
            if !codes.is_empty() && mailbox.has_left_uids() {
                index_codes.extend(&codes);
            }
            let (mut does, unknown) = self.store.told_of(nth, &mailbox);
            let outvoted = |finding: &&Finding| finding.rule == &rules::UIDLIST_UIDVALIDITY;
            let wrong = findings.iter().filter(outvoted);
            does.extend(wrong.map(|finding| format!("it had {}", finding.detail)));
            let lost: Vec<_> = { findings.iter() }
                .filter(|finding| finding.rule != &rules::MAILDIR_EMPTIED || accepts)
                .filter_map(|finding| rows::gone(finding, mailbox.has_left_uids()))
                .chain(rows::bad_words(&mailbox))
                .chain(std::mem::take(&mut outdated.lost))
                .chain(unknown)
                .collect();
            self.write_list(&mailbox, folder, &fates, (codes, does, lost));
        }
        self.redate(&mailbox, folder, &fates, &mut outdated);
        if index_codes.is_empty() {
            return self.correct_cache(&mailbox, folder, outdated);
        }
        self.write_index(&mailbox, folder, index_codes, outdated)
    }

    /// A mailbox, and what was found in it. One that can be read in part is left alone too: what is written of
    /// it would leave the rest out.
    fn read_mailbox(&mut self, nth: usize) -> Result<Option<(MaildirMailbox<'s>, Vec<Finding>)>> {
        let mut findings = Vec::new();
        let store = self.store;
        let mailbox = match store.open_mailbox(nth, &mut |finding| findings.push(finding)) {
            Err(Error::Io { .. }) => None,
            opened => Some(opened?),
        };
        let is_whole = !findings.iter().any(|finding| {
            let unreadable = [&rules::MAILBOX_UNREADABLE, &rules::UIDLIST_UNREADABLE];
            unreadable.contains(&finding.rule)
        });
        self.unreadable |= mailbox.is_none() || !is_whole;
        let mailbox = mailbox.filter(|_| is_whole);
        Ok(mailbox.map(|mailbox| (mailbox, findings)))
    }

    /// What is not there is lost.
    fn accepts_loss(&self) -> bool {
        self.store.options.absent == Absent::IsLost
    }

    /// Its messages lay in a directory that is not there: with a new and empty one, its lists alone would no longer
    /// show that they are gone.
    fn is_out_of_sight(&self, folder: &Folder, findings: &[Finding]) -> Result<bool> {
        let is_emptied = { findings.iter() }.any(|it| it.rule == &rules::MAILDIR_EMPTIED);
        let has_cur = self.store.folder(folder)?.stat_if_there("cur")?.is_some();
        Ok(is_emptied && !has_cur && !self.accepts_loss())
    }

    fn make_places(&mut self, mailbox: &MaildirMailbox<'_>, folder: &Folder) -> Result<()> {
        let dir = self.store.folder(folder)?;
        for name in ["cur", "new", "tmp"] {
            if dir.stat_if_there(name)?.is_none() {
                let about = About {
                    codes: vec![rules::MAILDIR_MISSING_DIR.code],
                    ..About::in_mailbox(&mailbox.mailbox().name, "a server needs all three")
                };
                let (place, path) = self.at(folder, &[name.as_bytes()]);
                self.plan.push_in(place, path, Act::MakeDir, about);
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        folder: &Folder,
        at: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Fate> {
        let sizes = self.measure(mailbox, at, scratch);
        let mut fate = self.apart(mailbox, folder, at, sizes.as_ref())?;
        if let Some(sizes) = sizes {
            fate.misremembered = sizes.misremembered();
            if fate.is_outdated() {
                fate.lost = sizes.cut_off(mailbox.uid(at));
            }
        }
        Ok(fate)
    }

    /// The sizes that a name should tell; `None` where that is not known.
    fn measure(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        at: usize,
        scratch: &mut Vec<u8>,
    ) -> Option<Sizes> {
        let was_unreadable = std::mem::replace(&mut self.unreadable, true);
        let opened = mailbox.open(at, scratch).ok()?;
        let (sealed, message, claims) = (opened.message.sealed, opened.message, opened.claims);
        let coat = opened.coat;
        let stored = Measured::new(opened.body).store_nowhere().ok()?;
        let facts = stored.facts;
        let is_ours = mailbox.listing.slot(at).link == 0;
        let torn = Torn::of(coat, &stored).filter(|_| is_ours);
        let mut damaged = stored.damage.is_some() && torn.is_none();
        mailbox.judge(at, &message, claims, &facts, &mut |finding| {
            damaged |= finding.rule == &rules::MAILDIR_DAMAGED;
        });
        // Of what a message adds up to of which nothing is left only its server could tell more.
        self.unreadable = was_unreadable || damaged;
        let (size, virtual_size) = sealed.unwrap_or((facts.size, None));
        self.bytes += size;
        self.messages += 1;
        let virtual_size = virtual_size.unwrap_or(facts.virtual_size);
        // What a server says of ciphertext or of a torn message is more than what we see.
        (!damaged && sealed.is_none()).then_some(Sizes {
            real: (size, virtual_size),
            told: claims,
            ends_early: facts.size == 0 || facts.traits.ends_in_line,
            torn,
        })
    }

    /// What has the name of another message gets one of its own, and wrong sizes go.
    fn apart(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        folder: &Folder,
        at: usize,
        sizes: Option<&Sizes>,
    ) -> Result<Fate> {
        let (slot, base) = (*mailbox.listing.slot(at), mailbox.listing.base(at));
        let mut fate = Fate::default();
        if slot.link > 0 {
            return Ok(fate);
        }
        let torn = sizes.and_then(|sizes| sizes.torn.as_ref());
        let mut new = BString::from(base);
        let (mut codes, mut does) = (Vec::new(), Vec::new());
        if let Some((size, virtual_size)) = sizes.map(|sizes| sizes.real) {
            let right = names::with_sizes(base, size, virtual_size);
            if right != base {
                let wrong = names::wrong(base, size, virtual_size).into_iter();
                codes.extend(wrong.filter(|_| torn.is_none()));
                does.push(format!(
                    "it has {size} bytes, {virtual_size} with CRLF line ends"
                ));
                new = right;
            }
            fate.wrong_words = rows::says_wrong(mailbox.listing.words(at), size, virtual_size);
        }
        if let Some(torn) = torn {
            does.insert(0, torn.does());
        }
        if slot.twin {
            codes.push(rules::MAILDIR_DUPLICATE_NAME.code);
            does.push("another message has the same base name".into());
            new = names::apart(&new, slot.uid);
        } else if new != base && self.is_taken(mailbox, &new) {
            does.push("another message has that base name".into());
        }
        if new == base && torn.is_none() {
            return Ok(fate);
        }
        if new != base {
            new = self.take_name(mailbox, new, slot.uid);
        }
        let name = mailbox.listing.name(at);
        let whole = [new.as_slice(), &name[base.len()..]].concat();
        let place = slot.place.name().as_bytes();
        let about = About {
            codes,
            ..About::in_mailbox(&mailbox.mailbox().name, does.join("; "))
        };
        fate.is_torn = torn.is_some();
        if let Some(torn) = torn {
            self.keep_rest((mailbox, folder), at, torn, (&whole, about))?;
        } else {
            let (_, to) = self.at(folder, &[place, &whole]);
            let (place, path) = self.at(folder, &[place, name]);
            self.plan.push_in(place, path, Act::Rename(to), about);
        }
        if new != base {
            fate.guid = Some(mailbox.guid(at));
            fate.base = Some(new);
        }
        Ok(fate)
    }

    fn usage(&mut self, root: &Dir, open: &OpenOptions) {
        let Some(bytes) = quota::bytes(root, open).unwrap_or_default() else {
            return;
        };
        let real = (
            i64::try_from(self.bytes).ok(),
            i64::try_from(self.messages).ok(),
        );
        let read = quota::read(&bytes);
        let told = read.used;
        let is_right = told.map(|(bytes, messages)| (Some(bytes), Some(messages))) == Some(real);
        if self.unreadable || is_right && !read.has_no_limits {
            return;
        }
        let broken =
            read.has_no_limits || told.is_none_or(|(bytes, messages)| bytes < 0 || messages < 0);
        let rule = if broken {
            &rules::QUOTA_BROKEN
        } else {
            &rules::QUOTA_STALE
        };
        let messages = counted(self.messages, "message");
        let mut does = format!("{}, {messages}", counted(self.bytes, "byte"));
        if read.has_no_limits {
            does.push_str("; ");
            does.push_str(StoredUsage::NO_LIMITS);
            does.push_str(": that goes");
        }
        let about = About {
            codes: vec![rule.code],
            ..About::of(does)
        };
        let content = quota::corrected(&bytes, self.bytes, self.messages);
        let path = vec![quota::NAME.into()];
        let place = self.control_place();
        self.plan.push_in(place, path, Act::put(content), about);
    }
}
