//! What tells that an account is as it was, without a look at a message.

use super::keywords;
use super::read::UIDLISTS;
use crate::digest::Digest;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dovecot_index::{INDEX, LOG};
use crate::format::side_files;
use crate::format::stamp::Stamper;

/// Directories of messages: their own times tell all, and those of tmp/ nothing.
pub(super) const PLACES: [&str; 3] = ["cur", "new", "tmp"];

/// A digest of all that changes when mail comes, goes or changes its flags.
pub(super) fn stamp(root: &Dir) -> Result<Digest> {
    stamp_of(root, [])
}

/// The same, of an account that has a part of it elsewhere.
pub(super) fn stamp_of<'a>(
    root: &Dir,
    elsewhere: impl IntoIterator<Item = &'a Dir>,
) -> Result<Digest> {
    let mut stamper = Stamper::default();
    stamp_tree(root, &mut stamper)?;
    for dir in elsewhere {
        stamper.name(b"elsewhere");
        stamp_tree(dir, &mut stamper)?;
    }
    Ok(stamper.digest())
}

fn stamp_tree(root: &Dir, stamper: &mut Stamper) -> Result<()> {
    stamp_folder(root, stamper)?;
    for name in [
        "subscriptions",
        "courierimapsubscribed",
        ".dovecot.sieve",
        "maildirsize",
    ] {
        stamper.file(root, name)?;
    }
    let mut open = vec![(root.again()?, 0)];
    while let Some((dir, depth)) = open.pop() {
        for name in stamper.folders(&dir)? {
            if PLACES.iter().any(|known| name == *known) || depth > 64 {
                continue;
            }
            stamper.name(&name);
            // What cannot be entered cannot be carried either, and that is said elsewhere.
            let Ok(folder) = dir.dir(&name) else { continue };
            stamp_folder(&folder, stamper)?;
            if name == "sieve" || name == keywords::COURIER {
                stamper.files(&folder)?;
            }
            open.push((folder, depth + 1));
        }
    }
    Ok(())
}

fn stamp_folder(dir: &Dir, stamper: &mut Stamper) -> Result<()> {
    for place in ["cur", "new"] {
        // What is no directory, or not ours to enter, tells nothing.
        if let Ok(Some(place)) = dir.dir_if_there(place) {
            stamper.dir(&place)?;
        }
    }
    let files = [
        UIDLISTS[0],
        UIDLISTS[1],
        "dovecot-keywords",
        ".customflags",
        INDEX,
        LOG,
        side_files::ACL,
    ];
    files.iter().try_for_each(|name| stamper.file(dir, name))
}
