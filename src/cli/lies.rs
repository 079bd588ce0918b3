//! What lies where a location points, if it is not what the location says: and what to write instead.
//!
//! ```text
//! PATH        another format            mdbox: in place of maildir:
//! PATH/..     the store itself          one level (or a few) too deep, as with a folder of a Maildir++
//! PATH/NAME   stores of one or many     too high
//! ```

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailtally::disk::{Dir, Kind, Real};
use mailtally::format::location::{Keys, Layout};
use mailtally::format::mailbox_log::is_of_a_server;
use mailtally::format::{self, Likeness, Room};
use mailtally::report::escape;
use mailtally::{Error, Result};

/// So many names are looked at: all that is wanted is one that is a store.
const LOOKED_AT: usize = 100;
/// What a server makes in the root of an account alone, beside its list of mailboxes.
const ONCE: [&str; 2] = ["dovecot-uidvalidity", "subscriptions"];
/// From the folder of a mailbox up to the root of a store.
const LEVELS_UP: usize = 4;

/// Refuses a directory that is plainly no store of this format. In doubt the format has the word.
pub fn refuse_other(root: &Dir, room: &Room, keys: &Keys) -> Result<()> {
    if let Some(account) = account_above(root, keys).filter(|_| room.name == "maildir") {
        let what = format!("{} is a folder of an account", shown(root.path()));
        let help = format!("write maildir:{account} for all of the account");
        return Err(Error::Missing { what, help });
    }
    let elsewhere = keys.inbox.is_some() || keys.dirname.is_some() || keys.mailboxdir.is_some();
    if elsewhere || could_be(root, room, keys) {
        return Ok(());
    }
    let missing = |holds: &str, help| {
        let what = format!("{} holds no {}{holds}", shown(root.path()), room.name);
        Err(Error::Missing { what, help })
    };
    match surely(root) {
        Some(other) if other.name == room.name => Ok(()),
        Some(other) => missing(
            &format!(", but what looks like {}", other.name),
            format!("write {}: in place of {}:", other.name, room.name),
        ),
        None => match near(root) {
            Some(help) => missing("", help),
            None => Ok(()),
        },
    }
}

/// What to write where no store lies here, but one lies near.
pub fn near(root: &Dir) -> Option<String> {
    above(root).or_else(|| below(root))
}

/// The account of a folder of a Maildir++. An account's own name may begin with a dot too, but then it lies in
/// no Maildir, or is not marked as a folder and the only one there.
fn account_of_folder(root: &Dir) -> Option<PathBuf> {
    let path = root.path().canonicalize().ok()?;
    let (above, name) = (path.parent()?, path.file_name()?.as_bytes());
    let account = Dir::open(above, Arc::new(Real)).ok()?;
    if !name.starts_with(b".") || !is_maildir(&account) {
        return None;
    }
    let has_others = || {
        let names = account.entries().unwrap_or_default();
        let mut others = { names.iter() }.filter(|it| it.name != name && it.name.starts_with(b"."));
        others.any(|it| account.dir(&it.name).is_ok_and(|dir| is_maildir(&dir)))
    };
    let is_marked = root.stat("maildirfolder").is_ok();
    (is_marked || has_others()).then(|| above.to_owned())
}

/// The account of a folder with `LAYOUT=fs`, any levels up. Folders are called as they like; but what a server keeps
/// once an account lies in the account and in none of its folders.
fn account_of_level(root: &Dir) -> Option<PathBuf> {
    let has_others = |dir: &Dir| ONCE.iter().any(|name| dir.stat(name).is_ok());
    let is_account = |dir: &Dir| is_of_a_server(dir) || has_others(dir);
    let path = root.path().canonicalize().ok()?;
    let mut above = path.ancestors().skip(1).take(LEVELS_UP);
    let above = above.find(|above| {
        let dir = Dir::open(above, Arc::new(Real));
        dir.is_ok_and(|dir| is_maildir(&dir) && is_account(&dir))
    })?;
    (!is_account(root)).then(|| above.to_owned())
}

/// As it is to be written.
fn account_above(root: &Dir, keys: &Keys) -> Option<String> {
    if keys.layout == Some(Layout::Fs) {
        return account_of_level(root).map(|account| format!("{}:LAYOUT=fs", shown(&account)));
    }
    account_of_folder(root).map(|account| shown(&account))
}

fn is_maildir(dir: &Dir) -> bool {
    dir.has_dir("cur") && dir.has_dir("new")
}

/// A Maildir without places of messages may have them in folders; those without a dot are none of its own.
fn could_be(root: &Dir, room: &Room, keys: &Keys) -> bool {
    if room.name != "maildir" {
        return (room.detect)(root) > Likeness::No;
    }
    let fs_layout = keys.layout == Some(Layout::Fs);
    let has = |dir: &Dir, name: &str| dir.stat(name).is_ok();
    let holds = |dir: &Dir| ["cur", "new", "tmp"].iter().any(|name| has(dir, name));
    let names = root.entries().unwrap_or_default();
    let mut folders = names
        .iter()
        .filter(|entry| fs_layout || entry.name.starts_with(b"."));
    holds(root) || folders.any(|entry| root.dir(&entry.name).is_ok_and(|dir| holds(&dir)))
}

/// The one format that a directory surely is.
fn surely(dir: &Dir) -> Option<&'static Room> {
    let mut sure = format::ROOMS
        .iter()
        .filter(|room| (room.detect)(dir) == Likeness::Yes);
    sure.next().filter(|_| sure.next().is_none())
}

fn above(root: &Dir) -> Option<String> {
    let path = root.path().canonicalize().ok()?;
    path.ancestors().skip(1).take(LEVELS_UP).find_map(|above| {
        let dir = Dir::open(above, Arc::new(Real)).ok()?;
        let room = surely(&dir)?;
        Some(format!(
            "it lies in a store: write {}:{}",
            room.name,
            shown(above)
        ))
    })
}

fn below(root: &Dir) -> Option<String> {
    let names = root.entries().unwrap_or_default();
    let folders = names.iter().filter(|entry| entry.kind == Kind::Dir);
    let stores = folders.take(LOOKED_AT).filter_map(|entry| {
        let dir = root.dir(&entry.name).ok()?;
        let home = || Some(("/Maildir", surely(&dir.dir("Maildir").ok()?)?));
        let (below, room) = surely(&dir).map(|room| ("", room)).or_else(home)?;
        Some((&entry.name, below, room))
    });
    let stores: Vec<_> = stores.collect();
    let (name, inner, room) = stores.first()?;
    let (path, name, driver) = (shown(root.path()), escape(name), room.name);
    Some(if stores.len() == 1 {
        format!("a store lies below it: write {driver}:{path}/{name}{inner}")
    } else {
        format!(
            "stores lie below it: write {driver}:{path}/%u{inner} for all of them, or \
             {driver}:{path}/{name}{inner} for one"
        )
    })
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
