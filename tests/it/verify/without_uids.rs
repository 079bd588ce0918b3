//! Copies that left their uidlists behind, as rsync with a filter makes them.

use std::fs;

use serde_json::json;

use super::planted::{Planted, compared, store};
use crate::harness::FORMATS;
use crate::harness::maildir::{Maildir, name, scratch};
use crate::harness::run::{Ran, Run};
use crate::harness::tree::copy;
use mailtally::model::Flags;
use mailtally::ops::verify::Level;

/// Verifies a Maildir against its copy without uidlists.
fn verified(account: &Maildir, more: &[&str]) -> Ran {
    let there = account.temp().join("copy");
    if !there.exists() {
        copy(&account.source(), &there);
        fs::remove_file(there.join("dovecot-uidlist")).unwrap();
    }
    let copy = format!("maildir:{}", there.display());
    Run::new(account.temp())
        .args(["verify", "--json", &account.location(), &copy])
        .args(more)
        .done()
}

#[test]
fn messages_without_uids_are_matched_by_name_also_where_none_is_opened() {
    let account = Maildir::five_and_one();
    for more in [&[][..], &["--quick"]] {
        let ran = verified(&account, more).exits(0);
        assert_eq!(ran.codes(), ["uidlist.missing"]);
        let said = ran.user()["not_compared"].to_string();
        assert!(said.contains("matched by name"), "{said}");
    }
    let flags = account.temp().join("copy/cur").join(name(2));
    let flags = flags.display();
    fs::rename(format!("{flags}:2,S"), format!("{flags}:2,F")).unwrap();
    let ran = verified(&account, &[]).exits(1);
    let differences = ran.records_of("difference");
    assert_eq!(differences.len(), 1, "{ran}");
    assert_eq!(differences[0]["code"], "message.flags");
    assert_eq!(differences[0]["uid"], 2);
    assert_eq!(differences[0]["source"], json!(["\\Seen"]));
}

#[test]
fn where_names_say_nothing_contents_do() {
    let temp = scratch();
    let mut planted = Planted::sound(5);
    let copy = temp.path().join("copy");
    planted.write("maildir", &copy);
    for folder in ["", ".Archive", ".Archive.2009", ".Work"] {
        fs::remove_file(copy.join(folder).join("dovecot-uidlist")).unwrap();
    }
    planted.boxes[0].messages[0].0.flags = Flags::DRAFT;
    planted.boxes[3].messages[5].1.push(b'x');
    for format in FORMATS {
        let path = temp.path().join(format);
        planted.write(format, &path);
        let (_, said) = compared(store(format, &path), store("maildir", &copy), Level::Full);
        let mut all = said.differences.lock().unwrap().clone();
        all.retain(|(code, ..)| code != "mode");
        let told = |code: &str, mailbox: &str, uid| (code.to_owned(), mailbox.to_owned(), uid);
        let wanted = [
            told("message.flags", "Archive", 1),
            told("message.extra", "Work", 6),
            told("message.missing", "Work", 11),
        ];
        all.sort();
        let mut wanted = wanted.to_vec();
        wanted.sort();
        assert_eq!(all, wanted, "{format}");
    }
}
