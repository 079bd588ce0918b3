//! Where the files of a mailbox lie: `INBOX=`, `CONTROL=` and `INDEX=` put some of them elsewhere.

use bstr::BString;

use super::super::folders::Folder;
use super::Repair;
use crate::disk::Dir;
use crate::disk::plan::{About, Act, Path, Place};
use crate::error::Result;

impl Repair<'_> {
    /// A name in the folder of the messages.
    pub(super) fn at(&self, folder: &Folder, names: &[&[u8]]) -> (Place, Path) {
        let elsewhere = self.store.options.inbox.is_some() && folder.path.is_empty();
        let place = if elsewhere { Place::Inbox } else { Place::Root };
        let names = names.iter().map(|name| BString::from(*name));
        (place, folder.path.iter().cloned().chain(names).collect())
    }

    /// Where uidlists and the like are.
    pub(super) fn control_place(&self) -> Place {
        match self.store.options.control {
            Some(_) => Place::Control,
            None => Place::Root,
        }
    }

    /// Puts a file among those that tell of the messages. Directories on the way are made.
    pub(super) fn put_beside(&mut self, folder: &Folder, name: &str, act: Act, about: About) {
        let Some(control) = &self.store.options.control else {
            let (place, path) = self.at(folder, &[name.as_bytes()]);
            return self.plan.push_in(place, path, act, about);
        };
        let why = "the mailbox has no place for its files there";
        self.plan
            .make_dirs((Place::Control, control), &folder.side, why);
        let mut path = folder.side.clone();
        path.push(name.into());
        self.plan.push_in(Place::Control, path, act, about);
    }

    /// A file of the mailbox's index.
    pub(super) fn indexed(&self, folder: &Folder, name: &str) -> (Place, Path) {
        if self.store.options.index.is_none() {
            return self.at(folder, &[name.as_bytes()]);
        }
        let mut path = folder.side.clone();
        path.push(name.into());
        (Place::Index, path)
    }

    /// The directory of the mailbox's index.
    pub(super) fn index_dir(&self, folder: &Folder) -> Result<Dir> {
        match &self.store.options.index {
            Some(index) => index.descend(&folder.side),
            None => self.store.folder(folder),
        }
    }
}
