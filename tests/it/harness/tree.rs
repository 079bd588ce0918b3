//! A whole tree as values that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bstr::BString;

/// What can be known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub mode: u32,
    pub owner: (u32, u32),
    /// Bytes of a file, the text of a link, nothing of all else.
    pub content: BString,
    /// Inode, and times of content and inode.
    pub id: u64,
    pub mtime: (i64, i64),
    pub ctime: (i64, i64),
}

/// Names and what is known of them.
pub type Tree = BTreeMap<PathBuf, Node>;

/// All below `root`, and `root` itself as the empty path.
pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    add(root, Path::new(""), &mut tree);
    tree
}

fn add(root: &Path, path: &Path, tree: &mut Tree) {
    let full = root.join(path);
    let stat = fs::symlink_metadata(&full).unwrap();
    let content = if stat.is_symlink() {
        fs::read_link(&full)
            .unwrap()
            .into_os_string()
            .into_encoded_bytes()
    } else if stat.is_file() {
        fs::read(&full).unwrap_or_default()
    } else {
        Vec::new()
    };
    let node = Node {
        mode: stat.mode(),
        owner: (stat.uid(), stat.gid()),
        content: content.into(),
        id: stat.ino(),
        mtime: (stat.mtime(), stat.mtime_nsec()),
        ctime: (stat.ctime(), stat.ctime_nsec()),
    };
    tree.insert(path.to_owned(), node);
    if stat.is_dir() {
        for entry in fs::read_dir(&full).unwrap() {
            add(root, &path.join(entry.unwrap().file_name()), tree);
        }
    }
}

/// The names that differ, and how; nothing for equal trees.
pub fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let mut all = Vec::new();
    for path in one
        .keys()
        .chain(other.keys().filter(|path| !one.contains_key(*path)))
    {
        let path_shown = path.display();
        match (one.get(path), other.get(path)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => all.push(format!("{path_shown}: {a:?} then {b:?}")),
            (Some(_), None) => all.push(format!("{path_shown}: gone")),
            (None, _) => all.push(format!("{path_shown}: new")),
        }
    }
    all
}

/// A true copy of a tree: links, modes, times and owners too. What `to` lies in is made.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(from).arg(to);
    assert!(cp.status().unwrap().success());
}
