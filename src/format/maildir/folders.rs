//! Finds the mailboxes of an account, in either layout.

use std::collections::BTreeMap;

use bstr::BString;

use super::listing::is_no_message;
use crate::disk::{Dir, Entry, Kind};
use crate::error::Result;
use crate::format::OpenOptions;
use crate::format::names::Spelling;
use crate::model::MailboxName;
use crate::report::catalogue::{
    MAILBOX_NAME, MAILBOX_UNREADABLE, MAILDIR_INBOX_FOLDER, MAILDIR_NESTED, MAILDIR_STRAY,
    MAILDIR_SYMLINK, MAILDIR_SYMLINK_OUTSIDE,
};
use crate::report::{Finding, escape};
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
        seen: Vec::new(),
    };
    if options.fs_layout {
        finder.levels(root, &mut Vec::new(), found)?;
    } else {
        finder.dotted(found)?;
    }
    let mut folders = Folders::new();
    folders.insert(MailboxName::inbox(), inbox(options));
    settle_names(finder.seen, &mut folders, found);
    Ok(folders)
}

/// In the root, unless a directory name was given for messages.
fn inbox(options: &OpenOptions) -> Folder {
    let path = match (&options.dirname, options.fs_layout) {
        (Some(dirname), true) => vec![INBOX.into(), dirname.as_str().into()],
        _ => Vec::new(),
    };
    let side = if options.fs_layout {
        INBOX.into()
    } else {
        BString::from(format!(".{INBOX}"))
    };
    Folder {
        path,
        side: vec![side],
        selectable: true,
    }
}

const INBOX: &str = "INBOX";

/// A folder that is to get its name.
struct Seen {
    levels: Vec<String>,
    /// Its name on disk is not in the store's encoding.
    odd: bool,
    on_disk: BString,
    folder: Folder,
}

impl Seen {
    /// No client can see a second INBOX.
    fn is_second_inbox(&self) -> bool {
        matches!(&self.levels[..], [only] if only.eq_ignore_ascii_case(INBOX))
    }
}

/// Gives each folder its name. Who is called so has the name, then come those that only read so: the
/// names do not depend on the order in a directory.
fn settle_names(mut seen: Vec<Seen>, folders: &mut Folders, found: Found<'_>) {
    seen.sort_by(|a, b| {
        let rank = |it: &Seen| (it.is_second_inbox(), it.odd);
        rank(a)
            .cmp(&rank(b))
            .then_with(|| a.on_disk.cmp(&b.on_disk))
    });
    for it in seen {
        let wanted = if it.is_second_inbox() {
            MailboxName::verbatim([format!("{}_1", it.levels[0])])
        } else {
            MailboxName::new(it.levels.clone())
        };
        let name = free(folders, &wanted);
        let told = if it.is_second_inbox() {
            Some((&MAILDIR_INBOX_FOLDER, format!("carried as {name}")))
        } else if name != wanted {
            let detail = format!("read as {wanted}, which is taken; carried as {name}");
            Some((&MAILBOX_NAME, detail))
        } else if it.odd {
            Some((&MAILBOX_NAME, format!("read as {name}")))
        } else {
            None
        };
        if let Some((rule, detail)) = told {
            found(Finding::new(rule, detail).mailbox(&name).path(&it.on_disk));
        }
        folders.insert(name, it.folder);
    }
}

/// Two directories can read as one name; the second gets a number.
fn free(folders: &Folders, name: &MailboxName) -> MailboxName {
    let last = name.levels().last().cloned().unwrap_or_default();
    std::iter::once(name.clone())
        .chain((2..).map(|nth| name.with_last(format!("{last}_{nth}"))))
        .find(|name| !folders.contains_key(name))
        .expect("BUG: names do not run out")
}

struct Finder<'a> {
    root: &'a Dir,
    options: &'a OpenOptions,
    seen: Vec<Seen>,
}

/// Directories in a Maildir's root that are no mailboxes in any layout.
const NOT_MAILBOXES: [&str; 5] = ["cur", "new", "tmp", "sieve", "courierimapkeywords"];

fn has_dir(dir: &Dir, name: &str) -> bool {
    matches!(dir.stat(name), Ok(stat) if stat.kind == Kind::Dir)
}

/// Where a link to a folder leads.
enum Link {
    /// To a directory of the account: names from its root down.
    Folder(Vec<BString>, Dir),
    /// To something else in the account.
    Other,
    /// Nowhere, or out of the account.
    Lost,
}

impl Finder<'_> {
    fn see(&mut self, levels: &[&[u8]], on_disk: BString, folder: Folder) {
        let mut spelling = Spelling::new(self.options.utf8);
        let levels = levels.iter().map(|level| spelling.level(level)).collect();
        self.seen.push(Seen {
            levels,
            odd: spelling.is_odd(),
            on_disk,
            folder,
        });
    }

    fn dotted(&mut self, found: Found<'_>) -> Result<()> {
        for entry in self.root.entries()? {
            let dotted = entry
                .name
                .strip_prefix(b".")
                .filter(|name| !name.is_empty());
            let path = match (dotted, entry.kind) {
                (Some(_), Kind::Dir) => Some(vec![entry.name.clone()]),
                (Some(_), Kind::Link) => self.linked_folder(&[], &entry.name, found),
                (None, Kind::Dir) => {
                    self.look_for_nested(&entry, found);
                    None
                }
                _ => None,
            };
            if let (Some(levels), Some(path)) = (dotted, path) {
                let levels: Vec<&[u8]> = levels.split(|byte| *byte == b'.').collect();
                let folder = Folder {
                    path,
                    side: vec![entry.name.clone()],
                    selectable: true,
                };
                self.see(&levels, entry.name.clone(), folder);
            }
        }
        Ok(())
    }

    /// A folder behind a link: followed only inside the account, and then only one link.
    fn linked_folder(
        &self,
        at: &[BString],
        name: &BString,
        found: Found<'_>,
    ) -> Option<Vec<BString>> {
        let mut here = at.to_vec();
        here.push(name.clone());
        let here = bstr::join("/", here);
        let target = self.root.descend(at).and_then(|dir| dir.read_link(name));
        let target = target.ok()?;
        let mut tell = |rule, detail: String| found(Finding::new(rule, detail).path(&here));
        let holds = self.options.dirname.as_deref().unwrap_or("cur");
        match self.follow(at, &target) {
            Link::Folder(path, _) if path.is_empty() => {
                tell(
                    &MAILDIR_SYMLINK,
                    "to the account itself; not followed".into(),
                );
                None
            }
            Link::Folder(mut path, dir) if has_dir(&dir, holds) => {
                tell(&MAILDIR_SYMLINK, format!("followed to {}", escape(&target)));
                path.extend(self.options.dirname.as_deref().map(BString::from));
                Some(path)
            }
            Link::Folder(..) | Link::Other => None,
            // `.dovecot.sieve` and the like are links to files, and others look after them.
            Link::Lost if name.starts_with(b".dovecot") || is_no_message(name) => None,
            Link::Lost => {
                let detail = format!("to {}", escape(&target));
                tell(&MAILDIR_SYMLINK_OUTSIDE, detail);
                None
            }
        }
    }

    fn follow(&self, at: &[BString], target: &[u8]) -> Link {
        let Some(path) = self.root.inside(at, target) else {
            return Link::Lost;
        };
        if let Ok(dir) = self.root.descend(&path) {
            return Link::Folder(path, dir);
        }
        let there = path.split_last().is_some_and(|(name, above)| {
            let above = self.root.descend(above);
            above.is_ok_and(|above| above.stat(name).is_ok())
        });
        if there { Link::Other } else { Link::Lost }
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
            if self.is_no_level(&entry.name, at) {
                continue;
            }
            match entry.kind {
                Kind::Link => {
                    if let Some(path) = self.linked_folder(at, &entry.name, found) {
                        at.push(entry.name);
                        self.see_level(path, at, true);
                        at.pop();
                    }
                }
                Kind::Dir => {
                    at.push(entry.name.clone());
                    if at.len() > DEEPEST {
                        let path = bstr::join("/", &*at);
                        let detail = "deeper than any server goes";
                        found(Finding::new(&MAILDIR_STRAY, detail).path(path));
                    } else {
                        self.add_level(dir, &entry.name, at, found);
                    }
                    at.pop();
                }
                Kind::File | Kind::Other => {}
            }
        }
        Ok(())
    }

    fn is_no_level(&self, name: &[u8], at: &[BString]) -> bool {
        match &self.options.dirname {
            Some(dirname) => name == dirname.as_bytes() || (at.is_empty() && name == b"sieve"),
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

    fn see_level(&mut self, path: Vec<BString>, at: &[BString], selectable: bool) {
        let levels: Vec<&[u8]> = at.iter().map(|level| level.as_slice()).collect();
        let folder = Folder {
            path,
            side: at.to_vec(),
            selectable,
        };
        self.see(&levels, bstr::join("/", at).into(), folder);
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
        let is_the_inbox = self.options.dirname.is_some() && *at == [INBOX];
        if !is_the_inbox {
            self.see_level(path, at, selectable);
        }
        if let Err(error) = self.levels(&dir, at, found) {
            let path = bstr::join("/", &*at);
            found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(path));
        }
    }
}
