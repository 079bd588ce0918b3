//! Reads an sdbox account, as we or a live Dovecot left it.

use super::mailbox::SdboxMailbox;
use crate::digest::Digest;
use crate::disk::Dir;
use crate::error::{Error, Result};
use crate::format::dbox::{OnlyAbove, Tree, stamp_tree};
use crate::format::{OpenOptions, stamp::Stamper};
use crate::model::{Account, MailboxName};
use crate::store::{Found, MailboxSource, Source};

/// Opens the account in `root`.
pub fn open(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Box<dyn Source>> {
    refuse_mdbox(&root)?;
    let tree = Tree::open(&root, "sdbox", options, found)?;
    Ok(Box::new(Sdbox { root, tree }))
}

/// The trees are alike; the messages of an mdbox lie elsewhere.
fn refuse_mdbox(root: &Dir) -> Result<()> {
    let has_map = match root.dir_if_there("storage") {
        Ok(Some(storage)) => ["dovecot.map.index", "dovecot.map.index.log"]
            .iter()
            .any(|name| storage.stat(name).is_ok()),
        _ => false,
    };
    if has_map {
        return Err(Error::Usage {
            what: format!("{} holds an mdbox", root.path().display()),
            help: "write mdbox: in place of sdbox:".into(),
        });
    }
    Ok(())
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
            None => Box::new(OnlyAbove::new(name, &self.root)),
        })
    }

    fn root(&self) -> &Dir {
        &self.root
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
