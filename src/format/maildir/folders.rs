//! Finds the mailboxes of an account, in either layout.

use std::collections::BTreeMap;

use bstr::{BString, ByteSlice};

use super::listing::is_no_message;
use crate::disk::{Dir, Entry, Kind};
use crate::error::Result;
use crate::format::OpenOptions;
use crate::format::names::{self, Spelling};
use crate::model::MailboxName;
use crate::report::catalogue::{
    MAILBOX_NAME, MAILBOX_UNREADABLE, MAILDIR_DOT_FOLDER, MAILDIR_INBOX_FOLDER, MAILDIR_NESTED,
    MAILDIR_STRAY, MAILDIR_SYMLINK, MAILDIR_SYMLINK_OUTSIDE,
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

/// Where a directory is nobody's mailbox. In a Maildir++ mailboxes begin with a dot; with `LAYOUT=fs`
/// Dovecot 2.3.19 shows every directory but those that hold messages, whatever lies in them, and it removes
/// old files from `tmp/`, but no directories.
pub fn hidden(options: &OpenOptions) -> Vec<BString> {
    match (&options.dirname, options.fs_layout) {
        (_, false) => Vec::new(),
        (Some(dirname), true) => vec![dirname.as_str().into()],
        (None, true) => vec!["tmp".into()],
    }
}

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

/// Directories of a mailbox, which cannot be one.
const PLACES: [&[u8]; 3] = [b"cur", b"new", b"tmp"];
/// Directories in a Maildir's root that are no mailboxes unless they hold messages.
const SIDE_FOLDERS: [&[u8]; 2] = [b"sieve", b"courierimapkeywords"];

/// Where a link to a folder leads.
enum Link {
    /// To a directory of the account: names from its root down.
    Folder(Vec<BString>, Dir),
    /// To something else in the account.
    Other,
    /// Nowhere, or out of the account.
    Lost,
}

/// With `LAYOUT=fs`: a folder in the root that looks like one of a Maildir++.
fn tell_dotted(dir: &Dir, at: &[BString], utf8: bool, found: Found<'_>) {
    let [name] = at else { return };
    let is_mailbox = dir.has_dir("cur") || dir.has_dir("new");
    if let Some(plain) = name.strip_prefix(b".").filter(|_| is_mailbox) {
        let levels = plain.split_str(".").map(|level| names::level(level, utf8));
        let plain = levels.collect::<Vec<_>>().join("/");
        let detail = format!("it holds cur or new: without LAYOUT=fs it is the mailbox {plain}");
        found(Finding::new(&MAILDIR_DOT_FOLDER, detail).path(name));
    }
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
            Link::Folder(mut path, dir) if dir.has_dir(holds) => {
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
        if PLACES.contains(&entry.name.as_slice()) {
            return;
        }
        let Ok(dir) = self.root.dir(&entry.name) else {
            return;
        };
        if dir.has_dir("cur") {
            let detail = "it has cur/ and no leading dot: LAYOUT=fs, or an account of its own";
            found(Finding::new(&MAILDIR_NESTED, detail).path(&entry.name));
        }
    }

    fn levels(&mut self, dir: &Dir, at: &mut Vec<BString>, found: Found<'_>) -> Result<()> {
        for entry in dir.entries()? {
            if self.is_place(&entry.name) {
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

    /// True for what holds a mailbox's messages.
    fn is_place(&self, name: &[u8]) -> bool {
        match &self.options.dirname {
            Some(dirname) => name == dirname.as_bytes(),
            None => PLACES.contains(&name),
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
        let mut selectable = dir.has_dir("cur");
        tell_dotted(&dir, at, self.options.utf8, found);
        if let Some(dirname) = &self.options.dirname {
            selectable = dir.has_dir(dirname);
            path.push(dirname.as_str().into());
        }
        if !selectable && at.len() == 1 && SIDE_FOLDERS.contains(&name) {
            return;
        }
        // Where mailboxes below the INBOX lie; without `DIRNAME` a second INBOX, if it has messages.
        let is_the_inbox = *at == [INBOX] && (self.options.dirname.is_some() || !selectable);
        // Hidden directories can be mailboxes; those that only stand above others are nobody's folders.
        let hidden = at.iter().any(|level| level.starts_with(b"."));
        if !is_the_inbox && (selectable || !hidden) {
            self.see_level(path, at, selectable);
        }
        if let Err(error) = self.levels(&dir, at, found) {
            let path = bstr::join("/", &*at);
            found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Real;
    use std::fs;
    use std::sync::Arc;

    /// Names, where they lie, and what was found.
    fn found_in(dirs: &[&str], options: &OpenOptions) -> (Vec<String>, Vec<String>) {
        let temp = tempfile::tempdir().unwrap();
        for dir in dirs {
            fs::create_dir_all(temp.path().join(dir)).unwrap();
        }
        let root = Dir::open(temp.path(), Arc::new(Real)).unwrap();
        let mut findings = Vec::new();
        let folders = find(&root, options, &mut |finding| {
            let path = finding.place.path.unwrap_or_default();
            findings.push(format!("{} {path}", finding.rule.code));
        });
        let shown = |(name, folder): (&MailboxName, &Folder)| {
            let path = bstr::join("/", &folder.path);
            let above = if folder.selectable { "" } else { " (above)" };
            format!("{name} in {}{above}", escape(&path))
        };
        findings.sort();
        (folders.unwrap().iter().map(shown).collect(), findings)
    }

    #[test]
    fn every_directory_with_a_dot_is_a_mailbox() {
        let dirs = ["cur", ".A.B/cur", ".Empty", "sieve", "other"];
        let (names, findings) = found_in(&dirs, &OpenOptions::default());
        assert_eq!(names, ["A/B in .A.B", "Empty in .Empty", "INBOX in "]);
        assert_eq!(findings, [""; 0]);
    }

    #[test]
    fn in_the_fs_layout_a_directory_without_messages_only_stands_above() {
        let options = OpenOptions {
            fs_layout: true,
            ..OpenOptions::default()
        };
        let dirs = ["cur", "A/B/cur", "A/B/new", "sieve/x"];
        let (names, _) = found_in(&dirs, &options);
        assert_eq!(names, ["A in A (above)", "A/B in A/B", "INBOX in "]);
        // Dovecot shows hidden ones too.
        let dirs = ["cur", ".Hidden/cur", "A/.b/cur", ".ssh/x", "sieve/cur"];
        let (names, _) = found_in(&dirs, &options);
        let wanted = [
            ".Hidden in .Hidden",
            "A in A (above)",
            "A/.b in A/.b",
            "INBOX in ",
            "sieve in sieve",
        ];
        assert_eq!(names, wanted);
    }

    #[test]
    fn mailboxes_below_the_inbox_lie_in_a_directory_of_its_name() {
        let options = OpenOptions {
            fs_layout: true,
            ..OpenOptions::default()
        };
        let (names, findings) = found_in(&["cur", "INBOX/Sub/cur"], &options);
        assert_eq!(names, ["INBOX in ", "INBOX/Sub in INBOX/Sub"]);
        assert_eq!(findings, [""; 0]);
        // Nobody sees messages that lie there.
        let (names, findings) = found_in(&["cur", "INBOX/cur"], &options);
        assert_eq!(names, ["INBOX in ", "INBOX_1 in INBOX"]);
        assert_eq!(findings, ["maildir.inbox-folder INBOX"]);
    }

    #[test]
    fn a_directory_name_is_where_the_messages_are() {
        let options = OpenOptions {
            fs_layout: true,
            dirname: Some("m".into()),
            ..OpenOptions::default()
        };
        let dirs = ["INBOX/m/cur", "INBOX/Sub/m/cur", "cur/m/cur", "sieve"];
        let (names, _) = found_in(&dirs, &options);
        assert_eq!(
            names,
            [
                "INBOX in INBOX/m",
                "INBOX/Sub in INBOX/Sub/m",
                "cur in cur/m"
            ]
        );
    }

    #[test]
    fn names_do_not_depend_on_the_order_in_a_directory() {
        let seen = |on_disk: &str, level: &str, odd| Seen {
            levels: vec![level.into()],
            odd,
            on_disk: on_disk.into(),
            folder: Folder {
                path: vec![on_disk.into()],
                side: Vec::new(),
                selectable: true,
            },
        };
        let all = || {
            vec![
                seen(".INBOX", "INBOX", false),
                seen(".inbox", "inbox", false),
                seen(".INBOX_1", "INBOX_1", false),
                seen(".\u{fc}", "\u{fc}", true),
                seen(".&APw-", "\u{fc}", false),
            ]
        };
        let named = |seen| {
            let (mut folders, mut findings) = (Folders::new(), 0);
            settle_names(seen, &mut folders, &mut |_| findings += 1);
            let paths = folders.iter();
            let paths = paths.map(|(name, folder)| format!("{name} {}", folder.path[0]));
            (paths.collect::<Vec<_>>(), findings)
        };
        let wanted = [
            "INBOX_1 .INBOX_1",
            "INBOX_1_2 .INBOX",
            "inbox_1 .inbox",
            "\u{fc} .&APw-",
            "\u{fc}_2 .\u{fc}",
        ];
        for turn in 0..5 {
            let mut seen = all();
            seen.rotate_left(turn);
            assert_eq!(named(seen), (wanted.map(String::from).to_vec(), 3));
        }
    }

    #[test]
    fn a_link_is_followed_to_a_folder_of_the_account_and_nowhere_else() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::create_dir_all(at(".Real/cur")).unwrap();
        fs::write(at("file"), "").unwrap();
        for (name, target) in [
            (".In", ".Real"),
            (".Absolute", at(".Real").to_str().unwrap()),
            (".Self", "."),
            (".File", "file"),
            (".Out", "../x"),
            (".Gone", ".Nowhere"),
            (".Twice", ".In"),
        ] {
            std::os::unix::fs::symlink(target, at(name)).unwrap();
        }
        let root = Dir::open(temp.path(), Arc::new(Real)).unwrap();
        let mut told = Vec::new();
        let folders = find(&root, &OpenOptions::default(), &mut |finding| {
            told.push((finding.rule.code, finding.place.path.unwrap_or_default()));
        });
        let folders = folders.unwrap();
        let names: Vec<_> = folders.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["Absolute", "INBOX", "In", "Real"]);
        told.sort();
        let (inside, outside) = ("maildir.symlink", "maildir.symlink-outside");
        assert_eq!(
            told,
            [
                (inside, ".Absolute".to_owned()),
                (inside, ".In".into()),
                (inside, ".Self".into()),
                (outside, ".Gone".into()),
                (outside, ".Out".into()),
            ]
        );
    }
}
