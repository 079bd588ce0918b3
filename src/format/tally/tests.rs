//! What is written is read back, whatever names and values a store has.

use std::io::Cursor;

use super::*;
use crate::digest::hex;
use crate::digest::merkle::{self, MailboxDigest};
use crate::model::{Flags, MailboxName, Uid};
use crate::store::MadeUp;

fn message(uid: u32, body: Body) -> MessagePrint {
    MessagePrint {
        uid: Uid::new(uid).unwrap(),
        flags: Flags::SEEN | Flags::DRAFT,
        keywords: vec!["$label1".into(), "with \"quotes\"".into()],
        envelope: Some(Envelope {
            received: -1,
            saved: Some(i64::MAX),
            guid: "a\\xFFb".into(),
            pop3_uidl: Some(String::new()),
            pop3_order: Some(3),
        }),
        body,
        access: None,
    }
}

fn mailbox(levels: &[&str]) -> MailboxPrint {
    MailboxPrint {
        name: MailboxName::new(levels.iter().copied()),
        selectable: true,
        uidvalidity: 7,
        uidnext: 9,
        guid: Some("00ff".into()),
        acl: Some(Some("user=bob lr\\x0A".into())),
        keywords: vec!["$label1".into()],
        messages: 4,
        made_up: MadeUp {
            uids: true,
            guid: false,
            uidvalidity: true,
        },
        unread: None,
        access: None,
    }
}

/// The sum of so many messages, every second of which has twelve bytes.
fn sum(kind: &str, messages: u64, digest: String) -> SumLine {
    SumLine {
        kind: kind.into(),
        user: Some("ü".into()),
        messages,
        bytes: 6 * messages,
        digest,
        ..SumLine::default()
    }
}

#[test]
fn what_is_written_is_read_back() {
    let read = Body::Read(BodyPrint {
        size: 12,
        virtual_size: 13,
        crc32: 0x0102_0304,
        content: [9; 32],
    });
    let unread = Body::Unread {
        code: "maildir.unreadable".into(),
        said: true,
        recovered: None,
    };
    let damaged = Body::Unread {
        code: "maildir.damaged".into(),
        said: true,
        recovered: read.read().copied(),
    };
    let never_opened = |uid| MessagePrint {
        envelope: None,
        ..message(uid, unread.clone())
    };
    let messages = [
        message(4, read),
        never_opened(5),
        message(6, damaged),
        never_opened(7),
    ];
    let mailboxes = [mailbox(&["a", "b/c"]), mailbox(&["a", "line\nend"])];
    let account = AccountPrint {
        subscriptions: vec!["a".into()],
        sieve: [("sieve/x".to_owned(), "-> y".to_owned())].into(),
        ..AccountPrint::default()
    };

    let mut out = Writer::new(Vec::new(), "memory".into()).unwrap();
    let head = Head::new("2026-01-01T00:00:00Z".into(), "maildir", String::new());
    out.line(&head).unwrap();
    let (user, print) = ("ü".to_owned(), account.clone());
    out.line(&AccountLine { user, print }).unwrap();
    let mut digests = Vec::new();
    let mut expected = vec![Record::Account("ü".into(), account)];
    for print in &mailboxes {
        let line = MailboxLine::of("ü", print);
        let called = line.mailbox.clone();
        out.line(&line).unwrap();
        expected.push(Record::Mailbox(print.clone()));
        let mut digest = MailboxDigest::new(&print.name);
        for print in &messages {
            out.text(&message_text("ü", &called, print)).unwrap();
            expected.push(Record::Message(print.clone()));
            print.digest().iter().for_each(|it| digest.push(it));
        }
        digests.push(digest.finish());
        let sum = SumLine {
            mailbox: Some(called),
            ..sum("sum", 4, hex(&digest.finish()))
        };
        out.line(&sum).unwrap();
        expected.push(Record::Sum(sum));
    }
    let unread = MailboxPrint::unread(MailboxName::new(["b"]), "mailbox.unreadable");
    out.line(&MailboxLine::of("ü", &unread)).unwrap();
    expected.push(Record::Mailbox(unread));
    let digest = hex(&merkle::account(&digests));
    let whole = SumLine {
        mailboxes: Some(2),
        ..sum("sum", 8, digest.clone())
    };
    out.line(&whole).unwrap();
    expected.push(Record::Sum(whole));
    let end = SumLine {
        user: None,
        users: Some(1),
        mailboxes: Some(2),
        ..sum("end", 8, merkle::store([("ü", &digest[..])]))
    };
    out.line(&end).unwrap();
    expected.push(Record::End(end));

    let stream = Cursor::new(out.finish().unwrap());
    let mut reader = Reader::new(stream, "memory".into()).unwrap();
    assert_eq!(reader.head, head);
    for record in expected {
        assert_eq!(reader.next_record().unwrap(), Some(record));
    }
    assert_eq!(reader.next_record().unwrap(), None);
}
