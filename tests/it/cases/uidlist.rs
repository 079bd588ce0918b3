//! Catalogue 20 to 31 and 41: UIDs, and what tells them.

use serde_json::json;

use crate::harness::maildir::{Indexed, Maildir, VALIDITY, mail, name};

/// Messages 1 to `count`, in `cur/`, without a uidlist.
fn messages(count: usize) -> Maildir {
    let mut account = Maildir::new();
    for nth in 1..=count {
        account = account.message(
            "INBOX",
            &format!("{}:2,S", name(nth)),
            mail(&format!("number {nth}")),
        );
    }
    account
}

/// The number of the message that each UID stands for.
fn numbers(store: &crate::harness::store::Store) -> Vec<(u32, u32)> {
    let number = |subject: String| subject["number ".len()..].parse().unwrap();
    let subjects = store.subjects("INBOX").into_iter();
    subjects
        .map(|(uid, subject)| (uid, number(subject)))
        .collect()
}

#[test]
fn a_file_that_is_listed_twice_has_its_later_uid() {
    // 20: as in Dovecot, whose clients have seen that one.
    let account = messages(2).uidlist("INBOX", 9, &[(1, name(1)), (2, name(2)), (5, name(1))]);
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "uidlist.duplicate",
        &json!({"mailbox": "INBOX", "path": "dovecot-uidlist", "detail": "1 file named twice"}),
    );
    assert_eq!(numbers(&store), [(2, 2), (5, 1)]);
}

#[test]
fn broken_lines_cost_new_uids_for_their_messages_and_no_others() {
    // 21.
    let (one, two, three, four) = (name(1), name(2), name(3), name(4));
    for (why, text) in [
        (
            "UIDs not ordered",
            format!("1 :{one}\n9 :{two}\n3 :{three}\n4 :{four}\n"),
        ),
        (
            "UID too high",
            format!("1 :{one}\n4294967295 :{two}\n3 :{three}\n4 :{four}\n"),
        ),
        (
            "broken file name",
            format!("1 :{one}\n2 :a/{two}\n3 :{three}\n4 :{four}\n"),
        ),
        (
            "no file name",
            format!("1 :{one}\n2 {two}\n3 :{three}\n4 :{four}\n"),
        ),
        (
            "no UID",
            format!("1 :{one}\nx :{two}\n3 :{three}\n4 :{four}\n"),
        ),
        (
            "no UID",
            format!("1 :{one}\n0 :{two}\n3 :{three}\n4 :{four}\n"),
        ),
    ] {
        let text = format!("3 V{VALIDITY} N7\n{text}");
        let account = messages(4).side("INBOX", "dovecot-uidlist", text);
        let (ran, store) = account.converted();
        let ran = ran.exits(0);
        let detail = format!("1 line left out, the first is line 3: {why}");
        ran.says(
            "uidlist.broken",
            &json!({"mailbox": "INBOX", "path": "dovecot-uidlist", "detail": detail}),
        );
        ran.says(
            "uidlist.renumbered",
            &json!({"mailbox": "INBOX", "detail": "1 message"}),
        );
        assert_eq!(numbers(&store), [(1, 1), (3, 3), (4, 4), (7, 2)], "{why}");
        assert_eq!(store.mailbox("INBOX").uidvalidity, VALIDITY);
        assert_eq!(store.mailbox("INBOX").uidnext, 8);
    }
}

#[test]
fn a_broken_header_keeps_the_uids_of_sound_lines() {
    for header in [
        "3 V0 N7",
        "3 Vx N7",
        "3 V1700000000",
        "3 V1700000000 N7 Gxyz",
    ] {
        let text = format!("{header}\n2 :{}\n3 :{}\n", name(1), name(2));
        let account = messages(2).side("INBOX", "dovecot-uidlist", text);
        let (ran, store) = account.converted();
        let told = ran.findings("uidlist.broken");
        assert!(
            told[0]["detail"].as_str().unwrap().starts_with("line 1: "),
            "{ran}"
        );
        assert_eq!(numbers(&store), [(2, 1), (3, 2)], "{header}");
        assert_ne!(store.mailbox("INBOX").uidvalidity, 0);
    }
}

#[test]
fn a_uidlist_of_an_unknown_version_is_as_good_as_none() {
    let account = messages(2).side(
        "INBOX",
        "dovecot-uidlist",
        "9 what a later server writes\n1 :x\n",
    );
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(ran.codes(), ["uidlist.broken", "uidlist.missing"]);
    assert_eq!(numbers(&store), [(1, 1), (2, 2)]);
}

#[test]
fn the_half_line_of_a_live_copy_is_left_out() {
    // 22.
    let text = format!("3 V{VALIDITY} N3\n1 :{}\n2 :{}", name(1), &name(2)[..8]);
    let (ran, store) = messages(2)
        .side("INBOX", "dovecot-uidlist", text)
        .converted();
    let ran = ran.exits(0);
    ran.says(
        "uidlist.truncated",
        &json!({"mailbox": "INBOX", "path": "dovecot-uidlist"}),
    );
    assert_eq!(numbers(&store), [(1, 1), (3, 2)]);
}

#[test]
fn lists_of_courier_and_of_an_old_dovecot_are_read() {
    // 23: with and without the flags in the name.
    let text = format!("1 {VALIDITY} 9\n3 {}\n5 {}:2,\n", name(1), name(2));
    for file in ["courierimapuiddb", "dovecot-uidlist"] {
        let (ran, store) = messages(2).side("INBOX", file, &text).converted();
        let ran = ran.exits(0);
        ran.says(
            "uidlist.old",
            &json!({"mailbox": "INBOX", "path": file, "detail": "version 1"}),
        );
        assert_eq!(ran.codes(), ["uidlist.old"]);
        assert_eq!(numbers(&store), [(3, 1), (5, 2)]);
        assert_eq!(store.mailbox("INBOX").uidnext, 9);
        assert_eq!(store.mailbox("INBOX").uidvalidity, VALIDITY);
    }
}

#[test]
fn dovecots_own_list_goes_before_couriers() {
    let courier = format!("1 5 9\n8 {}\n", name(1));
    let account = messages(1)
        .side("INBOX", "courierimapuiddb", courier)
        .uidlist("INBOX", 3, &[(2, name(1))]);
    let (ran, store) = account.converted();
    assert_eq!(ran.exits(0).codes(), [""; 0]);
    assert_eq!(numbers(&store), [(2, 1)]);
}

#[test]
fn without_a_uidlist_uids_are_given_in_the_order_of_arrival() {
    // 24, 25 and 41: seconds, then microseconds, then the rest of the name.
    let account = Maildir::new()
        .message("INBOX", "1700000002.M5P1.host:2,S", mail("number 4"))
        .message("INBOX", "1700000001.M30P1.host:2,S", mail("number 3"))
        .message("INBOX", "1700000001.M4P9.host:2,S", mail("number 2"))
        .new_message("INBOX", "999999999.M1P1.host", mail("number 1"));
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "uidlist.missing",
        &json!({"mailbox": "INBOX", "severity": "warning", "detail": "4 messages"}),
    );
    assert_eq!(ran.codes(), ["uidlist.missing"]);
    assert_eq!(numbers(&store), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(store.mailbox("INBOX").uidnext, 5);
}

#[test]
fn what_came_after_the_last_session_gets_the_next_uids_even_if_the_header_lags() {
    // 25: N of the header is older than the last line.
    let account = messages(4).uidlist("INBOX", 2, &[(1, name(2)), (6, name(1))]);
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "uidlist.unlisted",
        &json!({"mailbox": "INBOX", "severity": "info", "detail": "2 messages"}),
    );
    assert_eq!(numbers(&store), [(1, 2), (6, 1), (7, 3), (8, 4)]);
    assert_eq!(store.mailbox("INBOX").uidnext, 9);
}

#[test]
fn a_listed_file_that_is_gone_was_expunged_or_is_lost_as_the_index_says() {
    // 26.
    let rows = [(1, name(1)), (2, name(2)), (3, name(3))];
    let account = messages(3)
        .uidlist("INBOX", 4, &rows)
        .without(&format!("cur/{}:2,S", name(2)));
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "uidlist.expunged",
        &json!({"severity": "info", "detail": "1 line without a file, first uid 2"}),
    );
    assert_eq!(numbers(&store), [(1, 1), (3, 3)]);

    let all = [(1, 8, &[][..]), (2, 8, &[]), (3, 8, &[])];
    let account = account.index(
        "INBOX",
        &Indexed {
            next: 4,
            messages: &all,
            ..Indexed::default()
        },
    );
    std::fs::remove_dir_all(account.destination()).unwrap();
    let (ran, _) = account.converted();
    ran.exits(1)
        .says("maildir.lost", &json!({"severity": "error", "uid": 2}));
}

#[test]
fn a_message_that_was_expunged_and_is_back_gets_a_new_uid() {
    // 27: as in Dovecot.
    let account = messages(3)
        .uidlist("INBOX", 4, &[(1, name(1)), (2, name(2)), (3, name(3))])
        .index(
            "INBOX",
            &Indexed {
                next: 4,
                messages: &[(1, 8, &[]), (3, 8, &[])],
                ..Indexed::default()
            },
        );
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "uidlist.reappeared",
        &json!({"mailbox": "INBOX", "severity": "warning", "detail": "1 message"}),
    );
    assert_eq!(numbers(&store), [(1, 1), (3, 3), (4, 2)]);
}

#[test]
fn an_index_of_another_uidvalidity_says_nothing_of_these_messages() {
    // 28: mixed copies; the index is of a mailbox that was here before.
    let account = messages(2)
        .uidlist("INBOX", 3, &[(1, name(1)), (2, name(2))])
        .index(
            "INBOX",
            &Indexed {
                uidvalidity: 42,
                next: 90,
                keywords: &["Wrong"],
                messages: &[(1, 0x80 | 4, &[0]), (88, 8, &[])],
                cached: &[1, 2],
                ..Indexed::default()
            },
        )
        .put("dovecot-uidvalidity", "0000002a")
        .put("dovecot-uidvalidity.0000002a", "");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    let detail = format!("the uidlist says {VALIDITY}, the index 42");
    ran.says(
        "maildir.uidvalidity",
        &json!({"mailbox": "INBOX", "severity": "warning", "detail": detail}),
    );
    assert_eq!(ran.codes(), ["maildir.uidvalidity"]);
    assert_eq!(numbers(&store), [(1, 1), (2, 2)]);
    let first = store.message("INBOX", 1);
    assert_eq!(
        (&first.flags[..], first.keywords.len()),
        (&["\\Seen"][..], 0)
    );
    assert_ne!(first.saved, Some(1));
    assert_eq!(store.mailbox("INBOX").uidvalidity, VALIDITY);
    assert_eq!(store.mailbox("INBOX").uidnext, 3);
    let last = std::fs::read_to_string(account.destination().join("dovecot-uidvalidity"));
    assert_eq!(last.unwrap(), format!("{VALIDITY:08x}"));
}

#[test]
fn uids_above_two_to_the_31_are_kept_and_told() {
    // 29.
    let account = messages(2).uidlist(
        "INBOX",
        4_000_000_001,
        &[(1, name(1)), (4_000_000_000, name(2))],
    );
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "uidlist.high",
        &json!({"mailbox": "INBOX", "detail": "up to 4000000000"}),
    );
    assert_eq!(numbers(&store), [(1, 1), (4_000_000_000, 2)]);
    assert_eq!(store.mailbox("INBOX").uidnext, 4_000_000_001);
}

#[test]
fn a_mailbox_that_has_used_up_its_uids_keeps_what_is_listed() {
    let account = messages(3).uidlist("INBOX", 4_294_967_294, &[(4_294_967_293, name(1))]);
    let (ran, store) = account.converted();
    let ran = ran.exits(1);
    ran.says(
        "uidlist.full",
        &json!({"mailbox": "INBOX", "severity": "error", "detail": "1 message"}),
    );
    assert_eq!(numbers(&store), [(4_294_967_293, 1), (4_294_967_294, 2)]);
}

#[test]
fn pop3_uidls_and_order_guids_and_sizes_of_the_uidlist_are_carried() {
    // 30 and 31.
    let size = mail("number 1").len();
    let text = format!(
        "3 V{VALIDITY} N9 G0123456789abcdef0123456789abcdef\n\
         1 P1234.1 O3 S{size} W{} :{}\n2 Gown-guid P1234.2 O1 :{}\n3 :{}\n",
        size + 4,
        name(1),
        name(2),
        name(3)
    );
    let (ran, store) = messages(3)
        .side("INBOX", "dovecot-uidlist", text)
        .converted();
    assert_eq!(ran.exits(0).codes(), [""; 0]);
    let told = |uid| {
        let message = store.message("INBOX", uid);
        let uidl = message.pop3_uidl.as_ref().map(ToString::to_string);
        (uidl, message.pop3_order, message.guid.to_string())
    };
    assert_eq!(told(1), (Some("1234.1".into()), Some(3), name(1)));
    assert_eq!(told(2), (Some("1234.2".into()), Some(1), "own-guid".into()));
    assert_eq!(told(3), (None, None, name(3)));
    assert_eq!(
        store.mailbox("INBOX").guid,
        "0123456789abcdef0123456789abcdef"
    );
}

#[test]
fn a_size_that_only_the_uidlist_tells_is_checked_too() {
    let text = format!("3 V{VALIDITY} N9\n1 S9999 :{}\n", name(1));
    let (ran, _) = messages(1)
        .side("INBOX", "dovecot-uidlist", text)
        .converted();
    assert_eq!(ran.exits(0).findings("maildir.size-mismatch").len(), 1);
}

#[test]
fn a_file_under_a_strays_name_is_mail_if_the_server_has_given_it_a_uid() {
    let account = messages(1)
        .put("cur/draft~", mail("number 2"))
        .put("cur/other~", mail("number 3"))
        .uidlist("INBOX", 3, &[(1, name(1)), (2, "draft~".into())]);
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.stray",
        &json!({"mailbox": "INBOX", "path": "cur/other~"}),
    );
    assert_eq!(numbers(&store), [(1, 1), (2, 2)]);
}

#[test]
fn what_is_in_new_is_recent_and_has_the_flags_of_its_name() {
    let account = messages(2)
        .uidlist("INBOX", 3, &[(1, name(1)), (2, name(2))])
        .new_message("INBOX", &name(3), mail("number 3"))
        .new_message("INBOX", &format!("{}:2,F", name(4)), mail("number 4"));
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(ran.codes(), ["uidlist.unlisted"]);
    assert_eq!(store.mailbox("INBOX").first_recent, 3);
    assert_eq!(store.message("INBOX", 3).flags, [""; 0]);
    assert_eq!(store.message("INBOX", 4).flags, ["\\Flagged"]);
    assert_eq!(ran.mailbox("INBOX")["unseen"], 2);
}

#[test]
fn mailboxes_that_never_had_a_uidlist_get_different_uidvalidities() {
    let account = Maildir::new()
        .folder("A")
        .folder("B")
        .put("dovecot-uidvalidity", "6a000000");
    let (_, store) = account.converted();
    let mut values: Vec<_> = store.mailboxes.values().map(|it| it.uidvalidity).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 3);
    assert!(
        values.iter().all(|value| *value > 0x6a00_0000),
        "{values:?}"
    );
}

#[test]
fn a_uid_that_an_earlier_pass_made_up_is_never_made_up_for_another_message() {
    let account = Maildir::five_and_one()
        .message("INBOX", &format!("{}:2,", name(6)), mail("sixth"))
        .message("INBOX", &format!("{}:2,", name(7)), mail("seventh"));
    let (_, store) = account.converted();
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5, 6, 7]);
    let account = account.without(&format!("cur/{}:2,", name(6)));
    let (_, store) = account.converted();
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5, 7]);
    assert_eq!(store.mailbox("INBOX").uidnext, 8);
    let account = account.message("INBOX", &format!("{}:2,", name(8)), mail("eighth"));
    let (_, store) = account.converted();
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5, 7, 8]);
}
