//! Reads an sdbox account, as we or a live Dovecot left it.

use std::collections::BTreeSet;

use super::listing;
use super::mailbox::SdboxMailbox;
use crate::digest::Digest;
use crate::disk::Dir;
use crate::error::{Error, Result};
use crate::format::dbox::{Places, Tree, holds_storage, stamp_tree};
use crate::format::only_above::OnlyAbove;
use crate::format::{OpenOptions, stamp::Stamper};
use crate::model::{Account, MailboxGuid, MailboxName, UidValidity};
use crate::store::{Found, MailboxSource, Source};

/// Opens the account in `root`.
pub fn open(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Box<dyn Source>> {
    let tree = Tree::open(&root, "sdbox", options, found)?;
    refuse_mdbox(&root, &tree.places)?;
    if misses_all_indexes(&root, &tree) {
        found(tree.no_sign_of_indexes());
    }
    Ok(Box::new(Sdbox { root, tree }))
}

/// True where there are messages, and no sign of any index.
pub(super) fn misses_all_indexes(root: &Dir, tree: &Tree) -> bool {
    tree.has_no_sign_of_indexes(root) && tree.any_mailbox(listing::has_files)
}

/// The trees are alike; the messages of an mdbox lie elsewhere. To take one for the other would cost every
/// message its index.
pub(super) fn refuse_mdbox(root: &Dir, places: &Places) -> Result<()> {
    // Where it cannot be looked into, the indexes tell.
    let holds = |place: &Dir| holds_storage(place).unwrap_or(false);
    if places.index_or(root).any(holds) {
        return Err(holds_an_mdbox(root));
    }
    Ok(())
}

/// What to write in place of `sdbox:`.
pub(super) fn holds_an_mdbox(root: &Dir) -> Error {
    Error::Missing {
        what: format!("{} holds no sdbox, but an mdbox", root.path().display()),
        help: "write mdbox: in place of sdbox:".into(),
    }
}

/// A digest of all that changes when a server works on the account.
pub fn stamp(root: &Dir) -> Result<Digest> {
    let mut stamper = Stamper::default();
    stamp_tree(root, &mut stamper)?;
    Ok(stamper.digest())
}

struct Sdbox {
    root: Dir,
    tree: Tree,
}

impl Source for Sdbox {
    fn account(&self) -> &Account {
        &self.tree.account
    }

    fn mailboxes(&self) -> &[MailboxName] {
        &self.tree.names
    }

    fn mailbox<'a>(&'a self, nth: usize, found: Found<'_>) -> Result<Box<dyn MailboxSource + 'a>> {
        let name = &self.tree.names[nth];
        Ok(match self.tree.mails(nth, found)? {
            Some(mails) => Box::new(SdboxMailbox::open(name, mails, &self.tree.places, found)?),
            None => Box::new(OnlyAbove::new(name, UidValidity::ONE, &self.root)),
        })
    }

    fn root(&self) -> &Dir {
        &self.root
    }

    fn deleted_mailboxes(&self) -> Option<BTreeSet<MailboxGuid>> {
        self.tree.places.deleted_mailboxes(&self.root)
    }

    fn estimate(&self) -> u64 {
        let dirs = self.tree.selectable();
        let mails = dirs.filter_map(|nth| self.tree.mails(nth, &mut |_| ()).ok().flatten());
        mails
            .map(|mails| mails.dir.count() + mails.alt.map_or(0, |alt| alt.count()))
            .sum()
    }

    fn stamp(&self) -> Result<Digest> {
        let mut stamper = Stamper::default();
        self.tree.stamp(&self.root, &mut stamper)?;
        Ok(stamper.digest())
    }
}
