//! Catalogue 42 to 54, 65, 67, 77, 84 and 85: names, layouts, and what belongs to the account.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use serde_json::json;

use crate::harness::maildir::{Maildir, VALIDITY, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;

/// Converts with keys behind the path of the source.
fn with_keys(account: &Maildir, keys: &str) -> (Ran, Store) {
    let source = format!("{}:{keys}", account.location());
    let ran = Run::new(account.temp())
        .args(["convert", "--json", &source, &account.target()])
        .done();
    assert!(matches!(ran.code, 0 | 1), "{ran}");
    assert!(ran.records_of("difference").is_empty(), "{ran}");
    (ran, account.store())
}

#[test]
fn a_maildir_plus_plus_that_is_read_with_layout_fs_is_said() {
    let account = Maildir::five_and_one()
        .folder("Archive.2020.Q&AOQ-")
        .folder("None.yet")
        .folder("empty");
    fs::remove_dir_all(account.in_folder("empty", "cur")).unwrap();
    fs::remove_dir_all(account.in_folder("empty", "new")).unwrap();
    let inspect = |keys: &str| {
        let location = format!("{}{keys}", account.location());
        let args = ["inspect", "--json", &location];
        let ran = Run::new(account.temp()).args(args).done().exits(0);
        let found = ran.findings("maildir.dot-folder");
        let details = found
            .iter()
            .map(|it| it["detail"].as_str().unwrap().to_owned());
        details.collect::<Vec<_>>()
    };
    let mailbox = |name| format!("it holds cur or new: without LAYOUT=fs it is the mailbox {name}");
    let mut said = inspect(":LAYOUT=fs");
    said.sort();
    assert_eq!(
        said,
        [
            mailbox("Archive/2020/Qä"),
            mailbox("None/yet"),
            mailbox("Sent")
        ]
    );
    assert_eq!(inspect(""), [""; 0]);
}

#[test]
fn folders_that_read_inbox_are_carried_beside_the_inbox() {
    // 42 and 43.
    let account = Maildir::five_and_one()
        .folder("Inbox")
        .message("Inbox", &name(6), mail("first"))
        .folder("inbox.Old")
        .message("inbox.Old", &name(7), mail("child"));
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "maildir.inbox-folder",
        &json!({"mailbox": "Inbox_1", "path": ".Inbox", "detail": "carried as Inbox_1"}),
    );
    assert_eq!(store.names(), ["INBOX", "INBOX/Old", "Inbox_1", "Sent"]);
    assert_eq!(store.subjects("Inbox_1"), [(1, "first".into())]);
    assert_eq!(store.subjects("INBOX/Old"), [(1, "child".into())]);
}

#[test]
fn a_folder_that_is_really_called_so_keeps_its_name() {
    let account = Maildir::five_and_one()
        .folder("INBOX_1")
        .message("INBOX_1", &name(6), mail("real"))
        .dir(".INBOX/new")
        .put(format!(".INBOX/cur/{}", name(7)), mail("second inbox"));
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "maildir.inbox-folder",
        &json!({"mailbox": "INBOX_1_2", "detail": "carried as INBOX_1_2"}),
    );
    assert_eq!(store.subjects("INBOX_1"), [(1, "real".into())]);
    assert_eq!(store.subjects("INBOX_1_2"), [(1, "second inbox".into())]);
}

#[test]
fn names_that_a_mac_cannot_tell_apart_are_listed() {
    // 44.
    let account = Maildir::five_and_one()
        .folder("Work")
        .folder("WORK")
        .folder("Caf&AOk-")
        .folder("Cafe&AwE-");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    let clashes: Vec<_> = ran
        .findings("mailbox.name-clash")
        .iter()
        .map(|it| it["detail"].clone())
        .collect();
    assert_eq!(clashes, ["Cafe\u{301} and Caf\u{e9}", "WORK and Work"]);
    assert_eq!(store.names().len(), 6);
}

#[test]
fn names_that_are_not_modified_utf_7_are_read_as_the_text_they_show() {
    // 45.
    let raw = OsString::from_vec(b".caf\xe9/cur".to_vec());
    let account = Maildir::five_and_one()
        .folder("Entwürfe")
        .folder("A&B")
        .folder("Entw&APw-rfe.2020")
        .dir(raw);
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    let told: Vec<_> = ran
        .findings("mailbox.name")
        .iter()
        .map(|it| (it["path"].clone(), it["detail"].clone()))
        .collect();
    let wanted = [
        (".A&B", "read as A&B"),
        (".Entwürfe", "read as Entwürfe"),
        (".caf\\xE9", "read as caf\\xE9"),
    ];
    assert_eq!(
        told,
        wanted.map(|(path, detail)| (json!(path), json!(detail)))
    );
    assert_eq!(
        store.names(),
        [
            "A&B",
            "Entwürfe",
            "Entwürfe/2020",
            "INBOX",
            "Sent",
            "caf\\xE9"
        ]
    );
}

#[test]
fn two_directories_that_read_as_one_name_are_two_mailboxes_at_every_run() {
    let account = Maildir::five_and_one()
        .folder("Entw&APw-rfe")
        .message("Entw&APw-rfe", &name(6), mail("right"))
        .folder("Entwürfe")
        .message("Entwürfe", &name(7), mail("raw"));
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "mailbox.name",
        &json!({"mailbox": "Entwürfe_2", "path": ".Entwürfe",
               "detail": "read as Entwürfe, which is taken; carried as Entwürfe_2"}),
    );
    assert_eq!(store.subjects("Entwürfe"), [(1, "right".into())]);
    assert_eq!(store.subjects("Entwürfe_2"), [(1, "raw".into())]);
}

#[test]
fn utf_8_names_are_right_where_the_location_says_so() {
    let account = Maildir::five_and_one().folder("Entwürfe").folder("A&B");
    let (ran, store) = with_keys(&account, "UTF-8");
    assert_eq!(ran.codes(), [""; 0], "{ran}");
    assert_eq!(store.names(), ["A&B", "Entwürfe", "INBOX", "Sent"]);
}

#[test]
fn names_that_the_destination_cannot_hold_are_proposed_and_carried() {
    // 46, 48 and 49: an empty level, a level that leads elsewhere, dbox's own folder, too long.
    let long = "é".repeat(120);
    let account = Maildir::five_and_one()
        .folder(".x")
        .folder("x..y")
        .folder("~root")
        .folder("dbox-Mails")
        .folder("new&AAo-line")
        .folder(&long);
    let dry = account.convert_with(&["--dry-run"]).done().exits(0);
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    let told = |ran: &Ran| -> Vec<_> {
        ran.findings("mailbox.renamed")
            .iter()
            .map(|it| (it["mailbox"].clone(), it["detail"].clone()))
            .collect()
    };
    assert_eq!(told(&dry), told(&ran));
    let details = told(&ran);
    assert_eq!(details.len(), 6, "{ran}");
    assert!(
        details
            .iter()
            .all(|(_, detail)| detail.as_str().unwrap().contains("; carried as ")),
        "{ran}"
    );
    let short = "é".repeat(32);
    for name in ["_/x", "x/_/y", "_root", "dbox-Mails_", "new_line", &short] {
        assert!(
            store.mailboxes.contains_key(name),
            "{name} in {:?}",
            store.names()
        );
    }
    assert_eq!(ran.mailbox("new_line")["messages"], 0);
}

#[test]
fn directories_stand_for_levels_in_the_fs_layout() {
    // 48 and 50.
    let account = Maildir::five_and_one()
        .put(format!("Work/2009/cur/{}:2,S", name(6)), mail("deep"))
        .dir("Work/2009/new")
        .put("Drafts/cur/x~", "stray")
        .put(format!(".Hidden/cur/{}:2,S", name(7)), mail("hidden"))
        .put("subscriptions", "V\t2\n\nWork\t2009\n");
    let (ran, store) = with_keys(&account, "LAYOUT=fs");
    let names = [".Hidden", ".Sent", "Drafts", "INBOX", "Work", "Work/2009"];
    assert_eq!(store.names(), names, "as Dovecot shows them");
    assert_eq!(store.subjects(".Hidden"), [(1, "hidden".into())]);
    assert!(!store.mailbox("Work").selectable);
    assert!(store.mailbox("Drafts").selectable);
    assert_eq!(store.subjects("Work/2009"), [(1, "deep".into())]);
    assert_eq!(store.subscriptions, ["Work/2009"]);
    ran.says(
        "maildir.stray",
        &json!({"mailbox": "Drafts", "path": "Drafts/cur/x~"}),
    );
}

#[test]
fn links_to_folders_are_followed_inside_the_fs_layout_too() {
    let account = Maildir::five_and_one()
        .put(format!("Work/2009/cur/{}:2,S", name(6)), mail("deep"))
        .link("Work/Last", "2009")
        .link("Work/Up", "..")
        .link("Etc", "/etc");
    let (ran, store) = with_keys(&account, "LAYOUT=fs");
    let ran = ran.exits(1);
    let names = [".Sent", "INBOX", "Work", "Work/2009", "Work/Last"];
    assert_eq!(store.names(), names);
    assert_eq!(store.subjects("Work/Last"), [(1, "deep".into())]);
    ran.says(
        "maildir.symlink-outside",
        &json!({"path": "Etc", "detail": "to /etc"}),
    );
}

#[test]
fn a_directory_name_keeps_folders_called_cur_apart() {
    // 48: LAYOUT=fs with DIRNAME.
    let account = Maildir::new()
        .put(format!("INBOX/mBox/cur/{}:2,S", name(1)), mail("in"))
        .put(format!("cur/mBox/cur/{}:2,S", name(2)), mail("called cur"))
        .put(format!("inbox/mBox/cur/{}:2,S", name(4)), mail("second"))
        .put(format!("INBOX/Sub/mBox/new/{}", name(3)), mail("sub"))
        .dir("INBOX/Sub/mBox/cur");
    let (ran, store) = with_keys(&account, "LAYOUT=fs:DIRNAME=mBox");
    let ran = ran.exits(0);
    assert_eq!(store.subjects("INBOX"), [(1, "in".into())]);
    assert_eq!(store.subjects("cur"), [(1, "called cur".into())]);
    assert_eq!(store.subjects("INBOX/Sub"), [(1, "sub".into())]);
    assert_eq!(store.subjects("inbox_1"), [(1, "second".into())]);
    ran.says("maildir.inbox-folder", &json!({"path": "inbox"}));
}

#[test]
fn index_and_control_are_looked_for_where_the_location_says() {
    let account = Maildir::five_and_one();
    let control = account.temp().join("control");
    for (folder, list) in [
        (".INBOX", "dovecot-uidlist"),
        (".Sent", ".Sent/dovecot-uidlist"),
    ] {
        fs::create_dir_all(control.join(folder)).unwrap();
        fs::rename(
            account.at(list),
            control.join(folder).join("dovecot-uidlist"),
        )
        .unwrap();
    }
    fs::write(control.join("subscriptions"), "Sent\n").unwrap();
    fs::write(control.join(".INBOX/dovecot-keywords"), "0 Work\n").unwrap();
    let account = account.without(&format!("cur/{}:2,S", name(3))).message(
        "INBOX",
        &format!("{}:2,Sa", name(3)),
        mail("number 3"),
    );
    let keys = format!("CONTROL={}:INDEX=MEMORY", control.display());
    let (ran, store) = with_keys(&account, &keys);
    assert_eq!(ran.exits(0).codes(), [""; 0]);
    assert_eq!(store.mailbox("INBOX").uidvalidity, VALIDITY);
    assert_eq!(store.message("INBOX", 3).keywords, ["Work"]);
    assert_eq!(store.subscriptions, ["Sent"]);
    // A change there is a change of the source.
    let again = Run::new(account.temp())
        .args([
            "convert",
            "--json",
            &format!("{}:{keys}", account.location()),
            &account.target(),
        ])
        .done();
    assert_eq!(again.user()["status"], "unchanged", "{again}");
    fs::write(control.join("subscriptions"), "Sent\nOther\n").unwrap();
    let (ran, store) = with_keys(&account, &keys);
    assert_eq!(ran.user()["status"], "verified");
    assert_eq!(store.subscriptions, ["Sent", "Other"]);
}

#[test]
fn an_inbox_that_lies_elsewhere_is_read_and_watched_there() {
    let account = Maildir::five_and_one();
    let inbox = account.temp().join("inbox");
    for place in ["cur", "new", "tmp"] {
        fs::create_dir_all(inbox.join(place)).unwrap();
    }
    fs::write(
        inbox.join("cur").join(format!("{}:2,S", name(1))),
        mail("elsewhere"),
    )
    .unwrap();
    let keys = format!("INBOX={}", inbox.display());
    let (_, store) = with_keys(&account, &keys);
    assert_eq!(store.subjects("INBOX"), [(1, "elsewhere".into())]);
    fs::write(inbox.join("new").join(name(2)), mail("late")).unwrap();
    let (_, store) = with_keys(&account, &keys);
    assert_eq!(store.subjects("INBOX").len(), 2);
}

#[test]
fn empty_folders_and_folders_that_were_never_opened_are_kept() {
    // 50 and 51.
    let account = Maildir::five_and_one()
        .dir(".Empty")
        .folder("A.B.C")
        .put("subscriptions", "Sent\nGone.Away\n");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(
        store.names(),
        ["A", "A/B", "A/B/C", "Empty", "INBOX", "Sent"]
    );
    assert!(store.mailbox("A/B/C").selectable && store.mailbox("Empty").selectable);
    assert!(!store.mailbox("A").selectable);
    assert_eq!(store.subscriptions, ["Sent", "Gone/Away"]);
    ran.says(
        "subscription.unknown",
        &json!({"mailbox": "Gone/Away", "severity": "info"}),
    );
}

#[test]
fn subscriptions_of_every_server_are_read() {
    // 52.
    for (file, text) in [
        ("subscriptions", "Sent\nArchive.2020\n"),
        ("subscriptions", "V\t2\n\nSent\nArchive\t2020\n"),
        ("courierimapsubscribed", "INBOX.Sent\nINBOX.Archive.2020\n"),
    ] {
        let account = Maildir::five_and_one()
            .folder("Archive.2020")
            .put(file, text);
        let (ran, store) = account.converted();
        assert_eq!(ran.exits(0).codes(), [""; 0], "{file}");
        assert_eq!(store.subscriptions, ["Sent", "Archive/2020"], "{file}");
        let written = fs::read(account.destination().join("subscriptions")).unwrap();
        assert_eq!(written, b"V\t2\n\nSent\nArchive\t2020\n");
    }
}

#[test]
fn quota_limits_are_said_and_usage_that_cannot_be_is_told() {
    // 65 and 67.
    let account = Maildir::five_and_one().put("maildirsize", "1000000S,1000C\n100 1\n-5000 -3\n");
    let (ran, _) = account.converted();
    let ran = ran.exits(0);
    ran.says("quota.limit", &json!({"path": "maildirsize", "severity": "info", "detail": "bytes: 1000000, messages: 1000"}));
    ran.says("quota.broken", &json!({"path": "maildirsize", "severity": "warning", "detail": "it adds up to -4900 bytes, -2 messages"}));
    let bytes = ran.user()["bytes"].as_u64().unwrap();
    for (used, told) in [(bytes, 0), (bytes + 9, 1)] {
        let text = format!("100000S\n{used} 6\n");
        let (ran, _) = Maildir::five_and_one().put("maildirsize", text).converted();
        assert_eq!(ran.findings("quota.stale").len(), told, "{ran}");
    }
    for text in ["\n9223372036854775807 1\n1 1\n", "1000S\nnot numbers\n"] {
        let (ran, _) = Maildir::five_and_one().put("maildirsize", text).converted();
        ran.says(
            "quota.broken",
            &json!({"detail": "a line is no pair of numbers, or the sum is beyond 2^63"}),
        );
    }
}

#[test]
fn a_copied_folder_gets_a_guid_of_its_own() {
    // 77.
    let account = Maildir::five_and_one().folder("Copy");
    fs::copy(
        account.at(".Sent/dovecot-uidlist"),
        account.at(".Copy/dovecot-uidlist"),
    )
    .unwrap();
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "mailbox.guid-twice",
        &json!({"mailbox": "Sent", "severity": "warning"}),
    );
    assert_ne!(store.mailbox("Copy").guid, store.mailbox("Sent").guid);
}

#[test]
fn a_transfer_that_was_cut_off_is_seen_as_two_stores() {
    // 84.
    let account = Maildir::five_and_one()
        .dir("mailboxes/INBOX/dbox-Mails")
        .dir("storage");
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "account.two-stores",
        &json!({"path": "mailboxes", "severity": "warning"}),
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_folder_that_cannot_be_entered_costs_itself_and_nothing_else() {
    let mut account = Maildir::five_and_one().folder("Closed").folder("Half");
    account = account.mode(".Closed", 0o000).mode(".Half/cur", 0o000);
    account = account.of_whom_modes_hold_for();
    let ran = account.convert_with(&[]).unprivileged().done().exits(1);
    let told = ran.findings("mailbox.unreadable");
    let mailboxes: Vec<_> = told
        .iter()
        .map(|it| it["mailbox"].as_str().unwrap())
        .collect();
    assert_eq!(mailboxes, ["Closed", "Half"], "{ran}");
    assert_eq!(ran.user()["status"], "attention");
    let store = account.store();
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_eq!(store.uids("Sent"), [1]);
    let _ = account.mode(".Closed", 0o700).mode(".Half/cur", 0o700);
}

#[test]
fn side_files_that_cannot_be_read_are_said() {
    let mut account = Maildir::five_and_one()
        .put("subscriptions", "Sent\n")
        .put("sieve/main.sieve", "keep;\n")
        .side("Sent", "dovecot-acl", "owner lr\n")
        .side("Sent", "dovecot-keywords", "0 a\n");
    for file in [
        "subscriptions",
        "sieve/main.sieve",
        ".Sent/dovecot-acl",
        ".Sent/dovecot-keywords",
        ".Sent/dovecot-uidlist",
    ] {
        account = account.mode(file, 0o000);
    }
    account = account.of_whom_modes_hold_for();
    let ran = account.convert_with(&[]).unprivileged().done().exits(1);
    assert_eq!(
        ran.codes(),
        [
            "acl.unreadable",
            "maildir.keywords-broken",
            "sieve.unreadable",
            "subscriptions.unreadable",
            "uidlist.missing",
            "uidlist.unreadable",
        ]
    );
    assert_eq!(account.store().subjects("Sent"), [(1, "sent one".into())]);
}
