//! A new uidlist, and a new list of keywords.

use bstr::BString;

use super::super::filename::number;
use super::super::folders::Folder;
use super::super::mailbox::MaildirMailbox;
use super::super::read::UIDLISTS;
use super::super::uidlist::{self, word};
use super::{Fate, Repair};
use crate::disk::plan::{About, Act};
use crate::report::catalogue::{MAILDIR_EMPTIED, MAILDIR_LOST, UIDLIST_LOST};
use crate::report::{Finding, counted, escape};
use crate::store::MailboxSource;

/// True where the words of a line tell other sizes.
pub(super) fn says_wrong(words: &[u8], plain: u64, virtual_size: u64) -> bool {
    let wrong = |key, real| word(words, key).is_some_and(|told| number(told) != Some(real));
    wrong(b'S', plain) || wrong(b'W', virtual_size)
}

/// `dovecot-keywords`: number and name, one a line.
pub(super) fn keywords(letters: &[Option<BString>]) -> Vec<u8> {
    let mut text = Vec::new();
    for (nth, name) in letters.iter().enumerate() {
        if let Some(name) = name {
            text.extend(format!("{nth} ").bytes());
            text.extend_from_slice(name);
            text.push(b'\n');
        }
    }
    text
}

/// The line of a message: what stood there, with the name that it has now.
fn row(mailbox: &MaildirMailbox<'_>, at: usize, fate: &Fate, out: &mut Vec<u8>) {
    let listing = &mailbox.listing;
    out.extend(listing.slot(at).uid.to_string().bytes());
    let bad: Vec<_> = uidlist::bad_words(listing.words(at)).collect();
    let words = listing.words(at).split(|byte| *byte == b' ');
    for word in words.filter(|word| !word.is_empty() && !bad.contains(word)) {
        let size = fate.wrong_words && matches!(word[0], b'S' | b'W');
        let guid = fate.guid.is_some() && word[0] == b'G';
        if !size && !guid {
            out.push(b' ');
            out.extend_from_slice(word);
        }
    }
    if let Some(guid) = &fate.guid {
        out.extend_from_slice(b" G");
        out.extend_from_slice(guid);
    }
    out.extend_from_slice(b" :");
    match &fate.base {
        Some(base) => out.extend_from_slice(base),
        None => out.extend_from_slice(listing.base(at)),
    }
    out.push(b'\n');
}

/// What a new list no longer tells of messages whose words are damaged.
pub(super) fn bad_words(mailbox: &MaildirMailbox<'_>) -> Option<String> {
    let has_bad = |at: &usize| {
        uidlist::bad_words(mailbox.listing.words(*at))
            .next()
            .is_some()
    };
    let all: Vec<_> = (0..mailbox.len()).filter(has_bad).collect();
    let first = *all.first()?;
    let words = uidlist::bad_words(mailbox.listing.words(first)).map(escape);
    let words = words.collect::<Vec<_>>().join(" ");
    let messages = counted(all.len() as u64, "message");
    let uid = mailbox.uid(first);
    Some(format!(
        "what damaged words of the list told of {messages}, perhaps a GUID or a POP3 UIDL: uid {uid}: {words}"
    ))
}

/// What a new list no longer tells of messages whose files are gone. One that has a new UID may be one of these.
pub(super) fn gone(finding: &Finding, has_new: bool) -> Option<String> {
    if [&UIDLIST_LOST, &MAILDIR_EMPTIED].contains(&finding.rule) {
        return Some(finding.detail.clone());
    }
    let (uid, path) = (finding.place.uid?, finding.place.path.as_ref()?);
    let perhaps = if has_new {
        ", or is a file of another name that has a new UID now: clients load that again"
    } else {
        ""
    };
    (finding.rule == &MAILDIR_LOST).then(|| format!("uid {uid}: {path} is gone{perhaps}"))
}

impl Repair<'_> {
    /// The whole list, with the codes of what it mends, where that comes from and what is lost. Every message has
    /// a UID by now: its own, or the next one.
    pub(super) fn write_list(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        folder: &Folder,
        fates: &[Fate],
        (codes, does, lost): (Vec<&'static str>, Vec<String>, Vec<String>),
    ) {
        let mut text = uidlist::header(mailbox.mailbox()).into_bytes();
        for (at, fate) in fates.iter().enumerate() {
            row(mailbox, at, fate, &mut text);
        }
        let messages = counted(fates.len() as u64, "message");
        let about = About {
            codes,
            lost,
            ..About::in_mailbox(
                &mailbox.mailbox().name,
                [vec![format!("a list of {messages}")], does]
                    .concat()
                    .join("; "),
            )
        };
        self.put_beside(folder, UIDLISTS[0], Act::put(text), about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_sizes_are_told() {
        assert!(!says_wrong(b"G1 W30 S25", 25, 30));
        assert!(says_wrong(b"G1 W31", 25, 30));
        assert!(!says_wrong(b"", 25, 30));
    }

    #[test]
    fn letters_without_a_name_are_left_out() {
        let letters = [Some("a".into()), None, Some("c d".into())];
        assert_eq!(keywords(&letters), b"0 a\n2 c d\n");
    }
}
