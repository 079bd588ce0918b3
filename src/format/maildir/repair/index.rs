//! A new index in the place of a damaged one, and the server's list of mailboxes.

use std::collections::BTreeMap;

use super::super::folders::Folder;
use super::super::mailbox::MaildirMailbox;
use super::Repair;
use super::cache::Outdated;
use crate::disk::plan::{About, Act, Place};
use crate::error::Result;
use crate::format::dovecot_index::{
    CACHE, Generation, INDEX, MailboxIndex, OLD, Own, mended_by_a_new_index,
};
use crate::format::mailbox_list::FILES;
use crate::report::catalogue::{MAILBOX_GONE, MAILDIR_INDEX_UIDVALIDITY};
use crate::report::{Finding, counted};
use crate::store::MailboxSource;

/// No server gives a mailbox more.
const KEYWORDS_MOST: usize = 4096;

/// Codes of what a new index mends.
pub(super) fn codes(findings: &[Finding]) -> Vec<&'static str> {
    let is_mended = |finding: &&Finding| {
        finding.rule == &MAILDIR_INDEX_UIDVALIDITY || mended_by_a_new_index(finding.rule)
    };
    let codes = findings.iter().filter(is_mended);
    let mut codes: Vec<_> = codes.map(|finding| finding.rule.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

impl Repair<'_> {
    /// Index, log and cache of all messages. The cache has the dates that are known, and no sizes.
    pub(super) fn write_index(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        folder: &Folder,
        mut codes: Vec<&'static str>,
        outdated: Outdated,
    ) -> Result<()> {
        codes.extend(outdated.codes);
        let (dir, identity) = (self.index_dir(folder)?, mailbox.mailbox());
        if identity.keywords.len() > KEYWORDS_MOST {
            self.plan.leaves_something = true;
            return Ok(());
        }
        let now = u32::try_from(self.store.now).unwrap_or(u32::MAX);
        let generation = Generation::after(Some(&dir), INDEX, now);
        let own = Own {
            saved_in_cache: true,
            received_in_cache: true,
            ..Own::default()
        };
        let (mut index, _) = MailboxIndex::of(identity, now, generation, &own);
        let redated: BTreeMap<_, _> = outdated.dates.into_iter().collect();
        for at in 0..mailbox.len() {
            let (mut message, own_flags) = mailbox.as_indexed(at);
            message.received = redated.get(&at).copied().unwrap_or(message.received);
            index.push_with(&message, own_flags);
        }
        let about = |does: &str| About::in_mailbox(&identity.name, does);
        for name in OLD {
            if dir.stat_if_there(name)?.is_some() {
                let (place, path) = self.indexed(folder, name);
                let about = about("it is older than the new index");
                self.plan.push_in(place, path, Act::Remove, about);
            }
        }
        let unread = mailbox.unread_marks().map(str::to_owned);
        let whole = About {
            codes,
            lost: outdated.lost.into_iter().chain(unread).collect(),
            ..about(&format!(
                "a new index of {}",
                counted(mailbox.len() as u64, "message")
            ))
        };
        for (name, content) in index.files(0) {
            let about = match name {
                INDEX => whole.clone(),
                CACHE => about("the cache that belongs to it: received and saved dates"),
                _ => about("the log that belongs to it"),
            };
            let (place, path) = self.indexed(folder, name);
            self.plan.push_in(place, path, Act::put(content), about);
        }
        Ok(())
    }

    /// A damaged list goes, if nothing else tells of mailboxes that are gone, or their loss is accepted: a server
    /// makes a new one.
    pub(super) fn list_of_mailboxes(&mut self, findings: &[Finding]) -> Result<()> {
        let mut codes = codes(findings);
        let gone = findings
            .iter()
            .filter(|finding| finding.rule == &MAILBOX_GONE);
        let mut lost: Vec<_> = gone.map(gone_mailbox).collect();
        let mut does = "the list of mailboxes is damaged, and a server makes a new one";
        if !lost.is_empty() {
            if !self.accepts_loss() {
                return Ok(());
            }
            codes.push(MAILBOX_GONE.code);
            does = "the list has mailboxes that are gone, and a server makes a new one";
        }
        if codes.is_empty() {
            return Ok(());
        }
        let (place, dir) = match &self.store.options.index {
            Some(index) => (Place::Index, index),
            None => (Place::Root, &self.store.root),
        };
        for name in FILES {
            if dir.stat_if_there(name)?.is_some() {
                let about = About {
                    codes: codes.clone(),
                    lost: std::mem::take(&mut lost),
                    ..About::of(does)
                };
                self.plan
                    .push_in(place, vec![name.into()], Act::Remove, about);
            }
        }
        Ok(())
    }
}

/// What is lost with a mailbox.
fn gone_mailbox(finding: &Finding) -> String {
    let mailbox = finding.place.mailbox.as_deref().unwrap_or_default();
    format!("the mailbox {mailbox}: {}", finding.detail)
}
