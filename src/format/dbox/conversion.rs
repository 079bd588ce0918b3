//! What a conversion wrote of the mailboxes of an account that it made.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::disk::Dir;
use crate::format::tally::{self, StateMailbox, shown};
use crate::model::MailboxName;

/// The mailboxes of `mailtally.state`.
#[derive(Debug)]
pub struct Conversion {
    root: Dir,
    /// Read at the first question.
    read: OnceLock<State>,
}

#[derive(Debug, Default)]
struct State {
    created: String,
    format: String,
    /// By the names that a client sees.
    mailboxes: BTreeMap<String, StateMailbox>,
}

impl Conversion {
    /// Of the account in `root`.
    pub(super) fn of(root: Dir) -> Self {
        let read = OnceLock::new();
        Self { root, read }
    }

    fn read(&self) -> &State {
        self.read.get_or_init(|| {
            // What cannot be read is told by who holds messages against it.
            let Ok(Some((head, mailboxes))) = tally::read_state_mailboxes(&self.root) else {
                return State::default();
            };
            let each = mailboxes.into_iter();
            State {
                created: head.created,
                format: head.format,
                mailboxes: each.map(|it| (it.line.mailbox.clone(), it)).collect(),
            }
        })
    }

    /// When it was.
    pub(super) fn created(&self) -> &str {
        &self.read().created
    }

    /// True where it made an account of this format.
    pub(super) fn is_of(&self, format: &str) -> bool {
        self.read().format == format
    }

    /// By the names that a client sees.
    pub(super) fn mailboxes(&self) -> &BTreeMap<String, StateMailbox> {
        &self.read().mailboxes
    }

    /// One of them.
    pub(super) fn mailbox(&self, name: &MailboxName) -> Option<&StateMailbox> {
        self.mailboxes().get(&shown(name))
    }
}
