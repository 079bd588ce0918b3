//! New indexes, for mailboxes whose own are damaged or no longer right.

use std::rc::Rc;

use zerocopy::IntoBytes;

use super::super::layout::{GUID, HEADER, MAIL, MailRecord};
use super::super::mailbox::MdboxMailbox;
use super::Repair;
use super::entries::{Entry, Mailbox, Named, Wrote};
use crate::disk::plan::{About, Act};
use crate::error::Result;
use crate::format::dbox::{IndexAt, Mails, RECALLED_FROM};
use crate::format::dovecot_index::{CACHE, Generation, INDEX, MailboxIndex, OLD, Own, seconds};
use crate::format::mailbox_list::{LIST, UNKNOWN_UIDS};
use crate::model::{self, Uid};
use crate::report::catalogue as rules;
use crate::report::counted;

/// A stored message names the mailbox that first had it, and no other.
const WHAT_CAME: &str = "which messages were copied or moved here: they may be in the mailboxes that had them \
                         first, or in none";

impl Repair<'_> {
    pub(super) fn write_mailboxes(&mut self) -> Result<()> {
        for mailbox in std::mem::take(&mut self.mailboxes) {
            let belongs = mailbox.map == self.map.uid_validity
                || (mailbox.map == 0 && mailbox.entries.is_empty());
            // What of it is in a file that cannot be read now would be lost.
            let must_wait = match mailbox.named {
                Named::All => false,
                Named::PerhapsNotAll => !self.scanned.unreadable.is_empty(),
                Named::Waits => true,
            };
            if !must_wait && (mailbox.changed || !belongs) {
                self.write_mailbox(mailbox, belongs)?;
            }
        }
        Ok(())
    }

    fn write_mailbox(&mut self, mut mailbox: Mailbox, belongs: bool) -> Result<()> {
        let store = Rc::clone(&self.store);
        let Some(mails) = store.tree.mails(mailbox.nth, &mut |_| ())? else {
            return Ok(());
        };
        let read = MdboxMailbox::open(&store, mailbox.nth, &mails, &mut |_| ())?;
        if !belongs {
            mailbox.code(rules::MDBOX_MAP_UIDVALIDITY.code);
        }
        let entries = &mailbox.entries;
        let recalled = entries.iter().filter(|entry| entry.recalled).count();
        let new = entries.iter().filter(|entry| entry.is_new()).count();
        let told = entries.iter().filter(|entry| entry.wrote == Wrote::Taken);
        let told = told.count();
        let (tree, lost) = (&store.tree, &mut mailbox.lost);
        lost.append(&mut mailbox.unread.not_told_by(entries));
        lost.extend(not_there(&mails, entries.len()).filter(|_| read.in_doubt));
        let anew = mailbox.made && new > 0 && recalled == 0;
        if anew {
            lost.push("UIDs, flags and keywords: no index, log or copy of one is left".into());
        } else if new > 0 {
            let new = counted(new as u64, "message");
            let that = match recalled {
                0 => "no index names".into(),
                _ => format!("{RECALLED_FROM} does not know"),
            };
            lost.push(format!("UIDs, flags and keywords of {new} that {that}"));
        }
        let is_told = self.identities.is_as_converted(tree, mailbox.nth)
            || store.knows_what_came_to(mailbox.nth);
        if mailbox.made && !is_told {
            lost.push(WHAT_CAME.into());
        }
        let (mut identity, mut does) =
            self.identities
                .of(tree, mailbox.nth, &read.dbox, anew, lost);
        if recalled > 0 {
            let count = counted(recalled as u64, "message");
            does.push(format!(
                "UIDs, flags and keywords of {count} from {RECALLED_FROM}"
            ));
        }
        if told > 0 {
            let count = counted(told as u64, "message");
            does.push(format!(
                "flags and keywords of {count} from {RECALLED_FROM}"
            ));
        }
        identity.keywords = std::mem::take(&mut mailbox.keywords);
        if new > 0 || mailbox.made {
            let listed = mails.listed.and_then(|listed| listed.uidvalidity);
            let is_kept = !anew || listed == Some(identity.uidvalidity);
            let least = if is_kept { identity.uidnext } else { 1 };
            number_anew(&mut mailbox.entries, least, &mut identity.uidnext);
        }
        let messages = counted(mailbox.entries.len() as u64, "message");
        does.insert(0, format!("a new index of {messages}"));
        does.append(&mut mailbox.stored_anew);
        let about = About {
            codes: mailbox.codes,
            lost: mailbox.lost,
            ..About::in_mailbox(&identity.name, does.join("; "))
        };
        for name in OLD.into_iter().chain([CACHE]) {
            if mails.has_indexed(name)? {
                let about =
                    About::in_mailbox(&identity.name, "it does not belong to the new index");
                let places = &store.tree.places;
                places.push_indexed(&mut self.plan, &mails.index_at, name, Act::Remove, about);
            }
        }
        let generation = mails.next_generation(self.options.now);
        self.put_index(
            &identity,
            generation,
            &mailbox.entries,
            &about,
            &mails.index_at,
        );
        Ok(())
    }

    /// Writes the index of these messages.
    pub(super) fn put_index(
        &mut self,
        identity: &model::Mailbox,
        generation: Generation,
        entries: &[Entry],
        about: &About,
        at: &IndexAt,
    ) {
        let own = Own {
            header: Some(HEADER),
            first_word: self.map.uid_validity,
            fields: &[(MAIL, 8, 4), (GUID, 16, 1)],
            saved_in_cache: false,
            received_in_cache: false,
        };
        let now = self.options.now;
        let (mut index, fields) = MailboxIndex::of(identity, now, generation, &own);
        for entry in entries {
            let nth = index.push(&entry.message);
            let received = Some(entry.message.received).filter(|date| *date > 0);
            let saved = entry.message.saved.or(received);
            let record = MailRecord {
                map_uid: entry.map_uid.into(),
                save_date: saved.map_or(now, seconds).into(),
            };
            index.set(nth, fields[0], record.as_bytes());
            index.set(nth, fields[1], &entry.guid);
        }
        for (name, content) in index.files(self.map.uid_validity) {
            let about = match name {
                INDEX => about.clone(),
                _ => About::in_mailbox(&identity.name, "the log that belongs to it"),
            };
            let places = &self.store.tree.places;
            places.push_indexed(&mut self.plan, at, name, Act::put(content), about);
        }
    }
}

/// A list that is behind the index may count what was expunged since; so may this line.
fn not_there(mails: &Mails, there: usize) -> Option<String> {
    let listed = mails.listed?.messages? as usize;
    let missing = listed.checked_sub(there).filter(|missing| *missing > 0)?;
    Some(format!(
        "{missing} of {}, as {LIST} counts them: expunged since then, or lost",
        counted(listed as u64, "message")
    ))
}

/// Nobody knows which UIDs they had. Above those that are known, some may have come and gone; without any, they
/// begin with the `least`.
fn number_anew(entries: &mut [Entry], least: u32, next: &mut u32) {
    let known = entries.iter().filter(|entry| !entry.is_new());
    let highest = known.map(|entry| entry.message.uid.get()).max();
    let first = highest.map_or(least, |uid| uid.max(*next - 1).saturating_add(UNKNOWN_UIDS));
    let new = entries.iter_mut().filter(|entry| entry.is_new());
    for (entry, uid) in new.zip(first..) {
        entry.message.uid = Uid::new(uid).unwrap_or(entry.message.uid);
    }
    entries.sort_by_key(|entry| entry.message.uid);
    let last = entries.last().map_or(0, |entry| entry.message.uid.get());
    *next = last.saturating_add(1).max(*next);
}
