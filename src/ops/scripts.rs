//! The sieve scripts as a destination can hold them.

use bstr::{BString, ByteSlice};

use crate::model::{SieveFile, SieveKind};
use crate::report::Finding;
use crate::report::catalogue::{SIEVE_COPIED, SIEVE_UNREADABLE};
use crate::store::{Found, Holds};

/// A link that leads to more links than this leads nowhere.
const MOST_LINKS: usize = 8;

/// The scripts, with links in the root as copies of what they name where the destination can have no links
/// there. What becomes of a link is said.
pub fn fit(files: &[SieveFile], holds: &Holds, found: Found<'_>) -> Vec<SieveFile> {
    if holds.links_in_root {
        return files.to_vec();
    }
    let fitted = files
        .iter()
        .filter_map(|file| match (&file.kind, &file.path[..]) {
            (SieveKind::Link(target), [name]) => copy(files, name, target, found),
            _ => Some(file.clone()),
        });
    fitted.collect()
}

fn copy(
    files: &[SieveFile],
    name: &BString,
    target: &BString,
    found: Found<'_>,
) -> Option<SieveFile> {
    let (rule, detail) = match named(files, target) {
        Some(_) => (&SIEVE_COPIED, format!("a copy of {target}")),
        None => (
            &SIEVE_UNREADABLE,
            format!("{target} is no script that is carried"),
        ),
    };
    found(Finding::new(rule, detail).path(name));
    named(files, target).map(|script| SieveFile {
        path: vec![name.clone()],
        kind: SieveKind::Script(script.to_vec()),
    })
}

/// The bytes of the script that a link names, maybe over more links.
fn named<'a>(files: &'a [SieveFile], mut target: &'a BString) -> Option<&'a [u8]> {
    for _ in 0..MOST_LINKS {
        // Targets are relative, and lead to the root first.
        let levels = target.split_str("/").filter(|level| *level != b"..");
        let path: Vec<_> = levels.map(BString::from).collect();
        match &files.iter().find(|file| file.path == path)?.kind {
            SieveKind::Script(bytes) => return Some(bytes),
            SieveKind::Link(next) => target = next,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::room;

    fn file(path: &[&str], kind: SieveKind) -> SieveFile {
        SieveFile {
            path: path.iter().map(|name| BString::from(*name)).collect(),
            kind,
        }
    }

    fn link(path: &[&str], target: &str) -> SieveFile {
        file(path, SieveKind::Link(target.into()))
    }

    fn fitted(files: &[SieveFile], format: &str) -> (Vec<SieveFile>, Vec<&'static str>) {
        let mut codes = Vec::new();
        let holds = room(format).unwrap().holds;
        let fitted = fit(files, &holds, &mut |finding| codes.push(finding.rule.code));
        (fitted, codes)
    }

    #[test]
    fn the_active_script_of_a_maildir_is_a_copy() {
        let script = || SieveKind::Script(b"keep;\n".to_vec());
        let files = [
            link(&[".dovecot.sieve"], "sieve/now.sieve"),
            file(&["sieve", "main.sieve"], script()),
            link(&["sieve", "now.sieve"], "../sieve/main.sieve"),
        ];
        assert_eq!(fitted(&files, "sdbox"), (files.to_vec(), Vec::new()));
        let (copied, codes) = fitted(&files, "maildir");
        assert_eq!(copied[0], file(&[".dovecot.sieve"], script()));
        assert_eq!(copied[1..], files[1..]);
        assert_eq!(codes, ["sieve.copied"]);
    }

    #[test]
    fn a_link_to_what_is_not_carried_is_left_out_and_said() {
        let files = [
            link(&[".dovecot.sieve"], "scripts/main.sieve"),
            link(&["sieve", "a"], "../sieve/b"),
            link(&["sieve", "b"], "../sieve/a"),
        ];
        let (left, codes) = fitted(&files, "maildir");
        assert_eq!(left, files[1..]);
        assert_eq!(codes, ["sieve.unreadable"]);
        let around = [link(&["x"], "sieve/a"), files[1].clone(), files[2].clone()];
        assert_eq!(fitted(&around, "maildir").1, ["sieve.unreadable"]);
    }
}
