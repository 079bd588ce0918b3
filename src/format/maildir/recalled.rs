//! For a repair: what else knows of mailboxes that have no UIDVALIDITY in a uidlist.
//!
//! ```text
//! dovecot.index, its log    UIDVALIDITY, UIDNEXT, UIDs; of no message, which file it is
//! mailtally.state           UIDVALIDITY, UIDs by the names of files
//! dovecot.list.index        UIDVALIDITY, and UIDNEXT of all but INBOX
//! ```
//! An old UIDVALIDITY is taken only with an UIDNEXT: below that, a UID would show clients the wrong message.

use super::mailbox::MaildirMailbox;
use super::read::Maildir;
use super::uidlist;
use crate::error::Result;
use crate::format::dovecot_index::{self, INDEX, Index};
use crate::format::mailbox_list::{LIST, Listed, UNKNOWN_UIDS};
use crate::format::tally::STATE;
use crate::model::{MailboxGuid, UidValidity};
use crate::report::counted;
use crate::store::MailboxSource;

/// What is known of a mailbox beside its own files, and from where.
#[derive(Debug)]
struct Known {
    uidvalidity: Option<(UidValidity, &'static str)>,
    uidnext: u32,
    guid: Option<MailboxGuid>,
}

impl Maildir {
    /// Takes in what tells of mailboxes without a uidlist.
    pub(super) fn recall(&mut self) -> Result<()> {
        self.options.earlier = Some(self.root.again()?);
        for nth in 0..self.folders.len() {
            if self.identities[nth].told_by.is_some() || !self.folders[nth].selectable {
                continue;
            }
            let known = self.known(nth, self.listed(&self.folders[nth]));
            self.take_in(nth, &known);
        }
        Ok(())
    }

    fn known(&self, nth: usize, listed: Listed) -> Known {
        let index = self.index_quietly(nth);
        let given = self.given(&self.names[nth]);
        let given = given.and_then(|it| Some((UidValidity::new(it.uidvalidity)?, it.uidnext)));
        let listed_both = listed.uidvalidity.zip(listed.uidnext);
        let (uidvalidity, from) = match (&index, given, listed_both) {
            (Some(index), ..) => (UidValidity::new(index.uid_validity), INDEX),
            (None, Some((value, _)), _) => (Some(value), STATE),
            (None, None, both) => (both.map(|(value, _)| value), LIST),
        };
        let told = [given, listed_both].into_iter().flatten();
        let of_it = told.filter(|(value, _)| Some(*value) == uidvalidity);
        let uidnext = of_it.map(|(_, next)| next).max().unwrap_or(1);
        let unknown = if index.is_some() { 0 } else { UNKNOWN_UIDS };
        Known {
            uidvalidity: uidvalidity.map(|value| (value, from)),
            uidnext: uidnext.saturating_add(unknown),
            guid: listed.guid,
        }
    }

    fn index_quietly(&self, nth: usize) -> Option<Index> {
        let folder = &self.folders[nth];
        let dir = self.index_dir(folder, &self.folder(folder).ok()?).ok()??;
        let index = dovecot_index::load(&dir, INDEX, &mut |_| ()).ok()??;
        (index.uid_validity != 0).then_some(index)
    }

    fn take_in(&mut self, nth: usize, known: &Known) {
        let is_taken = |guid: &MailboxGuid| self.identities.iter().any(|it| it.guid == Some(*guid));
        let guid = known.guid.filter(|guid| !is_taken(guid));
        let identity = &mut self.identities[nth];
        identity.guid = identity.guid.or(guid);
        if let Some((uidvalidity, from)) = known.uidvalidity {
            identity.uidvalidity = uidvalidity;
            identity.told_by = Some(from);
            let name = self.names[nth].to_string();
            self.options.uidnext_before.insert(name, known.uidnext);
        }
    }

    /// Of a mailbox that has no uidlist, or none with a UIDVALIDITY: what comes from where, and what is lost.
    pub(super) fn told_of(
        &self,
        nth: usize,
        mailbox: &MaildirMailbox<'_>,
    ) -> (Vec<String>, Vec<String>) {
        let from = self.identities[nth].told_by;
        let all = mailbox.len() as u64;
        let new = all - mailbox.recalled - mailbox.matched;
        let mut does = Vec::new();
        match from {
            Some(from) if from != super::read::UIDLISTS[0] => {
                does.push(format!("UIDVALIDITY from {from}"));
            }
            _ => {}
        }
        if mailbox.recalled > 0 {
            let messages = counted(mailbox.recalled, "message");
            does.push(format!("UIDs of {messages} from {STATE}"));
        }
        if mailbox.matched > 0 {
            let messages = counted(mailbox.matched, "message");
            does.push(format!("UIDs of {messages} from {INDEX} and its cache"));
        }
        let new = if mailbox.made_up().uids {
            new
        } else {
            mailbox.renumbered
        };
        let uids = format!("the UIDs of {}", counted(new, "message"));
        let lost = match (from, mailbox.made_up().uids) {
            (None, false) => Some("UIDVALIDITY: clients load all messages again".into()),
            (None, true) => Some(format!(
                "UIDVALIDITY and {uids}: clients load all messages again"
            )),
            (Some(_), _) if new > 0 => Some(format!(
                "{uids}, which have new ones: clients load them again"
            )),
            _ => None,
        };
        let uidls = uidls_of_lost_lines(mailbox);
        (does, lost.into_iter().chain(uidls).collect())
    }
}

/// What lost lines told of messages to POP3 clients: where the others tell that, so did they.
fn uidls_of_lost_lines(mailbox: &MaildirMailbox<'_>) -> Option<String> {
    let has_uidl = |nth| uidlist::word(mailbox.listing.words(nth), b'P').is_some();
    let without = mailbox.renumbered + mailbox.matched;
    let is_lost = without > 0 && (0..mailbox.len()).any(has_uidl);
    let messages = counted(without, "message");
    is_lost.then(|| format!("the POP3 UIDLs of {messages}, where their lines had any"))
}
