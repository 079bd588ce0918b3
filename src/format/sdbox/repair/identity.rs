//! What makes a mailbox the same one: from its index, or from the best source that is left.

use std::collections::BTreeMap;

use super::super::mailbox::SdboxMailbox;
use super::Repair;
use crate::disk::plan::{About, Act};
use crate::error::Result;
use crate::model::{Mailbox, UidValidity};
use crate::store::MailboxSource;

const LAST: &str = "dovecot-uidvalidity";

impl Repair<'_> {
    /// The mailbox as its new index is to have it, and where that comes from. What nobody knows is lost.
    pub(super) fn identity(
        &mut self,
        nth: usize,
        mailbox: &SdboxMailbox<'_>,
        lost: &mut Vec<String>,
    ) -> (Mailbox, Vec<String>) {
        let mut identity = mailbox.mailbox().clone();
        let mut does = Vec::new();
        let known = self
            .remembered
            .of(&self.tree.storage_name(nth), &identity.name);
        let index = &mailbox.dbox.index;
        if mailbox.without_index && !index.uids.is_empty() {
            lost.push("flags and keywords: no index, log or copy of one is left".into());
        }
        if index.uid_validity == 0 {
            match known.uidvalidity {
                Some((value, from)) => {
                    identity.uidvalidity = value;
                    does.push(format!("UIDVALIDITY from {from}"));
                }
                None => {
                    identity.uidvalidity = self.new_uidvalidity();
                    lost.push("UIDVALIDITY: clients load all messages again".into());
                }
            }
        }
        if !mailbox.dbox.has_guid() {
            match known.guid {
                Some((guid, from)) => {
                    identity.guid = guid;
                    does.push(format!("mailbox GUID from {from}"));
                }
                None => does.push("a new mailbox GUID".into()),
            }
        }
        if let Some((next, from)) = known.uidnext.filter(|(next, _)| *next > identity.uidnext) {
            identity.uidnext = next;
            does.push(format!("UIDNEXT from {from}"));
        }
        (identity, does)
    }

    /// One that no mailbox of the account has had.
    pub(super) fn new_uidvalidity(&mut self) -> UidValidity {
        let known = self.remembered.highest_uidvalidity();
        let told = self
            .tree
            .selectable()
            .filter_map(|nth| self.uidvalidity_of(nth));
        let highest = told.max().unwrap_or(0).max(known);
        let last = self.last_uidvalidity.max(highest).max(self.options.now);
        self.last_uidvalidity = last.saturating_add(1);
        self.new_uidvalidity = true;
        UidValidity::new(self.last_uidvalidity).unwrap_or(UidValidity::ONE)
    }

    fn uidvalidity_of(&self, nth: usize) -> Option<u32> {
        let mails = self.tree.mails(nth, &mut |_| ()).ok()??;
        let index = mails.load(&self.tree.names[nth], &mut |_| ()).ok()??;
        Some(index.uid_validity)
    }

    /// A server must not give a new UIDVALIDITY out once more.
    pub(super) fn note_uidvalidity(&mut self) -> Result<()> {
        if !self.new_uidvalidity {
            return Ok(());
        }
        let about = About {
            does: "the last UIDVALIDITY that was given out".into(),
            ..About::default()
        };
        let text = format!("{:08x}", self.last_uidvalidity);
        let entries = self.root.entries()?.into_iter();
        let pairs = entries.filter(|entry| entry.name.starts_with(b"dovecot-uidvalidity."));
        let mut steps: BTreeMap<_, _> = pairs.map(|entry| (entry.name, Act::Remove)).collect();
        steps.insert(LAST.into(), Act::put(text.clone().into_bytes()));
        steps.insert(format!("{LAST}.{text}").into(), Act::put(Vec::new()));
        for (name, act) in steps {
            self.plan.push(vec![name], act, about.clone());
        }
        Ok(())
    }
}
