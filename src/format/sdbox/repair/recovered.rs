//! Messages whose records in the index are damaged: only their files tell them.

use bstr::BString;

use super::super::mailbox::SdboxMailbox;
use super::{RECALLED_FROM, Repair, Seen};
use crate::error::Result;
use crate::format::dbox::{Recall, follow_log};
use crate::format::dovecot_index::Part;
use crate::model::Message;
use crate::report::catalogue::INDEX_LOST;
use crate::report::{Finding, counted};
use crate::store::MailboxSource;

/// True where the index had no records that cannot be read but those of messages that have files.
pub(super) fn are_all_that_is_left_out(mailbox: &SdboxMailbox, finding: &Finding) -> bool {
    let index = &mailbox.dbox.index;
    let is_of_records = index.unread_part(&finding.detail) == Some(Part::Records);
    let are_all = index.left_out == mailbox.recovered.len();
    finding.rule == &INDEX_LOST && is_of_records && are_all
}

impl Repair<'_> {
    /// Their flags and keywords, as a conversion wrote them and the log changed them: all keywords of the
    /// mailbox then, and where they come from.
    pub(super) fn marks_of_recovered(
        &self,
        nth: usize,
        mailbox: &SdboxMailbox,
        seen: &mut Seen,
    ) -> Result<Option<(Vec<BString>, String)>> {
        let mut names = mailbox.mailbox().keywords.clone();
        let uidvalidity = mailbox.dbox.index.uid_validity;
        let (root, tree) = (self.root, &self.tree);
        let known = self.identities.recalled_under(root, tree, nth, uidvalidity);
        let is_known = |(message, _): &&mut (Message, u8)| {
            let is_recovered = mailbox.recovered.binary_search(&message.uid.get()).is_ok();
            is_recovered && recall_of(known, message).is_some()
        };
        let mut them: Vec<_> = seen.messages.iter_mut().filter(is_known).collect();
        let count = them.len();
        let mut followed = Vec::new();
        for (message, own_flags) in &them {
            let mut message = message.clone();
            if let Some(known) = recall_of(known, &message) {
                known.give(&mut message, &mut names);
            }
            followed.push((message, *own_flags));
        }
        if let Some(all) = follow_log(
            &mailbox.mails,
            &mailbox.mailbox().name,
            &names,
            &mut followed,
        )? {
            names = all;
        }
        for (message, followed) in them.iter_mut().zip(followed) {
            **message = followed;
        }
        let left = mailbox.recovered.len().saturating_sub(count);
        if left > 0 || mailbox.recovered.is_empty() {
            seen.lost.append(&mut seen.left_out);
        }
        if let Some(all) = seen.recovered.take().filter(|_| left > 0) {
            let left = counted(left as u64, "message");
            let some = format!("flags and keywords of {left} that {RECALLED_FROM} does not know");
            seen.lost.push(if count == 0 { all } else { some });
        }
        let count_of = counted(count as u64, "message");
        let said = format!("flags and keywords of {count_of} from {RECALLED_FROM}");
        Ok((count > 0).then_some((names, said)))
    }
}

/// What a conversion wrote of the message.
pub(super) fn recall_of<'r>(known: &'r [Recall], message: &Message) -> Option<&'r Recall> {
    Recall::find(known, message.uid).filter(|known| known.is(&message.guid))
}
