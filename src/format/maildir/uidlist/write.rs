//! The text of a new uidlist: version 3, as Dovecot 2.0 and later write it.

use bstr::BString;

use crate::model::{Mailbox, Message};

/// The first line.
pub fn header(mailbox: &Mailbox) -> String {
    let Mailbox {
        uidvalidity,
        uidnext,
        guid,
        ..
    } = mailbox;
    format!("3 V{uidvalidity} N{uidnext} G{guid}\n")
}

/// Appends the line of a message. `guid`: where that is not the base name.
pub fn row(message: &Message, base: &BString, guid: Option<&BString>, out: &mut Vec<u8>) {
    out.extend(message.uid.to_string().bytes());
    let order = message
        .pop3_order
        .map(|order| BString::from(order.to_string()));
    for (key, value) in [
        (b'P', message.pop3_uidl.as_ref()),
        (b'O', order.as_ref()),
        (b'G', guid),
    ] {
        if let Some(value) = value {
            out.extend([b' ', key]);
            out.extend_from_slice(value);
        }
    }
    out.extend(b" :");
    out.extend_from_slice(base);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::{read, word};
    use super::*;
    use crate::model::{Flags, MailboxGuid, MailboxName, Uid, UidValidity};

    #[test]
    fn what_is_written_is_read_back() {
        let mailbox = Mailbox {
            name: MailboxName::inbox(),
            selectable: true,
            guid: MailboxGuid::new([0x1a; 16]).unwrap(),
            uidvalidity: UidValidity::new(4_294_967_295).unwrap(),
            uidnext: 4_294_967_295,
            first_recent: 1,
            highest_modseq: 1,
            keywords: Vec::new(),
            acl: None,
        };
        let mut message = Message {
            uid: Uid::new(7).unwrap(),
            flags: Flags::NONE,
            keywords: Vec::new(),
            received: 0,
            saved: None,
            guid: "my-guid".into(),
            pop3_uidl: None,
            pop3_order: None,
            sealed: None,
        };
        let mut text = header(&mailbox).into_bytes();
        row(&message, &"a,S=1,W=1".into(), None, &mut text);
        message.uid = Uid::new(9).unwrap();
        message.pop3_uidl = Some("00000007.x".into());
        message.pop3_order = Some(3);
        row(&message, &"b".into(), Some(&message.guid), &mut text);
        let whole = "3 V4294967295 N4294967295 G1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a\n\
                     7 :a,S=1,W=1\n9 P00000007.x O3 Gmy-guid :b\n";
        assert_eq!(String::from_utf8(text.clone()).unwrap(), whole);

        let list = read(&text);
        assert_eq!(list.faults, super::super::Faults::default());
        assert_eq!(list.uidvalidity, Some(u32::MAX));
        assert_eq!((list.next_uid, list.guid), (u32::MAX, Some(mailbox.guid)));
        assert_eq!((list.rows[0].uid, list.rows[1].uid), (7, 9));
        assert_eq!(&text[list.rows[1].base.range()], b"b");
        let words = &text[list.rows[1].words.range()];
        assert_eq!(word(words, b'P'), Some(&b"00000007.x"[..]));
        assert_eq!(word(words, b'O'), Some(&b"3"[..]));
        assert_eq!(word(words, b'G'), Some(&b"my-guid"[..]));
    }
}
