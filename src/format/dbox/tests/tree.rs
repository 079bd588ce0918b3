//! Trees that no server makes: nothing in them is passed over without a word.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use super::super::Tree;
use crate::disk::{Action, Dir, Disk, Real, Step};
use crate::format::OpenOptions;
use crate::format::stamp::Stamper;

/// An account with these directories below `mailboxes`.
fn account(dirs: &[&str]) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    for dir in dirs {
        fs::create_dir_all(temp.path().join("mailboxes").join(dir)).unwrap();
    }
    temp
}

/// The tree, and what is found in it: codes and paths.
fn tree(root: &Path, disk: Arc<dyn Disk>) -> (Tree, Vec<(&'static str, String)>) {
    let mut findings = Vec::new();
    let root = Dir::open(root, disk).unwrap();
    let tree = Tree::open(&root, "sdbox", &OpenOptions::default(), &mut |finding| {
        let path = finding.place.path.unwrap_or_default();
        findings.push((finding.rule.code, path));
    });
    (tree.unwrap(), findings)
}

fn names(tree: &Tree) -> Vec<String> {
    tree.selectable()
        .map(|nth| tree.names[nth].to_string())
        .collect()
}

const UNREADABLE: &str = "mailbox.unreadable";

#[test]
fn of_two_folders_of_one_name_none_is_lost() {
    let boxes = ["INBOX", "Inbox", "iNBOX"].map(|name| format!("{name}/dbox-Mails"));
    let temp = account(&boxes.each_ref().map(|name| &name[..]));
    let (tree, findings) = tree(temp.path(), Arc::new(Real));
    assert_eq!(names(&tree), ["INBOX", "Inbox", "iNBOX"]);
    let paths = ["Inbox", "iNBOX"];
    assert_eq!(findings, paths.map(|path| ("mailbox.name", path.into())));
    for (nth, name) in ["INBOX", "Inbox", "iNBOX"].iter().enumerate() {
        assert_eq!(tree.storage_name(nth), *name);
    }
}

#[test]
fn what_is_not_followed_is_said() {
    let temp = account(&["INBOX/dbox-Mails", "A", "elsewhere/dbox-Mails"]);
    let mailboxes = temp.path().join("mailboxes");
    symlink("elsewhere", mailboxes.join("B")).unwrap();
    symlink("../elsewhere/dbox-Mails", mailboxes.join("A/dbox-Mails")).unwrap();
    fs::create_dir(mailboxes.join("C")).unwrap();
    fs::write(mailboxes.join("C/dbox-Mails"), "").unwrap();
    fs::write(mailboxes.join("file"), "").unwrap();
    let (tree, findings) = tree(temp.path(), Arc::new(Real));
    assert_eq!(names(&tree), ["INBOX", "elsewhere"]);
    let paths = ["A/dbox-Mails", "B", "C/dbox-Mails"];
    assert_eq!(findings, paths.map(|path| (UNREADABLE, path.into())));
}

#[test]
fn a_tree_that_is_too_deep_is_said_where_it_is_left() {
    let deep = ["d"; 66].join("/");
    let temp = account(&["INBOX/dbox-Mails", &deep]);
    let (tree, findings) = tree(temp.path(), Arc::new(Real));
    assert_eq!(names(&tree), ["INBOX"]);
    assert_eq!(findings, [(UNREADABLE, ["d"; 65].join("/"))]);
}

/// A disk on which one name cannot be opened or looked at.
#[derive(Debug)]
struct Forbidden(&'static str);

impl Disk for Forbidden {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        let hit = matches!(step.action, Action::OpenDir | Action::Stat);
        if hit && step.name == self.0.as_bytes() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }
}

#[test]
fn a_folder_whose_messages_cannot_be_looked_for_is_said() {
    let temp = account(&["INBOX/dbox-Mails"]);
    let (tree, findings) = tree(temp.path(), Arc::new(Forbidden("dbox-Mails")));
    assert_eq!(names(&tree), [""; 0]);
    assert_eq!(findings, [(UNREADABLE, "INBOX/dbox-Mails".into())]);
}

#[test]
fn a_folder_that_cannot_be_read_is_part_of_the_stamp_and_stops_nothing() {
    let temp = account(&["A/dbox-Mails", "B/dbox-Mails"]);
    let stamp = |disk: Arc<dyn Disk>| {
        let (tree, _) = tree(temp.path(), Arc::clone(&disk));
        let mut stamper = Stamper::default();
        let root = Dir::open(temp.path(), disk).unwrap();
        tree.stamp(&root, &mut stamper).unwrap();
        stamper.digest()
    };
    let forbidden = || stamp(Arc::new(Forbidden("A")));
    let before = forbidden();
    assert_eq!(before, forbidden());
    assert_ne!(before, stamp(Arc::new(Real)));
    fs::write(temp.path().join("mailboxes/B/dbox-Mails/u.1"), "").unwrap();
    assert_ne!(before, forbidden());
}
