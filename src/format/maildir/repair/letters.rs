//! A new dovecot-keywords, where that is damaged or lacks names.

use bstr::BString;

use super::super::filename::LETTERS;
use super::super::folders::Folder;
use super::super::keywords::DOVECOT;
use super::super::letters::{is_named, letter_is};
use super::super::mailbox::MaildirMailbox;
use super::{Repair, rows};
use crate::disk::plan::{About, Act};
use crate::report::catalogue::{MAILDIR_KEYWORD_UNNAMED, MAILDIR_KEYWORDS_BROKEN};
use crate::report::counted;
use crate::store::MailboxSource;

const OTHERS: &str = "every other folder that names it";

impl Repair<'_> {
    /// Gives letters the names that the index tells, else those that all other folders have. A letter that stays
    /// without one is for a person.
    pub(super) fn name_letters(&mut self, mailbox: &MaildirMailbox<'_>, folder: &Folder) {
        let named = &mailbox.named;
        let is_broken = named.has_list && named.broken > 0;
        let unnamed: Vec<_> = mailbox.unnamed_letters().collect();
        let mut letters = named.letters.clone();
        letters.resize(LETTERS as usize, None);
        let told = self.names_of(mailbox, &unnamed, &mut letters);
        self.plan.leaves_something |= told.len() < unnamed.len();
        if told.is_empty() && !is_broken {
            return;
        }
        let mut codes = Vec::new();
        let mut does = Vec::new();
        if is_broken {
            codes.push(MAILDIR_KEYWORDS_BROKEN.code);
            let lines = counted(named.broken, "line");
            does.push(format!("a new list without {lines} that cannot be read"));
        }
        if !told.is_empty() {
            codes.push(MAILDIR_KEYWORD_UNNAMED.code);
            does.push(format!("letter {}", told.join("; letter ")));
        }
        let about = About {
            codes,
            ..About::in_mailbox(&mailbox.mailbox().name, does.join("; "))
        };
        let act = Act::put(rows::keywords(&letters));
        self.put_beside(folder, DOVECOT, act, about);
    }

    /// Enters the names of letters that have none; which, and who tells them.
    fn names_of(
        &self,
        mailbox: &MaildirMailbox<'_>,
        unnamed: &[u32],
        letters: &mut [Option<BString>],
    ) -> Vec<String> {
        let mut told = Vec::new();
        for (letter, deduced) in &mailbox.deduced {
            told.push(deduced.of(*letter));
            letters[*letter as usize] = Some(deduced.name.clone());
        }
        if told.len() == unnamed.len() {
            return told;
        }
        let indexed = mailbox.indexed_letters();
        for letter in unnamed {
            let place = *letter as usize;
            if letters[place].is_some() {
                continue;
            }
            let proposed = self.store.keyword_proposed(*letter);
            let fits =
                |name: &BString| !is_named(letters, name) && indexed.allow(place, name, letters);
            if let Some(name) = proposed.filter(fits) {
                told.push(letter_is(*letter, &name, OTHERS));
                letters[place] = Some(name);
            }
        }
        told
    }
}
