//! Where a new mailbox lies, and which names an account can hold.
//!
//! ```text
//!                     Maildir++                LAYOUT=fs
//! INBOX               the root itself          the root itself
//! INBOX/Sub           .INBOX.Sub               INBOX/Sub
//! Archive/2020/Qä     .Archive.2020.Q&AOQ-     Archive/2020/Q&AOQ-
//! ```
//! Source: Dovecot 2.3, `src/lib-storage/list/mailbox-list-maildir.c`, `mailbox-list-fs.c`.

use crate::model::{MailboxName, mutf7};
use crate::store::Form;

/// The file systems that hold mail take no longer name.
const LONGEST: usize = 255;
/// Deeper trees are not made by any server.
const DEEPEST: usize = 64;
/// The directories of a mailbox.
pub(super) const PLACES: [&str; 3] = ["cur", "new", "tmp"];
/// What lies beside the messages of a mailbox, or may come to lie there.
const BESIDE_MAIL: [&str; 6] = [
    "dovecot-uidlist",
    "dovecot-keywords",
    "dovecot-acl",
    "dovecot-shared",
    "dovecot.index",
    "maildirfolder",
];
/// What lies in an account's root besides.
const IN_ROOT: [&str; 8] = [
    "subscriptions",
    "sieve",
    "maildirsize",
    "mailtally.state",
    "courierimapkeywords",
    "dovecot-uidvalidity",
    "dovecot.list.index",
    "dovecot.mailbox.log",
];

/// The directories of a mailbox from the account's root down; none for the INBOX.
pub(super) fn path(name: &MailboxName, form: &Form) -> Vec<String> {
    if name.is_inbox() {
        return Vec::new();
    }
    let levels = name.levels().iter().map(|level| mutf7::encode(level));
    let levels: Vec<_> = levels.collect();
    if form.fs_layout {
        levels
    } else {
        vec![format!(".{}", levels.join("."))]
    }
}

/// Why a Maildir account of this form cannot hold a name.
pub(super) fn name_problem(name: &MailboxName, form: &Form) -> Option<String> {
    let Some(first) = name.levels().first() else {
        return Some("it is empty".into());
    };
    if first.starts_with('~') {
        return Some(format!("the level {first} stands for another place"));
    }
    if first.eq_ignore_ascii_case("INBOX") && first != "INBOX" {
        return Some("no client could tell it from the INBOX".into());
    }
    let in_levels = name.levels().iter().find_map(|level| level_problem(level));
    in_levels.or_else(|| {
        if form.fs_layout {
            problem_in_fs(name)
        } else {
            problem_in_one(name)
        }
    })
}

fn level_problem(level: &str) -> Option<String> {
    if level.is_empty() {
        Some("it has an empty level".into())
    } else if level.contains('/') {
        Some("it has the separator of LAYOUT=fs in a level".into())
    } else if level.chars().any(char::is_control) {
        Some("it has control characters".into())
    } else {
        None
    }
}

/// All levels lie in the name of one directory.
fn problem_in_one(name: &MailboxName) -> Option<String> {
    if name.levels().iter().any(|level| level.contains('.')) {
        return Some("it has the separator of a Maildir++ in a level".into());
    }
    let levels = name.levels().iter();
    let len: usize = levels.map(|level| 1 + mutf7::encode(level).len()).sum();
    (len > LONGEST).then(|| format!("it takes {len} bytes on disk, where {LONGEST} fit"))
}

/// A level is a directory, and lies among the files of the mailbox above it.
fn problem_in_fs(name: &MailboxName) -> Option<String> {
    if name.levels().len() > DEEPEST {
        return Some(format!("it has more than {DEEPEST} levels"));
    }
    let first = name.levels().first().map(String::as_str);
    if let Some(level) = first.filter(|level| is_one_of(level, &IN_ROOT)) {
        return Some(format!("{level} is a file or folder of the account"));
    }
    name.levels().iter().find_map(|level| {
        if level == "." || level == ".." {
            Some(format!("the level {level} stands for another place"))
        } else if PLACES.contains(&level.as_str()) || is_one_of(level, &BESIDE_MAIL) {
            Some(format!("{level} is a file or folder of a mailbox"))
        } else if mutf7::encode(level).len() > LONGEST {
            Some(format!("a level is longer than {LONGEST} bytes on disk"))
        } else {
            None
        }
    })
}

/// One of these names, or one with a suffix: `dovecot.index.log`, `dovecot-uidlist.lock`.
fn is_one_of(level: &str, names: &[&str]) -> bool {
    let mut rests = names.iter().filter_map(|name| level.strip_prefix(name));
    rests.any(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fs_layout: bool) -> Form {
        Form {
            fs_layout,
            ..Form::default()
        }
    }

    #[test]
    fn a_mailbox_lies_where_dovecot_looks_for_it() {
        let name = MailboxName::new(["Archive", "2020", "Qä"]);
        assert_eq!(path(&name, &form(false)), [".Archive.2020.Q&AOQ-"]);
        assert_eq!(path(&name, &form(true)), ["Archive", "2020", "Q&AOQ-"]);
        let below = MailboxName::new(["INBOX", "Sub"]);
        assert_eq!(path(&below, &form(false)), [".INBOX.Sub"]);
        assert_eq!(path(&below, &form(true)), ["INBOX", "Sub"]);
        for fs_layout in [false, true] {
            assert!(path(&MailboxName::inbox(), &form(fs_layout)).is_empty());
        }
    }

    #[test]
    fn what_neither_layout_can_hold_is_said() {
        let long = "x".repeat(256);
        for levels in [
            &["a", ""][..],
            &["a/b"],
            &["a\nb"],
            &["~user"],
            &["Inbox"],
            &["inbox", "Sub"],
            &[&long],
            &[],
        ] {
            let name = MailboxName::verbatim(levels.iter().copied());
            assert!(name_problem(&name, &form(false)).is_some(), "{levels:?}");
            assert!(name_problem(&name, &form(true)).is_some(), "{levels:?}");
        }
        let fits = MailboxName::new(["INBOX", "Sub", "~a", "Qä & co"]);
        assert_eq!(name_problem(&fits, &form(false)), None);
        assert_eq!(name_problem(&fits, &form(true)), None);
    }

    #[test]
    fn a_dot_is_a_separator_in_one_layout_and_a_file_in_the_other() {
        let problem = |levels: &[&str], fs| {
            let name = MailboxName::new(levels.iter().copied());
            name_problem(&name, &form(fs)).is_some()
        };
        for levels in [&["a.b"][..], &[".."], &["A", ".b"]] {
            assert!(problem(levels, false), "{levels:?}");
        }
        let reserved = ["cur", "subscriptions", "dovecot.index.log", "sieve", ".."];
        for level in reserved {
            assert!(problem(&[level], true), "{level}");
        }
        assert!(problem(&["A", "dovecot-uidlist"], true));
        // What only reads so is a name like any other.
        for level in ["dovecot", "dovecot-users", "sieve-users", "a.b", "Cur"] {
            assert!(!problem(&[level], true), "{level}");
        }
        assert!(!problem(&["A", "subscriptions"], true));
        assert!(!problem(&["cur"], false));
    }

    #[test]
    fn one_directory_holds_all_levels_and_its_name_has_an_end() {
        let level = "x".repeat(126);
        let fits = MailboxName::new([&level, &level]);
        assert_eq!(name_problem(&fits, &form(false)), None);
        let longer = MailboxName::new([&level, &level, "y"]);
        assert!(name_problem(&longer, &form(false)).is_some());
        assert_eq!(name_problem(&longer, &form(true)), None);
    }
}
