//! Finds the mailboxes of an account, in either layout.

use std::collections::BTreeMap;

use bstr::{BString, ByteSlice};

use crate::disk::{Dir, Entry, Kind};
use crate::error::Result;
use crate::format::OpenOptions;
use crate::format::names::Spelling;
use crate::model::MailboxName;
use crate::report::Finding;
use crate::report::catalogue::{
    MAILBOX_UNREADABLE, MAILDIR_INBOX_FOLDER, MAILDIR_NESTED, MAILDIR_STRAY, MAILDIR_SYMLINK,
    MAILDIR_SYMLINK_OUTSIDE,
};
use crate::store::Found;

/// Deeper trees are not made by any server.
const DEEPEST: usize = 64;

/// Where a mailbox lies.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Names from the account's root down; none for the root itself.
    pub path: Vec<BString>,
    /// The same below `CONTROL` and `INDEX`.
    pub side: Vec<BString>,
    /// False for a name that only stands above others.
    pub selectable: bool,
}

/// All mailboxes by name.
pub type Folders = BTreeMap<MailboxName, Folder>;

/// Finds them.
pub fn find(root: &Dir, options: &OpenOptions, found: Found<'_>) -> Result<Folders> {
    let mut finder = Finder {
        root,
        options,
        folders: Folders::new(),
    };
    finder.inbox();
    if options.fs_layout {
        finder.levels(root, &mut Vec::new(), found)?;
    } else {
        finder.dotted(found)?;
    }
    Ok(finder.folders)
}

struct Finder<'a> {
    root: &'a Dir,
    options: &'a OpenOptions,
    folders: Folders,
}

/// Directories in a Maildir's root that are no mailboxes in any layout.
const NOT_MAILBOXES: [&str; 5] = ["cur", "new", "tmp", "sieve", "courierimapkeywords"];

fn has_dir(dir: &Dir, name: &str) -> bool {
    matches!(dir.stat(name), Ok(stat) if stat.kind == Kind::Dir)
}

impl Finder<'_> {
    /// In the root, unless a directory name was given for messages.
    fn inbox(&mut self) {
        let path = match (&self.options.dirname, self.options.fs_layout) {
            (Some(dirname), true) => vec!["INBOX".into(), dirname.as_str().into()],
            _ => Vec::new(),
        };
        let side = if self.options.fs_layout {
            vec!["INBOX".into()]
        } else {
            vec![".INBOX".into()]
        };
        let folder = Folder {
            path,
            side,
            selectable: true,
        };
        self.folders.insert(MailboxName::inbox(), folder);
    }

    fn dotted(&mut self, found: Found<'_>) -> Result<()> {
        for entry in self.root.entries()? {
            let dotted = entry
                .name
                .strip_prefix(b".")
                .filter(|name| !name.is_empty());
            match (dotted, entry.kind) {
                (Some(levels), Kind::Dir) => {
                    self.add_dotted(levels, vec![entry.name.clone()], found);
                }
                (Some(levels), Kind::Link) => {
                    if let Some(path) = self.linked_folder(&entry, found) {
                        self.add_dotted(levels, path, found);
                    }
                }
                (None, Kind::Dir) => self.look_for_nested(&entry, found),
                _ => {}
            }
        }
        Ok(())
    }

    /// A folder behind a link: followed only inside the account.
    fn linked_folder(&self, entry: &Entry, found: Found<'_>) -> Option<Vec<BString>> {
        let target = self.root.read_link(&entry.name).ok()?;
        let path = self.root.inside(&[], &target);
        let dir = path.as_ref().and_then(|path| self.root.descend(path).ok());
        if dir.is_some_and(|dir| has_dir(&dir, "cur")) {
            let detail = format!("followed to {}", target.as_bstr());
            found(Finding::new(&MAILDIR_SYMLINK, detail).path(&entry.name));
            return path;
        }
        // `.dovecot.sieve` and the like are links to files and none of ours.
        if path.is_none() && !entry.name.starts_with(b".dovecot") {
            let detail = format!("to {}", target.as_bstr());
            found(Finding::new(&MAILDIR_SYMLINK_OUTSIDE, detail).path(&entry.name));
        }
        None
    }

    fn add_dotted(&mut self, levels: &[u8], path: Vec<BString>, found: Found<'_>) {
        let mut spelling = Spelling::new(self.options.utf8);
        let levels: Vec<String> = levels
            .split(|byte| *byte == b'.')
            .map(|level| spelling.level(level))
            .collect();
        let name = self.unclaimed(levels, &path[0], found);
        spelling.tell(&name, &path[0], found);
        let folder = Folder {
            side: vec![path[0].clone()],
            path,
            selectable: true,
        };
        self.folders.insert(name, folder);
    }

    /// No client can see a second INBOX: it keeps its spelling until it is given another name.
    fn unclaimed(&self, levels: Vec<String>, path: &[u8], found: Found<'_>) -> MailboxName {
        if levels.len() == 1 && levels[0].eq_ignore_ascii_case("INBOX") {
            let name = MailboxName::verbatim([format!("{}_1", levels[0])]);
            let name = self.free(name);
            let detail = format!("carried as {name}");
            found(
                Finding::new(&MAILDIR_INBOX_FOLDER, detail)
                    .mailbox(&name)
                    .path(path),
            );
            return name;
        }
        self.free(MailboxName::new(levels))
    }

    /// Two directories can decode to one name; the second gets a number.
    fn free(&self, name: MailboxName) -> MailboxName {
        if !self.folders.contains_key(&name) {
            return name;
        }
        let last = name.levels().last().cloned().unwrap_or_default();
        (2..)
            .map(|nth| name.with_last(format!("{last}_{nth}")))
            .find(|name| !self.folders.contains_key(name))
            .expect("BUG: names do not run out")
    }

    fn look_for_nested(&self, entry: &Entry, found: Found<'_>) {
        if NOT_MAILBOXES.iter().any(|known| entry.name == *known) {
            return;
        }
        let Ok(dir) = self.root.dir(&entry.name) else {
            return;
        };
        if has_dir(&dir, "cur") {
            let detail = "it has cur/ and no leading dot: LAYOUT=fs, or an account of its own";
            found(Finding::new(&MAILDIR_NESTED, detail).path(&entry.name));
        }
    }

    fn levels(&mut self, dir: &Dir, at: &mut Vec<BString>, found: Found<'_>) -> Result<()> {
        for entry in dir.entries()? {
            if entry.kind != Kind::Dir || self.is_no_level(&entry.name, at) {
                continue;
            }
            at.push(entry.name.clone());
            if at.len() > DEEPEST {
                let path = bstr::join("/", &*at);
                found(Finding::new(&MAILDIR_STRAY, "deeper than any server goes").path(path));
            } else {
                self.add_level(dir, &entry.name, at, found);
            }
            at.pop();
        }
        Ok(())
    }

    fn is_no_level(&self, name: &[u8], at: &[BString]) -> bool {
        match &self.options.dirname {
            Some(dirname) => name == dirname.as_bytes(),
            None => {
                let known: &[&str] = if at.is_empty() {
                    &NOT_MAILBOXES
                } else {
                    &NOT_MAILBOXES[..3]
                };
                known.iter().any(|known| name == known.as_bytes()) || name.starts_with(b".")
            }
        }
    }

    fn add_level(&mut self, above: &Dir, name: &[u8], at: &mut Vec<BString>, found: Found<'_>) {
        let dir = match above.dir(name) {
            Ok(dir) => dir,
            Err(error) => {
                let path = bstr::join("/", &*at);
                found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(path));
                return;
            }
        };
        let mut path = at.clone();
        let mut selectable = has_dir(&dir, "cur");
        if let Some(dirname) = &self.options.dirname {
            selectable = has_dir(&dir, dirname);
            path.push(dirname.as_str().into());
        }
        let mut spelling = Spelling::new(self.options.utf8);
        let levels: Vec<String> = at.iter().map(|level| spelling.level(level)).collect();
        let name = MailboxName::new(levels.clone());
        if !(name.is_inbox() && self.options.dirname.is_some()) {
            let on_disk = bstr::join("/", &*at);
            let name = self.unclaimed(levels, &on_disk, found);
            spelling.tell(&name, &on_disk, found);
            let folder = Folder {
                path,
                side: at.clone(),
                selectable,
            };
            self.folders.insert(name, folder);
        }
        if let Err(error) = self.levels(&dir, at, found) {
            let path = bstr::join("/", &*at);
            found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(path));
        }
    }
}
