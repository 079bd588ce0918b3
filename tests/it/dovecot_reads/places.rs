//! Stores whose parts lie where `mail_location` says.

use std::fs;
use std::path::Path;

use bstr::{BStr, ByteSlice};

use super::{each_format, keys, life, mail, same_as_dovecot};
use crate::harness::run::Run;
use crate::harness::store::Store;
use crate::harness::tree::{Tree, tree};
use crate::repair::lost;

/// Every place at once, and each key that changes names alone.
const EVERYWHERE: &[&str] = &[
    "INDEX=%h/index",
    "CONTROL=%h/control",
    "ALT=%h/alt",
    "DIRNAME=msgs",
    "MAILBOXDIR=boxes",
    "MAILBOXDIR=", // as if it were not there
    "MAILBOXDIR=boxes:DIRNAME=msgs:INDEX=%h/index:CONTROL=%h/control:ALT=%h/alt",
];

#[test]
fn a_store_is_read_wherever_its_parts_lie() {
    let test = "a_store_is_read_wherever_its_parts_lie";
    for place in EVERYWHERE {
        each_format(test, place, "", |dovecot, format| {
            for name in ["index", "control", "alt"] {
                dovecot.make_dir(name);
            }
            life::live(dovecot);
            dovecot.ask(&["altmove", "mailbox", "INBOX", "seen"]);
            dovecot.deliver("INBOX", &mail("after the move"));
            same_as_dovecot(dovecot, format, place);
            dovecot.ask(&["altmove", "-r", "mailbox", "INBOX", "flagged"]);
            dovecot.force_resync();
            same_as_dovecot(dovecot, format, place);
        });
    }
}

#[test]
fn the_command_line_names_the_same_places() {
    let test = "the_command_line_names_the_same_places";
    let place = "INDEX=%h/index:CONTROL=%h/control:ALT=%h/alt";
    each_format(test, place, "", |dovecot, format| {
        life::live(dovecot);
        dovecot.ask(&["altmove", "mailbox", "INBOX", "seen"]);
        let temp = tempfile::tempdir().unwrap();
        let source = format!(
            "{format}:{}:{}",
            dovecot.mail().display(),
            keys(dovecot, place)
        );
        let destination = format!("sdbox:{}", temp.path().join("sdbox").display());
        let ran = Run::new(temp.path()).args(["convert", &source, &destination]);
        ran.done().exits(0);
        let theirs = Store::of(format, &dovecot.mail(), &keys(dovecot, place));
        let ours = Store::sdbox(&temp.path().join("sdbox"));
        assert_eq!(ours.mailboxes["INBOX"], theirs.mailboxes["INBOX"]);
        assert_eq!(ours.subscriptions, theirs.subscriptions);
        // Without ALT= the run says what is missing, and carries the rest.
        let source = source.rsplit_once(":ALT=").unwrap().0;
        let ran = Run::new(temp.path())
            .args(["inspect", "--json", source])
            .done()
            .exits(1);
        ran.says(
            "dbox.alt",
            &serde_json::json!({"severity": "error", "path": "dbox-alt-root"}),
        );
        let (code, lost) = match format {
            "mdbox" => ("mdbox.lost", 2),
            _ => ("dbox.lost", 6),
        };
        assert_eq!(ran.summary()["findings"][code], lost, "{ran}");
        assert!(ran.stdout.contains("the alternative storage"), "{ran}");
        // Named and not there is the same finding.
        let ran =
            Run::new(temp.path()).args(["inspect", "--json", &format!("{source}:ALT=/not/there")]);
        let ran = ran.done().exits(1);
        ran.says("dbox.alt", &serde_json::json!({"severity": "error"}));
    });
}

/// What is put back has its place and bytes again, and another time.
fn contents(tree: &Tree) -> Vec<(&Path, &BStr)> {
    let nodes = tree.iter();
    nodes
        .map(|(path, node)| (path.as_path(), node.content.as_bstr()))
        .collect()
}

#[test]
fn an_index_that_is_not_named_is_missed_aloud() {
    let test = "an_index_that_is_not_named_is_missed_aloud";
    each_format(test, "INDEX=%h/index", "", |dovecot, format| {
        dovecot.make_dir("index");
        dovecot.deliver("INBOX", &mail("one"));
        dovecot.ask(&["mailbox", "create", "Empty"]);
        let named = format!("{format}:{}", dovecot.mail().display());
        let run = |args: &[&str]| {
            let args = args.iter().map(|arg| arg.replace("LOCATION", &named));
            Run::new(&dovecot.home()).args(args).done()
        };
        let before = tree(&dovecot.mail());
        // Forgotten, or another directory.
        let other = dovecot.home().join("other");
        fs::create_dir(&other).unwrap();
        for wrong in [String::new(), format!(":INDEX={}", other.display())] {
            let location = format!("LOCATION{wrong}");
            let ran = run(&["inspect", "--json", &location]).exits(1);
            let detail = ran.findings("index.elsewhere")[0]["detail"].clone();
            assert!(detail.as_str().unwrap().contains("INDEX="), "{ran}");
            let text = run(&["repair", "-n", "--offline", &location])
                .exits(1)
                .stdout;
            let text = text.replace("\n  ", " ");
            assert!(
                text.contains("next: name the directory of the indexes"),
                "{text}"
            );
            assert_eq!(contents(&tree(&dovecot.mail())), contents(&before));

            // A server does not look there, and all of it can be taken back.
            let ran = run(&["repair", "--json", "--offline", &location]).exits(1);
            let doubt = "if the server keeps its indexes elsewhere, none of it is lost";
            assert!(
                lost(&ran).iter().any(|lost| lost.starts_with(doubt)),
                "{ran}"
            );
            let ran = run(&["inspect", "--json", &location]).exits(0);
            assert!(ran.findings("index.elsewhere").is_empty(), "{ran}");
            same_as_dovecot(dovecot, format, "INDEX=%h/index");
            run(&["repair", "--offline", "--undo", &location]).exits(1);
            assert_eq!(contents(&tree(&dovecot.mail())), contents(&before));
        }
        let right = format!("LOCATION:INDEX={}", dovecot.home().join("index").display());
        run(&["repair", "--offline", &right]).exits(0);
        same_as_dovecot(dovecot, format, "INDEX=%h/index");
        dovecot.assert_silent();
    });
}

/// What is damaged, and how.
type Damage = (&'static str, fn(&Path));

/// Ways to damage indexes that lie elsewhere, in the home of the server's user.
const DAMAGES: &[Damage] = &[
    ("the log of INBOX", |index| {
        let log = index.join("mailboxes/INBOX/dovecot.index.log");
        let mut bytes = fs::read(&log).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0);
        fs::write(&log, bytes).unwrap();
    }),
    ("all indexes of mailboxes", |index| {
        fs::remove_dir_all(index.join("mailboxes")).unwrap();
    }),
    ("the map", |index| {
        if index.join("storage").exists() {
            fs::remove_dir_all(index.join("storage")).unwrap();
        }
    }),
];

#[test]
fn indexes_that_lie_elsewhere_are_repaired_there() {
    let test = "indexes_that_lie_elsewhere_are_repaired_there";
    let place = "INDEX=%h/index:CONTROL=%h/control";
    for (what, damage) in DAMAGES {
        each_format(test, place, "", |dovecot, format| {
            for name in ["index", "control"] {
                dovecot.make_dir(name);
            }
            life::live(dovecot);
            damage(&dovecot.home().join("index"));
            let location = format!(
                "{format}:{}:{}",
                dovecot.mail().display(),
                keys(dovecot, place)
            );
            let repair = || {
                let args = ["repair", "--json", "--offline", &location];
                Run::new(&dovecot.home()).args(args).done()
            };
            let ran = repair();
            assert!(ran.code <= 1, "{what}: {ran}");
            assert!(repair().records_of("step").is_empty(), "{what}: {ran}");
            let ours = Store::of(format, &dovecot.mail(), &keys(dovecot, place));
            let errors = ours.findings.iter();
            let errors = errors.filter(|found| found.starts_with("index."));
            assert_eq!(errors.count(), 0, "{what}: {:?}", ours.findings);
            assert!(!ours.mailboxes["INBOX"].messages.is_empty(), "{what}");
            for kept in [
                "dovecot.list.index",
                "mailboxes/INBOX/dbox-Mails/dovecot.index",
            ] {
                assert!(!dovecot.mail().join(kept).exists(), "{what}: {kept}");
            }
            same_as_dovecot(dovecot, format, place);
            dovecot.assert_silent();
        });
    }
}
