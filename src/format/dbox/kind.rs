//! Which of the two formats an account is, by what is left of it.
//!
//! ```text
//! storage/     holds m.N or the map                       mdbox
//! a mailbox    its index, or what lies beside that,
//!              names the extension dbox-hdr               sdbox
//!                                  mdbox-hdr or mdbox     mdbox, if it has no u.N
//!              u.N                                        sdbox
//! storage/     is there, and no more is known             mdbox
//! ```
//! The first mailbox that tells has the word.

use super::layout::{MAILBOXES, MAILS, STORAGE};
use crate::disk::{self, Dir};
use crate::error::Result;
use crate::format::dovecot_index::{INDEX, LOG};

/// Extensions are named at the beginning of an index, and of a log that no index goes before.
const LOOKED_AT: usize = 64 * 1024;
/// So many folders are looked into: one mailbox is all that is wanted.
const MOST_FOLDERS: usize = 256;
/// Deeper mailboxes are not looked at.
const DEEPEST: usize = 16;

/// The name of an extension stands behind its length, in an index and in a log.
const OF_SDBOX: &[&[u8]] = &[b"\x08\0dbox-hdr"];
const OF_MDBOX: &[&[u8]] = &[b"\x09\0mdbox-hdr", b"\x05\0mdbox\0"];

/// What an account looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One file a message.
    Sdbox,
    /// Many messages a file.
    Mdbox,
    /// There are mailboxes, and nothing tells.
    Either,
}

/// What lies in `root`; `None` where there are no mailboxes.
pub fn kind(root: &Dir) -> Option<Kind> {
    if !root.has_dir(MAILBOXES) {
        return None;
    }
    // What cannot be looked into is no proof.
    if holds_storage(root).unwrap_or(false) {
        return Some(Kind::Mdbox);
    }
    let mailboxes = root.dir(MAILBOXES).ok();
    let mut most = MOST_FOLDERS;
    let told = mailboxes.and_then(|mailboxes| beneath(&mailboxes, DEEPEST, &mut most));
    let silent = if root.has_dir(STORAGE) {
        Kind::Mdbox
    } else {
        Kind::Either
    };
    Some(told.unwrap_or(silent))
}

/// True where storage files of an mdbox, or their map, lie in a place of the account.
pub fn holds_storage(place: &Dir) -> Result<bool> {
    let mut holds = false;
    if let Some(storage) = place.dir_if_there(STORAGE)? {
        storage.each_entry(|name, _| holds |= is_of_storage(name))?;
    }
    Ok(holds)
}

fn is_of_storage(name: &[u8]) -> bool {
    name.starts_with(b"dovecot.map.index") || is_numbered(name, b"m.")
}

fn is_numbered(name: &[u8], begin: &[u8]) -> bool {
    let number = name.strip_prefix(begin);
    number.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

fn beneath(dir: &Dir, deepest: usize, most: &mut usize) -> Option<Kind> {
    let mut folders = dir.entries().ok()?;
    folders.retain(|entry| entry.kind == disk::Kind::Dir);
    folders.sort_by(|a, b| a.name.cmp(&b.name));
    folders.iter().find_map(|folder| {
        *most = most.checked_sub(1)?;
        let inner = dir.dir(&folder.name).ok()?;
        if folder.name == MAILS {
            of_mailbox(&inner)
        } else {
            beneath(&inner, deepest.checked_sub(1)?, most)
        }
    })
}

/// What one mailbox tells.
fn of_mailbox(mails: &Dir) -> Option<Kind> {
    let told = of_index(mails);
    if told == Some(Kind::Sdbox) {
        return told;
    }
    let mut has_messages = false;
    let listed = mails.each_entry(|name, _| has_messages |= is_numbered(name, b"u."));
    if has_messages && listed.is_ok() {
        Some(Kind::Sdbox)
    } else {
        told
    }
}

fn of_index(mails: &Dir) -> Option<Kind> {
    let backup = format!("{INDEX}.backup");
    let older = format!("{LOG}.2");
    let names = [INDEX, LOG, &backup, &older].into_iter();
    { names }.find_map(|name| of_beginning(&beginning(mails, name)?))
}

fn of_beginning(bytes: &[u8]) -> Option<Kind> {
    let has = |names: &[&[u8]]| {
        let mut names = names.iter();
        names.any(|name| memchr::memmem::find(bytes, name).is_some())
    };
    if has(OF_MDBOX) {
        Some(Kind::Mdbox)
    } else {
        has(OF_SDBOX).then_some(Kind::Sdbox)
    }
}

fn beginning(dir: &Dir, name: &str) -> Option<Vec<u8>> {
    let file = dir.file(name).ok()?;
    let mut bytes = vec![0; LOOKED_AT];
    let read = file.read_at(0, &mut bytes).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::disk::Real;

    /// An account of one mailbox with these files, beside folders in its root.
    fn told(files: &[(&str, &[u8])], folders: &[&str]) -> Option<Kind> {
        let temp = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir_all(temp.path().join(folder)).unwrap();
        }
        for (name, bytes) in files {
            put(
                &temp.path().join("mailboxes/A/B/dbox-Mails").join(name),
                bytes,
            );
        }
        kind(&Dir::open(temp.path(), Arc::new(Real)).unwrap())
    }

    fn put(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    const SDBOX: &[u8] = b"..\x08\0dbox-hdr..";
    const MDBOX: &[u8] = b"..\x09\0mdbox-hdr..";

    #[test]
    fn an_index_or_what_is_left_of_one_tells_the_format() {
        for name in ["dovecot.index", "dovecot.index.log", "dovecot.index.backup"] {
            assert_eq!(told(&[(name, SDBOX)], &[]), Some(Kind::Sdbox), "{name}");
            assert_eq!(told(&[(name, MDBOX)], &[]), Some(Kind::Mdbox), "{name}");
        }
    }

    #[test]
    fn a_message_file_makes_an_sdbox_whatever_else_is_there() {
        let files: &[(&str, &[u8])] = &[("u.7", b""), ("dovecot.index", MDBOX)];
        assert_eq!(told(files, &["storage"]), Some(Kind::Sdbox));
        assert_eq!(told(&files[..1], &[]), Some(Kind::Sdbox));
    }

    #[test]
    fn a_keyword_of_the_name_of_a_format_tells_nothing() {
        let files: &[(&str, &[u8])] = &[("dovecot.index", b"$label1\0mdbox-hdr\0dbox-hdr\0")];
        assert_eq!(told(files, &[]), Some(Kind::Either));
        assert_eq!(told(files, &["storage"]), Some(Kind::Mdbox));
    }

    #[test]
    fn without_mailboxes_there_is_neither() {
        assert_eq!(told(&[], &["storage"]), None);
    }
}
