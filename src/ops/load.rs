//! What of a mailbox its destination has room for.

use super::plan_keywords::KeywordPlan;
use crate::format::names::made_message_guid;
use crate::model::{MailboxName, Message, Uid};
use crate::report::catalogue::{MESSAGE_GUID_MADE, MESSAGE_UIDL_LOST};
use crate::report::{Finding, Rule, counted};
use crate::store::{Found, Holds};

/// What of a mailbox its destination has room for.
#[derive(Debug)]
pub struct Load {
    /// Which keywords.
    pub keywords: KeywordPlan,
    /// What else.
    pub holds: Holds,
}

/// What of a message did not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Its GUID: it got another one.
    guid: bool,
    /// What POP3 clients know it by: it has none any more.
    uidl: bool,
}

impl Load {
    /// Makes a message as the destination can hold it.
    pub fn fit(&self, message: &mut Message) -> Misfit {
        self.keywords.carry(message);
        let mut misfit = Misfit::default();
        if !self.holds.ids_of_any_text {
            misfit.guid = !is_word(&message.guid);
            misfit.uidl = message
                .pop3_uidl
                .as_ref()
                .is_some_and(|uidl| !is_word(uidl));
        }
        if misfit.guid {
            message.guid = made_message_guid(&message.guid).into();
        }
        if misfit.uidl {
            message.pop3_uidl = None;
        }
        misfit
    }
}

/// One word of a line.
fn is_word(text: &[u8]) -> bool {
    let breaks = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
    !text.is_empty() && !text.iter().any(breaks)
}

/// What did not fit, added up over a mailbox.
#[derive(Debug, Default)]
pub struct Misfits {
    guids: Count,
    uidls: Count,
}

#[derive(Debug, Default)]
struct Count {
    messages: u64,
    first: Option<Uid>,
}

impl Count {
    fn add(&mut self, uid: Uid) {
        self.messages += 1;
        self.first.get_or_insert(uid);
    }
}

impl Misfits {
    /// One message.
    pub fn add(&mut self, uid: Uid, misfit: Misfit) {
        if misfit.guid {
            self.guids.add(uid);
        }
        if misfit.uidl {
            self.uidls.add(uid);
        }
    }

    /// Says what was counted.
    pub fn tell(&self, name: &MailboxName, found: Found<'_>) {
        let mut tell = |rule: &'static Rule, count: &Count| {
            if let Some(first) = count.first {
                let detail = format!("{}, first uid {first}", counted(count.messages, "message"));
                found(Finding::new(rule, detail).mailbox(name));
            }
        };
        tell(&MESSAGE_GUID_MADE, &self.guids);
        tell(&MESSAGE_UIDL_LOST, &self.uidls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::room;
    use crate::model::Flags;

    fn load(format: &str) -> Load {
        Load {
            keywords: KeywordPlan::all(Vec::new()),
            holds: room(format).unwrap().holds,
        }
    }

    fn message(guid: &str, uidl: &str) -> Message {
        Message {
            uid: Uid::new(1).unwrap(),
            flags: Flags::NONE,
            keywords: Vec::new(),
            received: 0,
            saved: None,
            guid: guid.into(),
            pop3_uidl: Some(uidl.into()),
            pop3_order: None,
            sealed: None,
        }
    }

    #[test]
    fn what_is_no_word_is_none_in_a_maildir_and_stays_in_an_sdbox() {
        let whole = message("two words", "also two");
        let mut carried = whole.clone();
        assert_eq!(load("sdbox").fit(&mut carried), Misfit::default());
        assert_eq!(carried, whole);

        let misfit = load("maildir").fit(&mut carried);
        assert!(misfit.guid && misfit.uidl);
        assert_eq!(carried.guid, made_message_guid(b"two words"));
        assert_eq!(carried.pop3_uidl, None);

        let mut misfits = Misfits::default();
        misfits.add(carried.uid, misfit);
        let mut told = Vec::new();
        misfits.tell(&MailboxName::inbox(), &mut |finding| {
            told.push((finding.rule.code, finding.detail));
        });
        let detail = || "1 message, first uid 1".to_owned();
        let wanted = [
            ("message.guid-made", detail()),
            ("message.uidl-lost", detail()),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_is_a_word_stays_one() {
        let mut carried = message("1577900060.M1.ho\u{f6}st", "0001");
        let whole = carried.clone();
        assert_eq!(load("maildir").fit(&mut carried), Misfit::default());
        assert_eq!(carried, whole);
        assert!(load("maildir").fit(&mut message("", "0001")).guid);
    }
}
