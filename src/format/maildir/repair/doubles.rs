//! Files that have the name of another.

use std::collections::HashMap;

use bstr::BString;

use super::super::doubles::knows_flags;
use super::super::filename::{base, info};
use super::super::folders::Folder;
use super::super::mailbox::MaildirMailbox;
use super::{Repair, names};
use crate::disk::plan::{About, Act};
use crate::report::catalogue::MAILDIR_DUPLICATE_NAME;
use crate::store::MailboxSource;

impl Repair<'_> {
    /// Of several files with the same name and bytes one stays. What only the others' names have of flags goes with
    /// them: that is a loss, unless the server's index has the flags of the one that stays.
    pub(super) fn remove_doubles(&mut self, mailbox: &MaildirMailbox<'_>, folder: &Folder) {
        let listing = &mailbox.listing;
        let kept: HashMap<_, _> = if listing.gone.is_empty() {
            HashMap::new()
        } else {
            { 0..listing.len() }
                .map(|at| (listing.base(at), at))
                .collect()
        };
        for (place, name) in &listing.gone {
            let at = kept.get(base(name)).copied();
            let flags = at.map(|at| (at, only_in(name, mailbox, at)));
            let flags = flags.filter(|(_, flags)| !flags.is_empty());
            let does = match &flags {
                Some((_, flags)) => format!("the same bytes have a better name, without {flags}"),
                None => "the same bytes have a better name".into(),
            };
            let is_in_doubt = |at: usize| !index_has_flags_of(mailbox, at);
            let lost = flags.filter(|(at, _)| is_in_doubt(*at));
            let lost = lost.map(|(at, flags)| format!("uid {}: perhaps {flags}", mailbox.uid(at)));
            let about = About {
                codes: vec![MAILDIR_DUPLICATE_NAME.code],
                lost: lost.into_iter().collect(),
                ..About::in_mailbox(&mailbox.mailbox().name, does)
            };
            let (place, path) = self.at(folder, &[place.name().as_bytes(), name]);
            self.plan.push_in(place, path, Act::Remove, about);
        }
    }

    /// True where a file of the mailbox has this base name, or gets it.
    pub(super) fn is_taken(&mut self, mailbox: &MaildirMailbox<'_>, name: &BString) -> bool {
        if self.taken.is_empty() {
            let listing = &mailbox.listing;
            let all = (0..listing.len()).map(|at| BString::from(listing.base(at)));
            self.taken.extend(all);
        }
        self.taken.contains(name)
    }

    /// A base name that no other file has.
    pub(super) fn take_name(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        mut name: BString,
        uid: u32,
    ) -> BString {
        while self.is_taken(mailbox, &name) {
            name = names::apart(&name, uid);
        }
        self.taken.insert(name.clone());
        name
    }
}

/// Flags and keywords that the name has, and that of the message has not.
fn only_in(name: &[u8], mailbox: &MaildirMailbox<'_>, at: usize) -> String {
    let (gone, kept) = (info(name), info(mailbox.listing.name(at)));
    let flags = (gone.flags & !kept.flags).names().map(str::to_owned);
    let letters = gone.letters & !kept.letters;
    let letters = (0..32).filter(|letter| letters & (1 << letter) != 0);
    let keywords = letters.map(|letter| mailbox.keyword_of(letter));
    flags.chain(keywords).collect::<Vec<_>>().join(" ")
}

fn index_has_flags_of(mailbox: &MaildirMailbox<'_>, at: usize) -> bool {
    let flags = info(mailbox.listing.name(at)).flags;
    let index = mailbox.index.as_ref().zip(mailbox.in_index(at));
    index.is_some_and(|(index, at)| knows_flags(index, at, flags))
}
