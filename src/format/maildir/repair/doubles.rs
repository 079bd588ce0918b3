//! Files that have the name of another.

use std::collections::HashMap;

use bstr::BString;

use super::super::doubles::knows_flags;
use super::super::filename::{LETTERS, base, info};
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
            let only = at.map(|at| (at, OnlyIn::of(name, mailbox, at)));
            let only = only.filter(|(_, only)| !only.marks.is_empty());
            let does = match &only {
                Some((_, only)) => {
                    format!("the same bytes have a better name, without {}", only.marks)
                }
                None => "the same bytes have a better name".into(),
            };
            let lost = only.filter(|(_, only)| !only.are_of_the_past);
            let lost = lost.map(|(at, OnlyIn { marks, .. })| {
                format!("uid {}: perhaps {marks}", mailbox.uid(at))
            });
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

/// Flags and keywords that only a name that goes has.
struct OnlyIn {
    marks: String,
    /// The server's index has the flags of the name that stays, and none of these.
    are_of_the_past: bool,
}

impl OnlyIn {
    fn of(name: &[u8], mailbox: &MaildirMailbox<'_>, at: usize) -> Self {
        let (gone, kept) = (info(name), info(mailbox.listing.name(at)));
        let flags = (gone.flags & !kept.flags).names().map(str::to_owned);
        let letters = gone.letters & !kept.letters;
        let letters = (0..LETTERS).filter(|letter| letters & (1 << letter) != 0);
        let keywords = letters.clone().map(|letter| mailbox.keyword_of(letter));
        let index = mailbox.index.as_ref().zip(mailbox.in_index(at));
        let is_known = index.is_some_and(|(index, at)| knows_flags(index, at, kept.flags));
        let has_indexed = |letter| mailbox.has_indexed(at, letter);
        Self {
            marks: flags.chain(keywords).collect::<Vec<_>>().join(" "),
            are_of_the_past: is_known && !letters.clone().any(has_indexed),
        }
    }
}
