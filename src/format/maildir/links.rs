//! Messages that are links into other folders of the account.

use std::collections::HashMap;

use bstr::BString;

use crate::disk::{Dir, Kind};

/// The links of one mailbox, by number.
#[derive(Default)]
pub(super) struct Links {
    dirs: Vec<Dir>,
    by_path: HashMap<Vec<BString>, usize>,
    targets: Vec<(usize, BString)>,
}

/// Open folders are few, whatever a user linked to.
const MOST_LINKED_FOLDERS: usize = 32;

impl Links {
    /// The folder and name behind a link's number; 0 is no link.
    pub(super) fn target(&self, link: u32) -> Option<(&Dir, &BString)> {
        let nth = (link as usize).checked_sub(1)?;
        let (dir, name) = self.targets.get(nth)?;
        Some((&self.dirs[*dir], name))
    }

    /// Enters a link to a regular file and returns its number.
    pub(super) fn enter(&mut self, root: &Dir, path: &[BString]) -> Option<u32> {
        let (name, above) = path.split_last()?;
        let dir = match self.by_path.get(above) {
            Some(dir) => *dir,
            None if self.dirs.len() == MOST_LINKED_FOLDERS => return None,
            None => {
                self.dirs.push(root.descend(above).ok()?);
                self.by_path.insert(above.to_vec(), self.dirs.len() - 1);
                self.dirs.len() - 1
            }
        };
        let stat = self.dirs[dir].stat(name).ok()?;
        if stat.kind != Kind::File {
            return None;
        }
        self.targets.push((dir, name.clone()));
        u32::try_from(self.targets.len()).ok()
    }
}
