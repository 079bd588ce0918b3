//! Saved dates, where what the server's cache had of them cannot be read.

use super::super::mailbox::SdboxMailbox;
use super::recovered::recall_of;
use super::{CACHE, Repair, Seen};
use crate::error::Result;
use crate::format::dbox::Recall;
use crate::format::dovecot_index::{Cache, DATE_SAVE};
use crate::report::counted;
use crate::store::MailboxSource;

impl Repair<'_> {
    /// Takes them from what a conversion wrote; those that it does not know are lost, if the cache had any.
    pub(super) fn recall_saved(
        &self,
        nth: usize,
        mailbox: &SdboxMailbox,
        seen: &mut Seen,
    ) -> Result<()> {
        let unread = std::mem::take(&mut seen.unread_cache);
        if unread.is_empty() || !may_have_had_them(mailbox)? {
            return Ok(());
        }
        let uidvalidity = mailbox.dbox.index.uid_validity;
        let (root, tree) = (self.root, &self.tree);
        let known = self.identities.recalled_under(root, tree, nth, uidvalidity);
        let mut lost = 0;
        for (message, _) in &mut seen.messages {
            let at = mailbox.dbox.index.position(message.uid.get());
            if !at.is_some_and(|at| is_undated(mailbox, at)) {
                continue;
            }
            let recalled = recall_of(known, message).and_then(Recall::saved);
            lost += u64::from(recalled.is_none());
            message.saved = recalled.or(message.saved);
        }
        if lost > 0 {
            let (messages, why) = (counted(lost, "message"), unread.join("; "));
            seen.lost
                .push(format!("saved dates of {messages} that {CACHE} had: {why}"));
        }
        Ok(())
    }
}

/// The index has a place in the cache for it, and no date can be read there: zeros are none, in a damaged cache.
fn is_undated(mailbox: &SdboxMailbox, at: usize) -> bool {
    let saved = mailbox.saved.get(at).copied().flatten();
    mailbox.dbox.index.cache_offset(at) != 0 && saved.unwrap_or(0) == 0
}

/// False where what is left of the cache shows that the server keeps no saved dates in it.
fn may_have_had_them(mailbox: &SdboxMailbox) -> Result<bool> {
    let dir = mailbox.dbox.index_place()?;
    let cache = match dir {
        Some(dir) => Cache::open(&dir, CACHE, &mailbox.dbox.index, &mut |_| ())?,
        None => None,
    };
    let has_some = || (0..mailbox.len()).any(|at| mailbox.tells_saved(at));
    let tells_none = |cache: Cache| !cache.is_blank() && !cache.keeps(DATE_SAVE) && !has_some();
    Ok(!cache.is_some_and(tells_none))
}
