//! R1 to R10: what was done to an account of five messages in the INBOX and one in Sent, and what has
//! to arrive. Dovecot's own converter stopped, lost messages or said nothing in each of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{NOBODY, is_root};
use crate::harness::store::Store;
use crate::harness::tree::{differences, tree};

/// The subjects of those of the five that are there, by UID.
fn numbers(uids: &[u32]) -> Vec<(u32, String)> {
    let numbers = uids.iter();
    numbers.map(|uid| (*uid, format!("number {uid}"))).collect()
}

#[track_caller]
fn assert_all_but(store: &Store, missing: &[u32]) {
    let left: Vec<_> = (1..=5).filter(|uid| !missing.contains(uid)).collect();
    assert_eq!(store.subjects("INBOX"), numbers(&left));
    assert_eq!(store.uids("Sent"), [1]);
    assert_eq!(store.mailbox("INBOX").uidnext, 6);
    assert_eq!(store.findings, [""; 0]);
}

#[test]
fn a_sound_account_is_carried_without_a_word() {
    let (ran, store) = Maildir::five_and_one().converted();
    let ran = ran.exits(0);
    assert_eq!(ran.codes(), [""; 0], "{ran}");
    assert_eq!(ran.summary()["verdict"], "go");
    assert_eq!(ran.user()["status"], "verified");
    assert_all_but(&store, &[]);
}

#[test]
fn r1_a_message_that_cannot_be_read_costs_itself_and_nothing_else() {
    let file = format!("cur/{}:2,S", name(3));
    let mut account = Maildir::five_and_one().mode(&file, 0o000);
    account = account.of_whom_modes_hold_for();
    let ran = account.convert_with(&[]).unprivileged().done().exits(1);
    let owner = if is_root() {
        NOBODY
    } else {
        rustix::process::geteuid().as_raw()
    };
    ran.says(
        "maildir.unreadable",
        &json!({"mailbox": "INBOX", "uid": 3, "path": file, "severity": "error"}),
    );
    let detail = ran.findings("maildir.unreadable")[0]["detail"]
        .as_str()
        .unwrap();
    assert!(detail.starts_with("Permission denied"), "{detail}");
    assert!(detail.contains(&format!("owner {owner}:")), "{detail}");
    assert!(detail.contains("mode 0000"), "{detail}");
    assert_eq!(ran.summary()["verdict"], "no-go");
    assert_eq!(ran.user()["status"], "attention");
    assert_all_but(&account.store(), &[3]);
}

#[test]
fn r1_a_message_of_another_owner_costs_itself_and_nothing_else() {
    if !is_root() {
        crate::harness::skipped("only root can give files away");
        return;
    }
    let account = Maildir::five_and_one().owned_by(NOBODY);
    let file = account.at(format!("cur/{}:2,S", name(3)));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
    let ran = account.convert_with(&[]).unprivileged().done().exits(1);
    let detail = "Permission denied (os error 13); owner 0:0, mode 0600";
    ran.says("maildir.unreadable", &json!({"uid": 3, "detail": detail}));
    assert_all_but(&account.store(), &[3]);
}

#[test]
fn r2_a_size_in_the_name_that_is_wrong_is_told_and_the_message_carried() {
    for wrong in [999_999, 5] {
        let base = format!("{},S={wrong}", name(3));
        let account = Maildir::five_and_one()
            .without(&format!("cur/{}:2,S", name(3)))
            .message("INBOX", &format!("{base}:2,S"), mail("number 3"))
            .uidlist(
                "INBOX",
                6,
                &[
                    (1, name(1)),
                    (2, name(2)),
                    (3, base.clone()),
                    (4, name(4)),
                    (5, name(5)),
                ],
            );
        let (ran, store) = account.converted();
        let len = mail("number 3").len();
        let ran = ran.exits(0);
        ran.says(
            "maildir.size-mismatch",
            &json!({"mailbox": "INBOX", "uid": 3, "path": format!("cur/{base}:2,S"),
                   "detail": format!("name says {wrong} bytes, file has {len}")}),
        );
        assert_all_but(&store, &[]);
        assert_eq!(store.message("INBOX", 3).guid, base);
    }
}

#[test]
fn r3_an_empty_message_is_carried_and_told() {
    let account = Maildir::five_and_one().put(format!("cur/{}:2,S", name(3)), "");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.empty",
        &json!({"mailbox": "INBOX", "uid": 3, "severity": "warning"}),
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_eq!(store.message("INBOX", 3).body, "");
}

#[test]
fn r4_a_message_of_nothing_but_nuls_needs_a_person() {
    let account = Maildir::five_and_one().put(format!("cur/{}:2,S", name(3)), [0; 4096]);
    let (ran, store) = account.converted();
    let ran = ran.exits(1);
    ran.says(
        "maildir.nul-block",
        &json!({"mailbox": "INBOX", "uid": 3, "detail": "4096 NULs from byte 0 on"}),
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_eq!(store.message("INBOX", 3).body, vec![0; 4096]);
}

#[test]
fn r5_one_base_name_in_new_and_cur_is_one_message_or_two_as_the_bytes_say() {
    let same = Maildir::five_and_one().new_message("INBOX", &name(3), mail("number 3"));
    let (ran, store) = same.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.duplicate-name",
        &json!({"mailbox": "INBOX", "detail": format!("{0}:2,S, {0}", name(3))}),
    );
    assert_all_but(&store, &[]);
    assert_eq!(store.message("INBOX", 3).flags, ["\\Seen"]);

    let other = Maildir::five_and_one().new_message("INBOX", &name(3), mail("another"));
    let (ran, store) = other.converted();
    let ran = ran.exits(0);
    assert_eq!(ran.findings("maildir.duplicate-name").len(), 1, "{ran}");
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(store.message("INBOX", 3).subject(), "number 3");
    let second = store.message("INBOX", 6);
    assert_eq!(
        (second.subject().as_str(), second.flags.len()),
        ("another", 0)
    );
    assert_ne!(second.guid, store.message("INBOX", 3).guid);
}

#[test]
fn r6_one_base_name_twice_in_cur_is_one_message_with_the_newer_flags() {
    let account = Maildir::five_and_one();
    // The inode's time decides: the later name is the newer one.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let account = account.message("INBOX", &format!("{}:2,RS", name(3)), mail("number 3"));
    let before = tree(&account.source());
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.duplicate-name",
        &json!({"mailbox": "INBOX", "detail": format!("{0}:2,RS, {0}:2,S", name(3))}),
    );
    assert_all_but(&store, &[]);
    assert_eq!(store.message("INBOX", 3).flags, ["\\Answered", "\\Seen"]);
    // Dovecot's converter renamed a file in the source.
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
}

#[test]
fn r7_a_dangling_link_is_told_and_uses_up_no_uid() {
    let link = format!("cur/{}:2,S", name(6));
    let account = Maildir::five_and_one().link(&link, "/nowhere/at/all");
    let (ran, store) = account.converted();
    let ran = ran.exits(1);
    ran.says(
        "maildir.symlink-outside",
        &json!({"mailbox": "INBOX", "path": link, "detail": "to /nowhere/at/all", "severity": "error"}),
    );
    assert_all_but(&store, &[]);
}

#[test]
fn r8_a_folder_called_inbox_keeps_its_message_and_a_sieve_script_is_no_folder() {
    let account = Maildir::five_and_one()
        .folder("INBOX_")
        .put(".dovecot.sieve", "keep;\n");
    fs::rename(account.at(".INBOX_"), account.at(".INBOX")).unwrap();
    let account = account.put(format!(".INBOX/cur/{}:2,F", name(7)), mail("hidden"));
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.inbox-folder",
        &json!({"mailbox": "INBOX_1", "path": ".INBOX", "detail": "carried as INBOX_1"}),
    );
    assert_all_but(&store, &[]);
    assert_eq!(store.names(), ["INBOX", "INBOX_1", "Sent"]);
    assert_eq!(store.subjects("INBOX_1"), [(1, "hidden".into())]);
    assert_eq!(store.sieve, [".dovecot.sieve"]);
}

#[test]
fn r9_a_source_that_is_read_only_is_read_as_any_other() {
    let mut account = Maildir::five_and_one();
    for path in [format!("cur/{}:2,S", name(1)), "dovecot-uidlist".into()] {
        account = account.mode(&path, 0o400);
    }
    let account = account.read_only();
    let before = tree(&account.source());
    let ran = account.convert_with(&[]).unprivileged().done().exits(0);
    assert_eq!(ran.codes(), [""; 0], "{ran}");
    assert_all_but(&account.store(), &[]);
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
    // What is written can be written to by its owner all the same.
    let mode = fs::metadata(account.destination())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
    account.writable_again();
}

#[test]
fn r10_a_keyword_letter_without_a_name_is_told_with_what_other_folders_call_it() {
    let account = Maildir::five_and_one()
        .without(&format!("cur/{}:2,S", name(3)))
        .message("INBOX", &format!("{}:2,Sab", name(3)), mail("number 3"))
        .side("Sent", "dovecot-keywords", "0 $Forwarded\n");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    let details: Vec<_> = ran
        .findings("maildir.keyword-unnamed")
        .iter()
        .map(|it| it["detail"].clone())
        .collect();
    assert_eq!(
        details,
        [
            "letter a becomes unknown-0; other folders name it $Forwarded",
            "letter b becomes unknown-1; no other folder names it",
        ]
    );
    assert_all_but(&store, &[]);
    assert_eq!(
        store.message("INBOX", 3).keywords,
        ["unknown-0", "unknown-1"]
    );
}
