//! Links that a user left in an account never lead outside, also when root runs it.

use std::fs;

use serde_json::{Value, json};

use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::tree::{differences, tree};

const SECRET: &[u8] = b"the-secret-of-another-user";

/// What lies beside the account: a file, and a Maildir of someone else.
fn with_neighbour() -> Maildir {
    let account = Maildir::five_and_one();
    let secret = account.temp().join("home/secret");
    fs::write(&secret, [b"0 ", SECRET, b"\n"].concat()).unwrap();
    let theirs = account.temp().join("home/theirs");
    for place in ["cur", "new", "tmp"] {
        fs::create_dir_all(theirs.join(place)).unwrap();
    }
    let message = [b"Subject: ", SECRET, b"\n\nx\n"].concat();
    fs::write(theirs.join("cur").join(format!("{}:2,S", name(8))), message).unwrap();
    account
}

#[test]
fn no_link_leads_outside_and_every_one_is_said() {
    let file = "../home/secret";
    let deep = "../../home/secret";
    for (link, target, code) in [
        ("cur/1700000007.M1.h:2,S", deep, "maildir.symlink-outside"),
        ("new/1700000007.M1.h", deep, "maildir.symlink-outside"),
        (".Theirs", "../home/theirs", "maildir.symlink-outside"),
        (
            ".Sent/cur/1700000007.M1.h:2,S",
            "../../../home/secret",
            "maildir.symlink-outside",
        ),
        (".Sent/dovecot-keywords", deep, "maildir.keywords-broken"),
        (
            ".Sent/courierimapkeywords",
            "../../home",
            "maildir.keywords-broken",
        ),
        (".Sent/dovecot-acl", deep, "acl.unreadable"),
        (".Sent/dovecot.index", deep, "index.broken"),
        (".Sent/dovecot.index.log", deep, "index.broken"),
        ("subscriptions", file, "subscriptions.unreadable"),
        ("courierimapsubscribed", file, "subscriptions.unreadable"),
        ("maildirsize", file, "quota.broken"),
        (".dovecot.sieve", file, "sieve.unreadable"),
        ("sieve", "../home", "sieve.unreadable"),
    ] {
        let account = with_neighbour().link(link, target);
        assert_contained(&account, link, code);
        let absolute = with_neighbour();
        let target = fs::canonicalize(absolute.at(link).parent().unwrap().join(target)).unwrap();
        let target = account
            .temp()
            .join(target.strip_prefix(absolute.temp()).unwrap());
        assert_contained(&absolute.link(link, target), link, code);
    }
}

#[track_caller]
fn assert_contained(account: &Maildir, link: &str, code: &str) {
    let home = account.temp().join("home");
    let before = tree(&home);
    let ran = account.convert();
    let told: Vec<&Value> = ran.findings(code);
    assert_eq!(told.len(), 1, "{link}: {ran}");
    let path = told[0]["path"].as_str();
    // A mailbox's keywords are told by mailbox.
    assert!(
        path == Some(link) || told[0]["mailbox"] == "Sent",
        "{link}: {ran}"
    );
    assert!(matches!(ran.code, 0 | 1), "{link}: {ran}");
    assert!(ran.records_of("difference").is_empty(), "{link}: {ran}");
    assert_eq!(account.store().uids("INBOX"), [1, 2, 3, 4, 5], "{link}");
    assert_secret_is_kept(account, link);
    assert_eq!(differences(&before, &tree(&home)), [""; 0]);
}

fn assert_secret_is_kept(account: &Maildir, link: &str) {
    for (path, node) in tree(&account.destination()) {
        let found = memchr::memmem::find(&node.content, SECRET);
        assert!(found.is_none(), "{link}: {}", path.display());
    }
}

#[test]
fn a_list_of_keywords_that_is_a_link_says_so() {
    let account = with_neighbour().link("dovecot-keywords", "../home/list");
    account.inspect().says(
        "maildir.keywords-broken",
        &json!({"mailbox": "INBOX", "detail": "it is a link, and links are not followed"}),
    );
}

#[test]
fn a_uidlist_that_is_a_link_is_not_read() {
    let account = with_neighbour().without("dovecot-uidlist");
    let list = format!("3 V5 N9\n8 :{}\n", name(1));
    fs::write(account.temp().join("home/list"), list).unwrap();
    let account = account.link("dovecot-uidlist", "../home/list");
    let (ran, store) = account.converted();
    ran.says(
        "uidlist.unreadable",
        &json!({"path": "dovecot-uidlist", "detail": "it is a link, and links are not followed"}),
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_ne!(store.mailbox("INBOX").uidvalidity, 5);
}

#[test]
fn a_place_of_messages_that_is_a_link_is_not_entered() {
    for place in ["cur", "new"] {
        let account = with_neighbour()
            .folder("Evil")
            .put(format!(".Evil/cur/{}", name(6)), mail("mine"));
        fs::remove_dir_all(account.at(format!(".Evil/{place}"))).unwrap();
        let account = account.link(
            &format!(".Evil/{place}"),
            format!("../../home/theirs/{place}"),
        );
        let ran = account.convert().exits(1);
        ran.says(
            "mailbox.unreadable",
            &serde_json::json!({"mailbox": "Evil", "severity": "error"}),
        );
        let store = account.store();
        assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
        if place == "new" {
            assert_eq!(store.subjects("Evil"), [(1, "mine".into())]);
        }
        assert_secret_is_kept(&account, place);
    }
}

#[test]
fn a_link_that_passes_through_another_link_is_not_followed() {
    let account = with_neighbour().link(".Out", "../home/theirs").link(
        "cur/1700000007.M1.h:2,S",
        format!("../.Out/cur/{}:2,S", name(8)),
    );
    let (ran, _) = account.converted();
    assert_eq!(ran.exits(1).findings("maildir.symlink-outside").len(), 2);
    assert_secret_is_kept(&account, "through");
}

#[test]
fn sieve_scripts_are_carried_with_the_link_that_says_which_is_active() {
    let account = Maildir::five_and_one()
        .put("sieve/main.sieve", "keep;\n")
        .put("sieve/main.svbin", "compiled")
        .put("sieve/away/vacation.sieve", "stop;\n")
        .link(".dovecot.sieve", "sieve/main.sieve")
        .link("sieve/evil.sieve", "/etc/passwd");
    let (ran, store) = account.converted();
    ran.exits(1).says(
        "sieve.unreadable",
        &serde_json::json!({"path": "sieve/evil.sieve"}),
    );
    assert_eq!(
        store.sieve,
        [
            ".dovecot.sieve",
            "sieve/away/vacation.sieve",
            "sieve/main.sieve"
        ]
    );
    let link = fs::read_link(account.destination().join(".dovecot.sieve")).unwrap();
    assert_eq!(link.to_str().unwrap(), "sieve/main.sieve");
}
