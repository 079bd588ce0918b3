//! Plans what makes an mdbox account sound again.
//!
//! ```text
//! storage files     read from end to end: messages that hold up, and gaps between them
//!   with damage     what holds up goes into a new m.N, with what is sound of damaged messages
//! map               corrected: each map UID where its message is, counted by the mailboxes that name it
//! indexes           new only where one is damaged, or names a message of which nothing is left
//! ```
//! Map UIDs and the map's UIDVALIDITY stay, so that a sound mailbox is not touched when the map is lost.

mod account;
mod mailboxes;
mod storage;

use std::rc::Rc;

use crate::disk::Dir;
use crate::disk::plan::Plan;
use crate::error::Result;
use crate::format::{OpenOptions, RepairOptions};

use account::Account;

/// Looks at the account in `root`.
pub(super) fn plan(root: &Dir, open: &OpenOptions, options: &RepairOptions) -> Result<Plan> {
    let store = Rc::new(super::read::open_typed(root.again()?, open, &mut |_| ())?);
    let mut account = Account::new(root, store, options);
    account.read_mailboxes()?;
    account.read_storage()?;
    account.settle()?;
    account.plan()
}
