//! Catalogue 32 to 38: what Dovecot's index knows beside the file names.

use std::fs;

use serde_json::json;

use crate::harness::maildir::{Indexed, Maildir, mail, name};

/// Two listed messages.
fn two() -> Maildir {
    Maildir::new()
        .uidlist("INBOX", 3, &[(1, name(1)), (2, name(2))])
        .message("INBOX", &format!("{}:2,Sa", name(1)), mail("one"))
        .message("INBOX", &format!("{}:2,F", name(2)), mail("two"))
        .side("INBOX", "dovecot-keywords", "0 $Forwarded\n")
}

fn indexed<'a>(messages: &'a [(u32, u8, &'a [usize])], keywords: &'a [&'a str]) -> Indexed<'a> {
    Indexed {
        next: 3,
        keywords,
        messages,
        cached: &[1_600_000_001, 1_600_000_002],
        first_recent: 3,
        ..Indexed::default()
    }
}

const FLAGGED: u8 = 2;
const DELETED: u8 = 4;
const SEEN: u8 = 8;
const DIRTY: u8 = 0x80;

#[test]
fn keywords_beyond_26_and_saved_dates_come_from_the_index() {
    // 37.
    let names: Vec<String> = (0..40).map(|nth| format!("kw{nth}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let letters: Vec<String> = (0..26).map(|nth| format!("{nth} kw{nth}\n")).collect();
    let account = two()
        .side("INBOX", "dovecot-keywords", letters.concat())
        .index(
            "INBOX",
            &indexed(&[(1, SEEN, &[0, 5, 30, 39]), (2, FLAGGED, &[26])], &names),
        );
    let (ran, store) = account.converted();
    assert_eq!(ran.exits(0).codes(), [""; 0]);
    // kw5 has a letter, and the name does not have it: the name is right.
    assert_eq!(store.message("INBOX", 1).keywords, ["kw0", "kw30", "kw39"]);
    assert_eq!(store.message("INBOX", 2).keywords, ["kw26"]);
    assert_eq!(store.message("INBOX", 1).saved, Some(1_600_000_001));
    assert_eq!(store.message("INBOX", 2).saved, Some(1_600_000_002));
}

#[test]
fn the_index_is_newer_than_the_name_where_it_says_so() {
    let messages: [(u32, u8, &[usize]); 2] = [(1, DIRTY | DELETED, &[1]), (2, SEEN, &[1])];
    let account = two().index("INBOX", &indexed(&messages, &["$Forwarded", "Junk"]));
    let (_, store) = account.converted();
    let told = |uid| {
        let message = store.message("INBOX", uid);
        (message.flags.clone(), message.keywords.clone())
    };
    assert_eq!(told(1), (vec!["\\Deleted"], vec!["Junk".into()]));
    assert_eq!(told(2), (vec!["\\Flagged"], vec!["Junk".into()]));
}

#[test]
fn a_log_of_another_index_is_stale_and_not_applied() {
    // 32.
    let other = Indexed {
        indexid: 78,
        ..indexed(&[], &[])
    };
    let account = two()
        .index("INBOX", &indexed(&[(1, SEEN, &[]), (2, FLAGGED, &[])], &[]))
        .side("INBOX", "dovecot.index.log", other.files().1);
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "index.indexid",
        &json!({"mailbox": "INBOX", "path": "dovecot.index.log", "severity": "warning",
               "detail": "its indexid is 78, that of the index is 77"}),
    );
    assert_eq!(store.message("INBOX", 1).saved, Some(1_600_000_001));
    assert_eq!(store.uids("INBOX"), [1, 2]);
}

/// A log record: its size in the encoding of the log, its kind, and a body.
fn record(kind: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + body.len()).unwrap();
    let offset = size >> 2;
    let parts = [offset >> 21, offset >> 14, offset >> 7, offset];
    let mut bytes: Vec<u8> = parts
        .iter()
        .map(|part| (part & 0x7f) as u8 | 0x80)
        .collect();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn log_records_of_a_later_server_are_passed_over() {
    // 33.
    let account = two().index("INBOX", &indexed(&[(1, SEEN, &[]), (2, FLAGGED, &[])], &[]));
    let log = account.at("dovecot.index.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend(record(0x0800_0000, &[0; 8]));
    fs::write(&log, bytes).unwrap();
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(ran.codes(), ["index.unknown-record"], "{ran}");
    assert_eq!(store.uids("INBOX"), [1, 2]);
}

#[test]
fn a_log_that_ends_in_a_half_record_is_used_up_to_there() {
    // 34.
    let account = two().index("INBOX", &indexed(&[(1, SEEN, &[]), (2, FLAGGED, &[])], &[]));
    let log = account.at("dovecot.index.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend(&record(0x0800_0000, &[0; 64])[..20]);
    fs::write(&log, bytes).unwrap();
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "index.log",
        &json!({"mailbox": "INBOX", "path": "dovecot.index.log", "severity": "warning"}),
    );
    assert_eq!(store.message("INBOX", 2).saved, Some(1_600_000_002));
}

#[test]
fn an_index_that_is_no_index_costs_nothing_but_what_only_it_knows() {
    let old_endian = {
        let (mut index, ..) = indexed(&[(1, SEEN, &[])], &[]).files();
        index[12] = 0; // compat flags: not little endian
        index
    };
    for bytes in [
        b"garbage".to_vec(),
        old_endian,
        vec![0; 4096],
        vec![0xff; 120],
    ] {
        let account = two().side("INBOX", "dovecot.index", bytes);
        let (ran, store) = account.converted();
        ran.exits(0).says(
            "index.broken",
            &json!({"mailbox": "INBOX", "path": "dovecot.index", "severity": "warning"}),
        );
        assert_eq!(
            store.subjects("INBOX"),
            [(1, "one".into()), (2, "two".into())]
        );
        assert_eq!(store.message("INBOX", 1).keywords, ["$Forwarded"]);
    }
}

#[test]
fn a_cache_of_another_index_is_not_used() {
    let other = Indexed {
        indexid: 78,
        ..indexed(&[(1, SEEN, &[])], &[])
    };
    let account = two()
        .index("INBOX", &indexed(&[(1, SEEN, &[]), (2, FLAGGED, &[])], &[]))
        .side("INBOX", "dovecot.index.cache", other.files().2);
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "index.cache",
        &json!({"mailbox": "INBOX", "path": "dovecot.index.cache", "severity": "warning"}),
    );
    assert!(
        store.message("INBOX", 1).saved > Some(1_700_000_000),
        "the inode's time"
    );
}

#[test]
fn keywords_that_differ_only_in_case_are_one_as_in_imap() {
    // 38.
    let account = two()
        .side(
            "INBOX",
            "dovecot-keywords",
            "0 $label4\n1 $LABEL4\n2 Other\n",
        )
        .message("INBOX", &format!("{}:2,abc", name(3)), mail("three"));
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "maildir.keyword-case",
        &json!({"mailbox": "INBOX", "detail": "$LABEL4 is there already"}),
    );
    assert_eq!(store.message("INBOX", 3).keywords, ["$label4", "Other"]);
}

#[test]
fn keyword_lines_that_cannot_be_read_are_skipped() {
    let account = two().side(
        "INBOX",
        "dovecot-keywords",
        "0 $Forwarded\nx y\n26 Late\n1 \n",
    );
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "maildir.keywords-broken",
        &json!({"mailbox": "INBOX", "detail": "3 lines"}),
    );
    assert_eq!(store.message("INBOX", 1).keywords, ["$Forwarded"]);
}

#[test]
fn couriers_keywords_and_those_of_dovecot_0_are_read() {
    let account = Maildir::new()
        .message("INBOX", &format!("{}:2,S", name(1)), mail("one"))
        .message("INBOX", &format!("{}:2,S", name(2)), mail("two"))
        .side(
            "INBOX",
            "courierimapuiddb",
            format!("1 1700000000 3\n1 {}\n2 {}\n", name(1), name(2)),
        )
        .put(
            "courierimapkeywords/:list",
            format!("Junk\nWork\n\n{}:0 1\n", name(1)),
        )
        .put(format!("courierimapkeywords/.5.{}", name(2)), "Late\n");
    let (ran, store) = account.converted();
    assert_eq!(ran.exits(0).codes(), ["uidlist.old"]);
    assert_eq!(store.message("INBOX", 1).keywords, ["Junk", "Work"]);
    assert_eq!(store.message("INBOX", 2).keywords, ["Late"]);

    let account = two()
        .without("dovecot-keywords")
        .side("INBOX", ".customflags", "0 Ancient\n");
    let (_, store) = account.converted();
    assert_eq!(store.message("INBOX", 1).keywords, ["Ancient"]);
}

#[test]
fn with_an_index_and_no_uidlist_the_index_says_where_uids_go_on() {
    let account = two().without("dovecot-uidlist").index(
        "INBOX",
        &Indexed {
            next: 100,
            messages: &[(98, SEEN, &[])],
            ..Indexed::default()
        },
    );
    let (ran, store) = account.converted();
    ran.exits(0)
        .says("uidlist.missing", &json!({"mailbox": "INBOX"}));
    assert_eq!(store.uids("INBOX"), [100, 101]);
    assert_eq!(
        store.mailbox("INBOX").uidvalidity,
        Indexed::default().uidvalidity
    );
}
