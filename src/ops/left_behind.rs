//! What an account has that its destination has no place for: said once an account, before it is lost
//! and after.

use super::teller::Teller;
use crate::model::{Account, Mailbox, MailboxName};
use crate::report::catalogue as rules;
use crate::report::{Finding, counted};
use crate::store::Holds;

/// What the account as a whole has and the destination has no place for.
pub fn tell_account(account: &Account, from: &Holds, to: &Holds, teller: &Teller<'_>) {
    if let Some(limits) = account.quota
        && !to.quota_limits
    {
        let shown = |limit: Option<u64>| limit.map_or("none".into(), |value| value.to_string());
        let (bytes, messages) = (shown(limits.bytes), shown(limits.messages));
        let detail = format!("bytes: {bytes}, messages: {messages}");
        teller.found(Finding::new(&rules::QUOTA_LIMIT, detail).path("maildirsize"));
    }
    if from.saved_dates && !to.saved_dates {
        let detail = "every message counts as saved when the destination was written";
        teller.found(Finding::new(&rules::ACCOUNT_SAVED_DATES, detail));
    }
}

/// What only shows when the mailboxes are opened, one after the other.
#[derive(Debug, Default)]
pub struct LeftBehind {
    /// Names without messages that are left out.
    bare: Vec<MailboxName>,
    /// Those that are carried.
    carried: Vec<MailboxName>,
    /// Mailboxes whose changes were counted, and the highest count.
    counted: (u64, u64),
}

impl LeftBehind {
    /// True if the mailbox is to be carried; its name at the destination is `name`.
    pub fn carries(&mut self, mailbox: &Mailbox, name: &MailboxName, to: &Holds) -> bool {
        if !mailbox.selectable && !to.holds_alone(name) {
            self.bare.push(name.clone());
            return false;
        }
        self.carried.push(name.clone());
        if !to.modseq && mailbox.highest_modseq > 1 {
            self.counted.0 += 1;
            self.counted.1 = self.counted.1.max(mailbox.highest_modseq);
        }
        true
    }

    /// Says what was left behind. A name above one that is carried is there all the same.
    pub fn tell(&self, teller: &Teller<'_>) {
        let above = |name: &MailboxName| self.carried.iter().any(|other| name.is_above(other));
        let lost = self
            .bare
            .iter()
            .filter(|name| !(name.is_inbox() || above(name)));
        for name in lost {
            let finding = Finding::new(&rules::MAILBOX_NO_SELECT, "left out");
            teller.found(finding.mailbox(name));
        }
        if let (mailboxes @ 1.., highest) = self.counted {
            let mailboxes = counted(mailboxes, "mailbox");
            let detail = format!("{mailboxes}, counted up to {highest}");
            teller.found(Finding::new(&rules::ACCOUNT_MODSEQ, detail));
        }
    }
}
