//! Plans what makes an mdbox account sound again.
//!
//! ```text
//! storage files     read from end to end: messages that hold up, and gaps between them
//!   with damage     what holds up goes into a new m.N, with what is sound of damaged messages
//! map               corrected: each map UID where its message is, counted by the mailboxes that name it;
//!                   a second copy of what a mailbox has counts nothing
//! indexes           new only where one is damaged, or names a message of which nothing is left
//! ```
//! Where a mailbox cannot be read, any stored message may be one of its own: none is taken in elsewhere, none is
//! counted lower than the map has it, and damaged ones stay; a mailbox without its index waits.
//!
//! Map UIDs and the map's UIDVALIDITY stay, so that a sound mailbox is not touched when the map is lost.

mod copies;
mod entries;
mod indexes;
mod made_again;
mod mailboxes;
mod map;
mod orphans;
mod recalled;
mod storage;

use std::collections::BTreeMap;
use std::rc::Rc;

use bstr::BString;

use super::layout::STORAGE;
use super::read::Mdbox;
use crate::disk::Dir;
use crate::disk::plan::{Place, Plan};
use crate::error::Result;
use crate::format::dbox::{Identities, doubt_loss};
use crate::format::dovecot_index::mended_by_a_new_index;
use crate::format::{Absent, OpenOptions, RepairOptions};
use crate::report::Finding;
use crate::report::catalogue::MDBOX_MAP_MISSING;

use entries::Mailbox;
use map::NewMap;
use storage::{Moved, Scanned};

/// Looks at the account in `root`.
pub(super) fn plan(root: &Dir, open: &OpenOptions, options: RepairOptions) -> Result<Plan> {
    let mut map_codes = Vec::new();
    let mut found = |finding: Finding| {
        let path = finding.place.path.as_deref().unwrap_or_default();
        let of_map = path.starts_with(STORAGE) && mended_by_a_new_index(finding.rule);
        if of_map || finding.rule == &MDBOX_MAP_MISSING {
            map_codes.push(finding.rule.code);
        }
    };
    let store = Rc::new(super::read::open_typed(root.again()?, open, &mut found)?);
    map_codes.sort_unstable();
    map_codes.dedup();
    let mut repair = Repair {
        scanned: Scanned::read(&store.storage)?,
        identities: Identities::new(root, &store.tree, options.now),
        map: NewMap::new(&store),
        root,
        options,
        map_codes,
        mailboxes: Vec::new(),
        moved: Moved::default(),
        renamed: BTreeMap::new(),
        plan: Plan::default(),
        is_partly_hidden: store.tree.is_partly_hidden,
        absent: open.absent,
        store,
    };
    if open.absent == Absent::IsLost {
        let (mailboxes, _) = repair.store.tree.places.names();
        let plan = &mut repair.plan;
        for (dir, why) in [
            (STORAGE, "storage files have no place"),
            (mailboxes, "mailboxes have no place"),
        ] {
            plan.make_dirs((Place::Root, root), &[dir.into()], why);
        }
    }
    repair.read_mailboxes()?;
    repair.name_messages();
    repair.name_the_rest();
    repair.free_copies();
    repair.name_the_newer();
    repair.take_in_orphans()?;
    repair.write_storage()?;
    repair.write_map()?;
    repair.write_mailboxes()?;
    let tree = &repair.store.tree;
    repair.identities.finish(root, tree, &mut repair.plan)?;
    if repair.store.misses_all_indexes {
        doubt_loss(&mut repair.plan);
    }
    Ok(repair.plan)
}

struct Repair<'a> {
    root: &'a Dir,
    options: RepairOptions,
    store: Rc<Mdbox>,
    /// Codes of what is wrong with the map's own files.
    map_codes: Vec<&'static str>,
    scanned: Scanned,
    identities: Identities,
    mailboxes: Vec<Mailbox>,
    map: NewMap,
    /// Where messages of damaged files are, once their new files are written.
    moved: Moved,
    /// By file and place: messages that get another GUID.
    renamed: BTreeMap<(u32, u64), BString>,
    plan: Plan,
    /// A mailbox cannot be read, and may name any stored message.
    is_partly_hidden: bool,
    /// What is to be thought of the storage where it is not there.
    absent: Absent,
}
