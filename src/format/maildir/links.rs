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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Real;
    use std::sync::Arc;

    #[test]
    fn only_regular_files_are_entered_and_open_folders_are_few() {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open(temp.path(), Arc::new(Real)).unwrap();
        for nth in 0..=MOST_LINKED_FOLDERS {
            let folder = root.make_dir(format!("f{nth}")).unwrap();
            folder.write("a", b"").unwrap();
            folder.make_link("l", b"a").unwrap();
        }
        let mut links = Links::default();
        let mut enter = |path: [&str; 2]| links.enter(&root, &path.map(BString::from));
        assert_eq!(enter(["f0", "gone"]), None);
        assert_eq!(enter(["f0", "l"]), None, "a link to a link");
        assert_eq!(enter(["none", "a"]), None);
        for nth in 0..MOST_LINKED_FOLDERS {
            let number = u32::try_from(nth).unwrap() + 1;
            assert_eq!(enter([&format!("f{nth}"), "a"]), Some(number));
        }
        assert_eq!(enter([&format!("f{MOST_LINKED_FOLDERS}"), "a"]), None);
        assert!(
            enter(["f3", "a"]).is_some(),
            "a folder that is open already"
        );
        assert!(links.target(0).is_none(), "0 is no link");
        let (dir, name) = links.target(2).unwrap();
        assert!(dir.path().ends_with("f1") && name == "a");
    }
}
