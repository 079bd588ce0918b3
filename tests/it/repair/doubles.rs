//! Two files of one base name in a Maildir, or two that would have it once their names are right.

use std::time::Duration;

use super::maildir::{repaired, repaired_with};
use super::{Damaged, lost, mended};
use crate::harness::maildir::{Indexed, Maildir, mail, name};
use crate::harness::run::Ran;

/// What becomes of the file that goes.
fn does(ran: &Ran) -> String {
    let steps = ran.records_of("step");
    let removes = steps.iter().find(|step| step["action"] == "remove");
    let why = removes.and_then(|step| step["detail"].as_str());
    why.unwrap_or_else(|| panic!("nothing is removed: {ran}"))
        .into()
}

/// The second message of the INBOX once more, under a name with these flags that is newer.
fn twice(flags: &str) -> Maildir {
    let again = format!("{}:2,{flags}", name(2));
    let account = Maildir::five_and_one();
    // The time of a change has no finer steps.
    std::thread::sleep(Duration::from_millis(20));
    account.message("INBOX", &again, mail("number 2"))
}

#[test]
fn flags_that_only_the_name_that_goes_has_are_said() {
    let (ran, store) = repaired_with(1, &twice("F"), "flags_that_only_the_name_that_goes_has");
    assert_eq!(mended(&ran), ["maildir.duplicate-name"]);
    assert_eq!(lost(&ran), ["uid 2: perhaps \\Seen"], "{ran}");
    assert_eq!(store.message("INBOX", 2).flags, ["\\Flagged"]);
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_name_that_has_all_flags_of_the_other_loses_none() {
    let (ran, store) = repaired(&twice("FS"), "a_name_that_has_all_flags_of_the_other");
    assert_eq!(does(&ran), "the same bytes have a better name");
    assert_eq!(
        store.message("INBOX", 2).flags,
        ["\\Flagged", "\\Seen"],
        "{ran}"
    );
}

#[test]
fn the_servers_index_tells_which_flags_are_those_of_today() {
    let all =
        |second: u8| [1, 2, 3, 4, 5].map(|uid| (uid, if uid == 2 { second } else { 8 }, &[][..]));
    for (second, flags) in [(8, "\\Seen"), (2, "\\Flagged")] {
        let messages = all(second);
        let index = Indexed {
            messages: &messages,
            ..Indexed::default()
        };
        let account = twice("F").index("INBOX", &index);
        let (ran, store) = repaired(&account, "the_servers_index_tells_which_flags");
        assert_eq!(store.message("INBOX", 2).flags, [flags], "{ran}");
        assert!(does(&ran).contains(", without \\"), "{ran}");
    }
}

#[test]
fn a_name_that_another_message_has_once_its_size_is_right_is_told_apart_in_the_same_run() {
    let body = mail("sized");
    let (right, wrong) = (format!("{},S=39", name(6)), format!("{},S=0", name(6)));
    let rows = [(1, name(9)), (2, right.clone())];
    let account = Maildir::five_and_one()
        .message("Sent", &format!("{wrong}:2,FS"), &body)
        .new_message("Sent", &right, &body)
        .uidlist("Sent", 3, &rows);
    let (ran, store) = repaired(&account, "a_name_that_another_message_has");
    assert_eq!(mended(&ran), ["maildir.size-mismatch"], "{ran}");
    assert_eq!(store.uids("Sent"), [1, 2, 3]);
    assert_eq!(store.message("Sent", 3).flags, ["\\Flagged", "\\Seen"]);
    let apart = format!("{}.U3,S=39:2,FS", name(6));
    assert!(account.in_folder("Sent", "cur").join(apart).exists());
    assert_eq!(store.findings, [""; 0]);
}

#[test]
fn two_names_that_would_take_each_others_place_are_both_told_apart() {
    let (one, other) = (format!("{},S=40", name(6)), format!("{},S=39", name(6)));
    let account = Maildir::five_and_one()
        .message("Sent", &format!("{one}:2,S"), mail("short"))
        .message("Sent", &format!("{other}:2,S"), mail("longer"))
        .uidlist("Sent", 4, &[(1, name(9)), (2, one), (3, other)]);
    let (ran, store) = repaired(&account, "two_names_that_would_take_each_others_place");
    let subjects = store.subjects("Sent");
    let wanted = [(1, "sent one"), (2, "short"), (3, "longer")];
    assert_eq!(subjects, wanted.map(|(uid, it)| (uid, it.into())), "{ran}");
}

#[test]
fn a_folder_without_cur_keeps_its_list_though_mail_came_since() {
    let damaged = Damaged::sample("maildir");
    let before = damaged.inspect().mailbox("INBOX")["uidnext"].clone();
    let cur = damaged.at("cur");
    let list = damaged.at("dovecot-uidlist");
    let damaged = damaged.without(&[cur]);
    std::fs::write(damaged.at("new/1700000009.M9P9.host"), mail("new")).unwrap();
    let rows = std::fs::read(&list).unwrap();
    for _ in 0..2 {
        let ran = damaged.repair().exits(1);
        assert!(ran.codes().contains(&"maildir.emptied"), "{ran}");
        assert!(!mended(&ran).contains(&"maildir.lost".to_owned()), "{ran}");
    }
    assert_eq!(std::fs::read(&list).unwrap(), rows);
    assert!(damaged.inspect().mailbox("INBOX")["uidnext"].as_u64() >= before.as_u64());
}

#[test]
fn the_servers_index_tells_which_labels_are_those_of_today() {
    let keywords = ["$Label1", "Work"];
    let messages =
        [1, 2, 3, 4, 5].map(|uid| (uid, 8, if uid == 2 { &[0, 1][..] } else { &[][..] }));
    let index = Indexed {
        keywords: &keywords,
        messages: &messages,
        ..Indexed::default()
    };
    let account = Maildir::five_and_one()
        .side("INBOX", "dovecot-keywords", "0 $Label1\n1 Work\n")
        .message("INBOX", &format!("{}:2,Sab", name(2)), mail("number 2"));
    // The name without labels is the newer one.
    std::thread::sleep(Duration::from_millis(20));
    let plain = account.in_folder("INBOX", format!("cur/{}:2,S", name(2)));
    std::fs::remove_file(&plain).unwrap();
    std::fs::write(&plain, mail("number 2")).unwrap();
    let account = account.index("INBOX", &index);
    let (ran, store) = repaired(&account, "the_servers_index_tells_which_labels");
    assert_eq!(
        store.message("INBOX", 2).keywords,
        ["$Label1", "Work"],
        "{ran}"
    );
}

#[test]
fn of_two_lines_for_one_file_the_one_that_the_index_knows_holds() {
    let rows = [
        (1, name(1)),
        (2, name(2)),
        (3, name(3)),
        (4, name(4)),
        (5, name(5)),
        (9, name(2)),
    ];
    let messages = [1, 2, 3, 4, 5].map(|uid| (uid, 8, &[][..]));
    let index = Indexed {
        messages: &messages,
        ..Indexed::default()
    };
    let account = Maildir::five_and_one()
        .uidlist("INBOX", 10, &rows)
        .index("INBOX", &index);
    let (ran, store) = repaired(&account, "of_two_lines_for_one_file");
    assert_eq!(mended(&ran), ["uidlist.duplicate"]);
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_file_with_a_wrong_size_in_its_name_keeps_the_uid_and_guid_of_its_line() {
    let right = format!("{},S=39,W=43", name(6));
    let rows = [(1, name(9)), (2, right.clone())];
    for wrong in [",S=700,W=43", ",S=700,W=700", ",S=39,W=9", ",W=43", ""] {
        let named = format!("{}{wrong}", name(6));
        let account = Maildir::five_and_one()
            .message("Sent", &format!("{named}:2,FS"), mail("sized"))
            .uidlist("Sent", 3, &rows);
        let found = account.inspect().exits(1);
        assert_eq!(found.findings("uidlist.recovered").len(), 1, "{found}");
        let (ran, store) = repaired(&account, "a_file_with_a_wrong_size_in_its_name");
        let message = store.message("Sent", 2);
        assert_eq!(message.guid, right, "{named}: {ran}");
        assert_eq!(message.flags, ["\\Flagged", "\\Seen"]);
        assert_eq!(store.uids("Sent"), [1, 2]);
    }
}
