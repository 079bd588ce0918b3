//! Plans what makes an sdbox account sound again.
//!
//! ```text
//! a message that is not whole     what is sound of it, as a new u.N
//! nothing is left of a message    u.N goes
//! index, log or cache damaged     new ones, of all that index, logs, .backup and file names still tell
//! records of it are damaged       flags of their messages as a conversion wrote them, then the changes in the log
//! no index at all                 UIDVALIDITY, GUID and UIDNEXT of the server's list of mailboxes, flags as
//!                                 a conversion wrote them, then the changes in a log that is left
//! u.N that no index knows         into a mailbox of their own, where that is asked for
//! ```
//! A mailbox in which nothing is damaged is not touched.

mod orphans;
mod recovered;
mod saved;

use std::collections::BTreeMap;
use std::rc::Rc;

use bstr::BString;

use super::layout::{HEADER, file_name};
use super::mailbox::SdboxMailbox;
use super::read::{holds_an_mdbox, misses_all_indexes, refuse_mdbox};
use super::write::rewrite;
use crate::disk::plan::{About, Act, Path, Plan};
use crate::disk::{Dir, NewFile};
use crate::error::{Error, Result};
use crate::format::dbox::{
    Hurt, Identities, Looked, RECALLED_FROM, Tree, doubt_loss, follow_log, if_readable, look,
    lost_with, not_stored,
};
use crate::format::dovecot_index::{
    CACHE, INDEX, LOG, MailboxIndex, OLD, Origin, Own, mended_by_a_new_index,
};
use crate::format::{OpenOptions, RepairOptions};
use crate::model::{Flags, Message};
use crate::report::catalogue::{DBOX_LOST, DBOX_ORPHAN, DBOX_RECOVERED, INDEX_CACHE, INDEX_LOST};
use crate::report::{Finding, counted};
use crate::store::{Found, MailboxSource};

/// Looks at the account in `root`.
pub(super) fn plan(root: &Dir, open: &OpenOptions, options: RepairOptions) -> Result<Plan> {
    let tree = Rc::new(Tree::open(root, "sdbox", open, &mut |_| ())?);
    refuse_mdbox(root, &tree.places)?;
    let mut repair = Repair {
        identities: Identities::new(root, &tree, options.now),
        root,
        tree: Rc::clone(&tree),
        options,
        plan: Plan::default(),
        orphans: Vec::new(),
    };
    for nth in tree.selectable() {
        repair.mailbox(nth)?;
    }
    repair.take_in_orphans()?;
    repair.identities.finish(root, &tree, &mut repair.plan)?;
    if misses_all_indexes(root, &tree) {
        doubt_loss(&mut repair.plan);
    }
    Ok(repair.plan)
}

struct Repair<'a> {
    root: &'a Dir,
    tree: Rc<Tree>,
    identities: Identities,
    options: RepairOptions,
    plan: Plan,
    /// Files that no index knows: of which mailbox, and which.
    orphans: Vec<(usize, u32)>,
}

/// What is to be written of a mailbox.
#[derive(Default)]
struct Seen {
    /// In UID order, with the flags that only the format knows.
    messages: Vec<(Message, u8)>,
    /// Codes of what is mended.
    codes: Vec<&'static str>,
    lost: Vec<String>,
    /// What is lost unless something else tells the flags of all messages that only their files tell.
    left_out: Vec<String>,
    /// Those messages, in words.
    recovered: Option<String>,
    /// What cannot be read of the server's cache, which alone has saved dates.
    unread_cache: Vec<String>,
    /// A message was changed or is gone.
    changed: bool,
}

impl Seen {
    fn code(&mut self, code: &'static str) {
        if !self.codes.contains(&code) {
            self.codes.push(code);
        }
    }
}

impl Repair<'_> {
    fn mailbox(&mut self, nth: usize) -> Result<()> {
        let mut findings = Vec::new();
        let opened = self.open(nth, &mut |finding| findings.push(finding));
        let Some(mailbox) = if_readable(opened)?.flatten() else {
            return Ok(());
        };
        let mailbox = Rc::new(mailbox);
        // Its storage may be gone, and nothing else be left to tell.
        let extensions = ["mdbox-hdr", "mdbox"].into_iter();
        if { extensions }.any(|name| mailbox.dbox.index.extension(name).is_some()) {
            return Err(holds_an_mdbox(self.root));
        }
        let mut seen = Seen::default();
        for finding in &findings {
            if mended_by_a_new_index(finding.rule) {
                seen.code(finding.rule.code);
                seen.changed = true;
            }
            let is_lost = match mailbox.dbox.index.origin {
                // What is known of them is told below.
                Origin::Log(_) | Origin::Nothing => false,
                Origin::Index | Origin::Damaged => finding.rule == &DBOX_RECOVERED,
            };
            if is_lost {
                seen.recovered = Some(format!("flags and keywords of {}", finding.detail));
            }
            if finding.rule == &INDEX_CACHE {
                seen.unread_cache.push(finding.detail.clone());
            }
            if [&DBOX_LOST, &INDEX_LOST].contains(&finding.rule) {
                seen.code(finding.rule.code);
                let lost = lost_with(finding);
                if recovered::are_all_that_is_left_out(&mailbox, finding) {
                    seen.left_out.push(lost);
                } else {
                    seen.lost.push(lost);
                }
            }
        }
        self.note_orphans(nth, &findings);
        let mut scratch = Vec::new();
        for at in 0..mailbox.len() {
            self.message(nth, &mailbox, at, &mut seen, &mut scratch)?;
        }
        self.recall_saved(nth, &mailbox, &mut seen)?;
        if seen.changed {
            self.expunge_requested(&mailbox)?;
            self.write_index(nth, &mailbox, seen)?;
        }
        Ok(())
    }

    fn open(&self, nth: usize, found: Found<'_>) -> Result<Option<SdboxMailbox>> {
        let tree = &self.tree;
        let mails = tree.mails(nth, &mut |_| ())?;
        let opened =
            mails.map(|mails| SdboxMailbox::open(&tree.names[nth], mails, &tree.places, found));
        opened.transpose()
    }

    fn message(
        &mut self,
        nth: usize,
        mailbox: &Rc<SdboxMailbox>,
        at: usize,
        seen: &mut Seen,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let own_flags = mailbox.own_flags(at);
        match look(mailbox.as_ref(), at, scratch) {
            Looked::Sound(message) => seen.messages.push((*message, own_flags)),
            Looked::Unreadable(_) => seen.messages.push((mailbox.as_known(at), own_flags)),
            Looked::Wounded(mut hurt) => {
                let uidvalidity = mailbox.dbox.index.uid_validity;
                let (identities, tree) = (&self.identities, &self.tree);
                hurt.recall(identities.recalled_under(self.root, tree, nth, uidvalidity));
                self.store_anew(mailbox, at, &hurt);
                for finding in &hurt.findings {
                    seen.code(finding.rule.code);
                }
                seen.lost.extend(hurt.lost());
                seen.changed = true;
                seen.messages.push((hurt.message, own_flags));
            }
            Looked::Gone(finding) => {
                let may_come_back = finding.rule == &DBOX_LOST && mailbox.alt_is_missing();
                if may_come_back {
                    seen.messages.push((mailbox.as_known(at), own_flags));
                    return Ok(());
                }
                seen.code(finding.rule.code);
                seen.changed = true;
                let uid = mailbox.uid(at);
                seen.lost.push(format!("uid {uid}: {}", finding.detail));
                self.remove_file(mailbox, uid.get(), &finding)?;
            }
        }
        Ok(())
    }

    /// A file of a mailbox, from the root down.
    fn path(mailbox: &SdboxMailbox, name: &str) -> Path {
        mailbox.mails.path_of(name)
    }

    fn about(mailbox: &SdboxMailbox, does: impl Into<String>) -> About {
        About::in_mailbox(&mailbox.mailbox().name, does)
    }

    fn store_anew(&mut self, mailbox: &Rc<SdboxMailbox>, at: usize, hurt: &Hurt) {
        let uid = mailbox.uid(at);
        let does = hurt.stored_anew();
        let findings = hurt.findings.iter();
        let codes = findings.map(|finding| finding.rule.code).collect();
        let about = About {
            codes,
            ..Self::about(mailbox, does)
        };
        let (whole, now) = (Rc::clone(mailbox), self.options.now);
        let message = hurt.message.clone();
        let fill = move |file: &mut NewFile| store_again(&whole, at, &message, now, file);
        let path = Self::path(mailbox, &file_name(uid.get()));
        self.plan.push(path, Act::Replace(Box::new(fill)), about);
    }

    fn remove_file(&mut self, mailbox: &SdboxMailbox, uid: u32, finding: &Finding) -> Result<()> {
        let name = file_name(uid);
        if mailbox.mails.dir.stat_if_there(&name)?.is_none() {
            return Ok(());
        }
        let mut about = Self::about(mailbox, "nothing of the message could be read");
        about.codes.push(finding.rule.code);
        self.plan
            .push(Self::path(mailbox, &name), Act::Remove, about);
        Ok(())
    }

    /// A new index does not know that they were to go.
    fn expunge_requested(&mut self, mailbox: &SdboxMailbox) -> Result<()> {
        for uid in &mailbox.dbox.index.requested_expunges {
            let name = file_name(*uid);
            if mailbox.mails.dir.stat_if_there(&name)?.is_some() {
                let about = Self::about(mailbox, "a client had expunged the message");
                self.plan
                    .push(Self::path(mailbox, &name), Act::Remove, about);
            }
        }
        Ok(())
    }

    fn write_index(&mut self, nth: usize, mailbox: &SdboxMailbox, mut seen: Seen) -> Result<()> {
        let marks = match self.marks_without_index(nth, mailbox, &mut seen)? {
            None => self.marks_of_recovered(nth, mailbox, &mut seen)?,
            marks => marks,
        };
        seen.lost.extend(self.not_stored(nth, mailbox)?);
        let (dbox, lost) = (&mailbox.dbox, &mut seen.lost);
        let (mut identity, mut does) = self.identities.of(&self.tree, nth, dbox, false, lost);
        if let Some((names, said)) = marks {
            identity.keywords = names;
            does.push(said);
        }
        let generation = mailbox.mails.next_generation(self.options.now);
        let own = own();
        let (mut index, _) = MailboxIndex::of(&identity, self.options.now, generation, &own);
        for (message, own_flags) in &seen.messages {
            index.push_with(message, *own_flags);
        }
        let messages = counted(seen.messages.len() as u64, "message");
        does.insert(0, format!("a new index of {messages}"));
        let about = About {
            codes: seen.codes,
            lost: seen.lost,
            ..Self::about(mailbox, does.join("; "))
        };
        self.put_index(mailbox, index, &about)?;
        Ok(())
    }

    /// Where there is no index: flags and keywords from what is left; all keywords, and where they come from.
    fn marks_without_index(
        &self,
        nth: usize,
        mailbox: &SdboxMailbox,
        seen: &mut Seen,
    ) -> Result<Option<(Vec<BString>, String)>> {
        let (first_new, has_log) = match mailbox.dbox.index.origin {
            Origin::Index | Origin::Damaged => return Ok(None),
            Origin::Log(first_new) => (first_new, true),
            Origin::Nothing => (u32::MAX, false),
        };
        if mailbox.is_empty() {
            return Ok(None);
        }
        let is_old = |message: &Message| message.uid.get() < first_new;
        let old = seen.messages.iter().filter(|(message, _)| is_old(message));
        let all = old.count() as u64;
        let (names, count) = self.recall(nth, &mut seen.messages, is_old);
        seen.lost.extend(lost_marks(all, count, has_log));
        let count_of = counted(count, "message");
        if has_log {
            let (mails, name) = (&mailbox.mails, &mailbox.mailbox().name);
            let followed = follow_log(mails, name, &names, &mut seen.messages)?;
            let names = followed.unwrap_or(names);
            let said = match count {
                0 => format!("flags and keywords from {LOG} alone"),
                _ => format!(
                    "flags and keywords of {count_of} from {RECALLED_FROM}, then the changes in {LOG}"
                ),
            };
            return Ok(Some((names, said)));
        }
        let said = format!("flags and keywords of {count_of} from {RECALLED_FROM}");
        Ok((count > 0).then_some((names, said)))
    }

    /// Where there is no index: what a conversion wrote of messages that have no file.
    fn not_stored(&self, nth: usize, mailbox: &SdboxMailbox) -> Result<Option<String>> {
        let index = &mailbox.dbox.index;
        if matches!(index.origin, Origin::Index | Origin::Damaged) {
            return Ok(None);
        }
        let known = self.identities.recalled(self.root, &self.tree, nth);
        let known = known.iter().map(|known| known.uid);
        let missing = known.filter(|uid| index.position(uid.get()).is_none());
        let name = &mailbox.mailbox().name;
        let alt_is_missing = mailbox.alt_is_missing();
        not_stored(&mailbox.mails, name, missing.collect(), alt_is_missing)
    }

    /// Takes flags and keywords from what a conversion wrote: all keywords, and of how many messages among
    /// those that are asked for.
    fn recall(
        &self,
        nth: usize,
        messages: &mut [(Message, u8)],
        is_asked_for: impl Fn(&Message) -> bool,
    ) -> (Vec<BString>, u64) {
        let known = self.identities.recalled(self.root, &self.tree, nth);
        let known: BTreeMap<_, _> = known.iter().map(|known| (known.uid, known)).collect();
        let (mut names, mut count) = (Vec::new(), 0);
        for (message, _) in messages {
            let known = known.get(&message.uid);
            (message.flags, message.keywords) = (Flags::NONE, Vec::new());
            if let Some(known) = known.filter(|known| known.is(&message.guid)) {
                known.give(message, &mut names);
                count += u64::from(is_asked_for(message));
            }
        }
        (names, count)
    }

    fn put_index(
        &mut self,
        mailbox: &SdboxMailbox,
        index: MailboxIndex,
        about: &About,
    ) -> Result<()> {
        for name in OLD {
            if mailbox.mails.has_indexed(name)? {
                let about = Self::about(mailbox, "it is older than the new index");
                self.push_indexed(mailbox, name, Act::Remove, about);
            }
        }
        for (name, content) in index.files(0) {
            let about = match name {
                INDEX => about.clone(),
                CACHE => Self::about(mailbox, "the cache that belongs to it: saved dates"),
                _ => Self::about(mailbox, "the log that belongs to it"),
            };
            debug_assert!([INDEX, LOG, CACHE].contains(&name));
            self.push_indexed(mailbox, name, Act::put(content), about);
        }
        Ok(())
    }

    fn push_indexed(&mut self, mailbox: &SdboxMailbox, name: &str, act: Act, about: About) {
        let places = &self.tree.places;
        places.push_indexed(&mut self.plan, &mailbox.mails.index_at, name, act, about);
    }

    fn note_orphans(&mut self, nth: usize, findings: &[Finding]) {
        let orphans = findings
            .iter()
            .filter(|finding| finding.rule == &DBOX_ORPHAN);
        let files = orphans.filter_map(|finding| finding.place.path.as_deref());
        let uids = files.filter_map(|path| {
            let (_, name) = path.rsplit_once('/')?;
            super::layout::uid_of(name.as_bytes())
        });
        self.orphans.extend(uids.map(|uid| (nth, uid)));
    }
}

/// What nothing tells of flags and keywords, where a conversion wrote them of `known` messages.
fn lost_marks(all: u64, known: u64, has_log: bool) -> Option<String> {
    let unknown = counted(all - known, "message");
    let of = format!("flags and keywords of {unknown} that {RECALLED_FROM} does not know");
    match (known, has_log) {
        _ if known == all => None,
        (0, false) => Some("flags and keywords: no index, log or copy of one is left".into()),
        (0, true) => Some("flags and keywords that were set before the log begins".into()),
        (_, false) => Some(of),
        (_, true) => Some(format!("{of}, and that were set before the log begins")),
    }
}

fn own() -> Own<'static> {
    Own {
        header: Some(HEADER),
        first_word: 0,
        fields: &[],
        saved_in_cache: true,
        received_in_cache: false,
    }
}

/// Writes what is sound of a message.
fn store_again(
    mailbox: &SdboxMailbox,
    at: usize,
    message: &Message,
    now: u32,
    file: &mut NewFile,
) -> Result<()> {
    let mut scratch = Vec::new();
    let opened = mailbox.open(at, &mut scratch);
    let mut opened = opened.map_err(|finding| Error::Bug(finding.detail))?;
    opened.message = message.clone();
    rewrite(opened, now, file)
}
