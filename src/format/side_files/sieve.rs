//! Sieve scripts: `.dovecot.sieve` in the account's root, mostly a link into `sieve/`.
//!
//! Scripts are carried, compiled ones (`.svbin`) are not: a server compiles them again.

use bstr::BString;

use crate::disk::{Dir, Kind};
use crate::error::Result;
use crate::format::writing::Writing;
use crate::model::{SieveFile, SieveKind};
use crate::report::catalogue::SIEVE_UNREADABLE;
use crate::report::{Finding, escape};
use crate::store::Found;

const ACTIVE: &str = ".dovecot.sieve";
const FOLDER: &str = "sieve";
const DEEPEST: usize = 16;

/// All scripts of an account.
pub fn read(root: &Dir, found: Found<'_>) -> Vec<SieveFile> {
    let mut files = Vec::new();
    if let Ok(Some(stat)) = root.stat_if_there(ACTIVE) {
        take(
            root,
            root,
            &[],
            ACTIVE.as_bytes(),
            stat.kind,
            &mut files,
            found,
        );
    }
    match root.dir_if_there(FOLDER) {
        Ok(Some(folder)) => walk(root, &folder, &[FOLDER.into()], &mut files, found),
        Ok(None) => {}
        Err(error) => found(Finding::new(&SIEVE_UNREADABLE, error.chain()).path(FOLDER)),
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(root: &Dir, dir: &Dir, at: &[BString], files: &mut Vec<SieveFile>, found: Found<'_>) {
    let entries = match dir.entries() {
        Ok(entries) => entries,
        Err(error) => {
            found(Finding::new(&SIEVE_UNREADABLE, error.chain()).path(bstr::join("/", at)));
            return;
        }
    };
    for entry in entries {
        if entry.name.ends_with(b".svbin") || entry.name == "tmp" {
            continue;
        }
        if entry.kind == Kind::Dir {
            let mut path = at.to_vec();
            path.push(entry.name.clone());
            let why = match dir.dir(&entry.name) {
                Ok(inner) if at.len() < DEEPEST => {
                    walk(root, &inner, &path, files, found);
                    continue;
                }
                Ok(_) => "deeper than any script lies".into(),
                Err(error) => error.chain(),
            };
            found(Finding::new(&SIEVE_UNREADABLE, why).path(bstr::join("/", path)));
        } else {
            take(root, dir, at, &entry.name, entry.kind, files, found);
        }
    }
}

fn take(
    root: &Dir,
    dir: &Dir,
    at: &[BString],
    name: &[u8],
    kind: Kind,
    files: &mut Vec<SieveFile>,
    found: Found<'_>,
) {
    let mut path = at.to_vec();
    path.push(name.into());
    let read = match kind {
        Kind::Link => link(root, dir, at, name),
        _ => dir
            .read_if_there(name, super::MOST)
            .map_err(|error| error.chain())
            .and_then(|bytes| bytes.map(SieveKind::Script).ok_or("gone".into())),
    };
    match read {
        Ok(kind) => files.push(SieveFile { path, kind }),
        Err(why) => found(Finding::new(&SIEVE_UNREADABLE, why).path(bstr::join("/", &path))),
    }
}

/// A link that stays in the account, as a relative one.
fn link(root: &Dir, dir: &Dir, at: &[BString], name: &[u8]) -> Result<SieveKind, String> {
    let target = dir.read_link(name).map_err(|error| error.chain())?;
    let inside = root
        .inside(at, &target)
        .ok_or_else(|| format!("the link leads out of the account, to {}", escape(&target)))?;
    let mut relative = BString::default();
    for _ in at {
        relative.extend_from_slice(b"../");
    }
    relative.extend_from_slice(&bstr::join("/", &inside));
    Ok(SieveKind::Link(relative))
}

/// Writes the scripts below `root`.
pub fn write(root: &Dir, files: &[SieveFile], writing: &Writing) -> Result<()> {
    for file in files {
        let Some((name, above)) = file.path.split_last() else {
            continue;
        };
        let mut dir = root.again()?;
        for level in above {
            dir = writing.make_or_open(&dir, level)?;
        }
        match &file.kind {
            SieveKind::Script(bytes) => writing.write(&dir, name, bytes)?,
            SieveKind::Link(target) => writing.link(&dir, name, target)?,
        }
    }
    Ok(())
}
