//! What a Maildir has no place for, or only one of its layouts.

use std::fs;

use serde_json::json;

use super::{Chain, convert, read};
use crate::harness::maildir::{Indexed, LAYOUTS, Maildir, mail, name};

/// An sdbox that has more than a Maildir can hold.
fn too_much() -> (Maildir, String) {
    let keywords: Vec<_> = (0..30).map(|nth| format!("key{nth}")).collect();
    let keywords: Vec<_> = keywords.iter().map(String::as_str).collect();
    let all: Vec<usize> = (0..30).collect();
    let index = Indexed {
        keywords: &keywords,
        messages: &[
            (1, 8, &all),
            (2, 8, &all[..28]),
            (3, 8, &[]),
            (4, 8, &[]),
            (5, 8, &[]),
        ],
        ..Indexed::default()
    };
    let mut account = Maildir::new().index("INBOX", &index);
    let rows: Vec<_> = (1..=5).map(|nth| (nth, name(nth as usize))).collect();
    for (_, name) in &rows {
        account = account.message("INBOX", &format!("{name}:2,S"), mail(name));
    }
    let account = account
        .uidlist("INBOX", 6, &rows)
        .dir("Bare")
        .dir("Above/a.b/cur");
    let location = format!("maildir:{}:LAYOUT=fs", account.source().display());
    convert(account.temp(), &location, &account.target(), &[]).exits(0);
    let sdbox = account.target();
    (account, sdbox)
}

#[test]
fn what_a_maildir_cannot_hold_is_said_before_it_is_lost_and_after() {
    let (account, sdbox) = too_much();
    let made = account.temp().join("made");
    let target = format!("maildir:{}", made.display());
    let rehearsed = convert(account.temp(), &sdbox, &target, &["--dry-run"]).exits(1);
    assert!(!made.exists());
    let ran = convert(account.temp(), &sdbox, &target, &[]).exits(1);
    assert_eq!(ran.records_of("finding"), rehearsed.records_of("finding"));
    let lost = [
        "account.modseq",
        "account.saved-dates",
        "mailbox.keywords",
        "mailbox.no-select",
        "mailbox.renamed",
    ];
    assert_eq!(ran.codes(), lost);
    ran.says(
        "mailbox.no-select",
        &json!({"mailbox": "Bare", "severity": "info"}),
    );
    ran.says(
        "mailbox.renamed",
        &json!({"mailbox": "Above/a.b", "detail": "it has the separator of a Maildir++ in a level; carried as Above/a_b"}),
    );
    let store = read(&made, "");
    assert_eq!(store.names(), ["Above/a_b", "INBOX"]);
    assert_eq!(store.message("INBOX", 2).keywords.len(), 26);
}

#[test]
fn where_directories_stand_for_levels_names_are_kept_that_hold_nothing() {
    let (account, sdbox) = too_much();
    let made = account.temp().join("made");
    let target = format!("maildir:{}:LAYOUT=fs", made.display());
    let ran = convert(account.temp(), &sdbox, &target, &[]).exits(1);
    let lost = ["account.modseq", "account.saved-dates", "mailbox.keywords"];
    assert_eq!(ran.codes(), lost);
    let store = read(&made, ":LAYOUT=fs");
    assert_eq!(store.names(), ["Above", "Above/a.b", "Bare", "INBOX"]);
    assert!(!store.mailbox("Bare").selectable);
}

#[test]
fn an_account_without_an_inbox_gets_an_empty_one() {
    for keys in LAYOUTS {
        let chain = Chain::new();
        let sdbox = chain.sdbox();
        let mailboxes = chain.source.destination().join("mailboxes");
        fs::create_dir_all(mailboxes.join("INBOX/Sub")).unwrap();
        fs::rename(
            mailboxes.join("INBOX/dbox-Mails"),
            mailboxes.join("INBOX/Sub/dbox-Mails"),
        )
        .unwrap();
        let target = chain.target(keys);
        let ran = convert(chain.temp(), &sdbox, &target, &[]).exits(0);
        assert_eq!(ran.user()["mailboxes"], 3);
        assert!(ran.findings("mailbox.no-select").is_empty(), "{ran}");
        assert!(!chain.place().join("dovecot-uidlist").exists());
        let store = read(&chain.place(), keys);
        assert_eq!(store.uids("INBOX"), [0_u32; 0]);
        assert_eq!(store.uids("INBOX/Sub"), [1, 2, 3, 4, 5]);
        let ran = convert(chain.temp(), &sdbox, &target, &[]).exits(0);
        assert_eq!(ran.user()["status"], "unchanged");
        // What was touched is named; the INBOX that is always there is not.
        let sent = if keys.is_empty() { ".Sent" } else { "Sent" };
        let new = chain.place().join(sent).join("new/1800000000.M1.h");
        fs::write(new, "A: b\n\nx").unwrap();
        let ran = convert(chain.temp(), &sdbox, &target, &[]).exits(73);
        assert!(ran.stderr.contains(": Sent"), "{ran}");
    }
}

#[test]
fn limits_are_kept_in_a_maildir_plus_plus_and_said_where_they_cannot_be() {
    let account = Maildir::five_and_one().put("maildirsize", "1000000S,1000C\n9 9\n");
    let made = account.temp().join("made");
    let target = format!("maildir:{}", made.display());
    convert(account.temp(), &account.location(), &target, &[]).exits(0);
    let written = fs::read_to_string(made.join("maildirsize")).unwrap();
    let bytes = 5 * mail("number 1").len() + mail("sent one").len();
    assert_eq!(written, format!("1000000S,1000C\n{bytes} 6\n"));
    let target = format!("maildir:{}:LAYOUT=fs", account.temp().join("fs").display());
    let ran = convert(account.temp(), &account.location(), &target, &[]).exits(0);
    let detail = "bytes: 1000000, messages: 1000";
    ran.says(
        "quota.limit",
        &json!({"path": "maildirsize", "detail": detail}),
    );
    assert!(!account.temp().join("fs/maildirsize").exists());
}
