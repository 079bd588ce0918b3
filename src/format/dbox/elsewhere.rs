//! Indexes that are nowhere to be found: the server may keep them where the location does not say.
//!
//! ```text
//! where indexes are looked for     an account of a server has there
//!     mailboxes/NAME/...           an index of each mailbox
//!     storage/dovecot.map.index*   the map, of an mdbox
//!     dovecot.list.index*          its list of mailboxes: an old one stays in PATH when INDEX= is first used
//! PATH/mailtally.state             or a conversion has written it, and wrote the indexes beside the messages
//! ```
//! Where not one of them is left, a forgotten INDEX= is likelier than a loss of all, which would cost every UID,
//! flag and keyword. A repair makes new ones all the same, where a server that has others does not look, and says so.

use super::layout::STORAGE;
use super::places::Mails;
use super::tree::Tree;
use crate::disk::Dir;
use crate::disk::plan::Plan;
use crate::error::Result;
use crate::format::dovecot_index::{CACHE, INDEX, LOG, OLD};
use crate::format::mailbox_log::is_of_a_server;
use crate::format::tally::STATE;
use crate::report::catalogue::INDEX_ELSEWHERE;
use crate::report::{Finding, counted};

const MAPS: [&str; 4] = [
    "dovecot.map.index",
    "dovecot.map.index.log",
    "dovecot.map.index.log.2",
    "dovecot.map.index.backup",
];

/// Says it where a plan first tells of a loss.
pub fn doubt_loss(plan: &mut Plan) {
    let mut steps = plan.steps.iter_mut();
    if let Some(step) = steps.find(|step| !step.about.lost.is_empty()) {
        let doubt = "if the server keeps its indexes elsewhere, none of it is lost: take this back with --undo, and \
                     name the place (INDEX=)";
        step.about.lost.push(doubt.into());
    }
}

impl Tree {
    /// True where there are mailboxes, and no sign that an index of one was ever where it is looked for.
    pub fn has_no_sign_of_indexes(&self, root: &Dir) -> bool {
        let is_used = match &self.places.index {
            Some(index) => is_of_a_server(index),
            None => has(root, &[STATE]),
        };
        let map = self.places.map_index(root, STORAGE).ok().flatten();
        let is_signed = is_used || map.is_some_and(|map| has(&map, &MAPS));
        let mut mailboxes = self.selectable().peekable();
        mailboxes.peek().is_some() && !is_signed && !mailboxes.any(|nth| self.has_index(nth))
    }

    fn has_index(&self, nth: usize) -> bool {
        let mails = self.mails(nth, &mut |_| ()).ok().flatten();
        let dir = mails.map_or(Ok(None), |mails| mails.index_dir());
        dir.ok()
            .flatten()
            .is_some_and(|dir| has(&dir, &[INDEX, LOG, CACHE]) || has(&dir, &OLD))
    }

    /// Says that the indexes may lie elsewhere.
    pub fn no_sign_of_indexes(&self) -> Finding {
        let mailboxes = counted(self.selectable().count() as u64, "mailbox");
        let detail = if self.places.index_is_elsewhere() {
            format!(
                "{mailboxes}, and nothing of an index where INDEX= says: look whether the server has another \
                 directory there"
            )
        } else {
            format!("{mailboxes}, and nothing of an index; the location has no INDEX=")
        };
        Finding::new(&INDEX_ELSEWHERE, detail)
    }

    /// True where one of the mailboxes is such a one.
    pub fn any_mailbox(&self, is: impl Fn(&Mails) -> Result<bool>) -> bool {
        let mailboxes = self.selectable();
        let mut mails = mailboxes.filter_map(|nth| self.mails(nth, &mut |_| ()).ok().flatten());
        mails.any(|mails| is(&mails).unwrap_or(false))
    }
}

fn has(dir: &Dir, names: &[&str]) -> bool {
    let is_there = |name: &&str| dir.stat(name).is_ok();
    names.iter().any(is_there)
}
