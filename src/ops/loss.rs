//! What a second pass would take away for good: mail that the copy of an earlier pass has and the source has no
//! longer, though nobody deleted it.
//!
//! ```text
//! not in its place, and its content in no other     absent
//!   the server's index says that it was expunged,
//!   or its log that the mailbox was deleted         as it should be
//!   else, in a mailbox with an error                a loss
//!         of a mailbox that is gone                 a loss, where a server keeps records
//!         more than half of all messages            a loss
//! ```
//! Of a source that lies in another place than at the last pass, any absent message is a loss, and so is one
//! whose UID is that of another message: it may be another account.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::carry::CarriedMailbox;
use super::teller::Counts;
use crate::digest::Digest;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::tally::{Body, MessagePrint, read_state, read_state_messages, shown};
use crate::model::{MailboxGuid, MailboxName, UidValidity};
use crate::report::counted;
use crate::store::Source;

/// So many mailboxes are named.
const NAMED: usize = 5;

/// What is compared.
pub struct Pass<'a> {
    /// The account that the earlier pass made.
    pub earlier: &'a Dir,
    /// The same, open.
    pub copy: Option<&'a dyn Source>,
    /// The source, and its names at the destination.
    pub source: &'a dyn Source,
    /// In the order of the source's.
    pub names: &'a [MailboxName],
    /// What was read of it now, by the names that records show.
    pub carried: HashMap<&'a str, &'a CarriedMailbox>,
    /// What was said of it.
    pub counts: &'a Counts,
    /// It lies in another place than then.
    pub is_moved: bool,
}

/// UIDs by mailbox.
type Uids = BTreeMap<String, Vec<u32>>;

/// What the copy has and the source has not.
#[derive(Default)]
struct Absent {
    uids: Uids,
    /// Messages of the copy.
    before: usize,
    /// A UID is that of another message now.
    differs: bool,
}

impl Pass<'_> {
    /// What would be lost, for people; `None` where nothing is.
    pub fn loss(&self) -> Result<Option<String>> {
        let lines = read_state(self.earlier)?.map(|(_, lines)| lines);
        let lines = lines.unwrap_or_default().into_iter();
        let validities: HashMap<_, _> =
            lines.map(|line| (line.mailbox, line.uidvalidity)).collect();
        let mut absent = self.absent(&validities)?;
        if self.is_moved && absent.differs {
            return Ok(Some("a UID there is that of another message here".into()));
        }
        self.forget_deleted(&mut absent.uids, &validities);
        let is_loss = self.is_loss(&absent);
        Ok(is_loss.then(|| told(&absent.uids)))
    }

    fn absent(&self, validities: &HashMap<String, u32>) -> Result<Absent> {
        let mut absent = Absent::default();
        // Contents that have no place in the copy yet.
        let mut free: HashMap<Digest, u32> = HashMap::new();
        for message in self.carried.values().flat_map(|it| &it.messages) {
            *free.entry(message.content).or_default() += 1;
        }
        let mut elsewhere = Vec::new();
        read_state_messages(self.earlier, &mut |mailbox, print| {
            let Body::Read(body) = &print.body else {
                return;
            };
            absent.before += 1;
            let there = self.carried.get(mailbox);
            let now = there.and_then(|it| Some((it, content_of(it, &print)?)));
            match now {
                Some((_, content)) if content == body.content => take(&mut free, &content),
                now => {
                    let is_same = now.is_some_and(|(it, _)| {
                        validities.get(mailbox) == Some(&it.line.uidvalidity)
                    });
                    absent.differs |= is_same && !self.has_error(mailbox);
                    elsewhere.push((mailbox.to_owned(), print.uid.get(), body.content));
                    false
                }
            };
        })?;
        for (mailbox, uid, content) in elsewhere {
            if !take(&mut free, &content) {
                absent.uids.entry(mailbox).or_default().push(uid);
            }
        }
        Ok(absent)
    }

    /// Leaves out what a server tells that a client deleted.
    fn forget_deleted(&self, absent: &mut Uids, validities: &HashMap<String, u32>) {
        let deleted = self.source.deleted_mailboxes().unwrap_or_default();
        let guids = if deleted.is_empty() {
            BTreeMap::new()
        } else {
            self.copy.map(guids).unwrap_or_default()
        };
        absent.retain(|mailbox, uids| {
            if guids
                .get(mailbox)
                .is_some_and(|guid| deleted.contains(guid))
            {
                return false;
            }
            let validity = validities.get(mailbox).copied().and_then(UidValidity::new);
            let nth = self.names.iter().position(|name| shown(name) == *mailbox);
            let source = nth.and_then(|nth| self.source.mailbox(nth, &mut |_| ()).ok());
            let source = source.filter(|it| Some(it.mailbox().uidvalidity) == validity);
            uids.retain(|uid| !source.as_ref().is_some_and(|it| it.was_expunged(*uid)));
            !uids.is_empty()
        });
    }

    fn is_loss(&self, absent: &Absent) -> bool {
        let messages: usize = absent.uids.values().map(Vec::len).sum();
        if messages == 0 || self.is_moved {
            return messages > 0;
        }
        let has_records = self.source.deleted_mailboxes().is_some();
        let mut mailboxes = absent.uids.keys();
        let is_lost = |name: &String| {
            self.has_error(name) || (has_records && !self.carried.contains_key(name.as_str()))
        };
        mailboxes.any(is_lost) || messages * 2 > absent.before
    }

    /// True where an error was found in the mailbox, or in what all of them lie in.
    fn has_error(&self, mailbox: &str) -> bool {
        let errors: &BTreeSet<String> = &self.counts.mail_errors;
        let nth = self.names.iter().position(|name| shown(name) == mailbox);
        let at_source = nth.map(|nth| shown(&self.source.mailboxes()[nth]));
        [Some(mailbox), at_source.as_deref(), Some("")]
            .iter()
            .flatten()
            .any(|name| errors.contains(*name))
    }
}

fn content_of(mailbox: &CarriedMailbox, print: &MessagePrint) -> Option<Digest> {
    let messages = &mailbox.messages;
    let at = messages.binary_search_by_key(&print.uid, |message| message.uid);
    at.ok().map(|at| messages[at].content)
}

/// Takes one message of this content, if one is left.
fn take(free: &mut HashMap<Digest, u32>, content: &Digest) -> bool {
    match free.get_mut(content) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

/// The GUIDs of mailboxes, by the names that records show.
fn guids(source: &dyn Source) -> BTreeMap<String, MailboxGuid> {
    let names = source.mailboxes().iter().enumerate();
    let guids = names.filter_map(|(nth, name)| {
        let mailbox = source.mailbox(nth, &mut |_| ()).ok()?;
        Some((shown(name), mailbox.mailbox().guid))
    });
    guids.collect()
}

fn told(absent: &Uids) -> String {
    let one = |(mailbox, uids): (&String, &Vec<u32>)| {
        let messages = counted(uids.len() as u64, "message");
        let first = uids.first().copied().unwrap_or(0);
        format!("{mailbox}: {messages}, first uid {first}")
    };
    let mut named: Vec<_> = absent.iter().take(NAMED).map(one).collect();
    if let more @ 1.. = absent.len().saturating_sub(NAMED) {
        named.push(format!("and {}", counted(more as u64, "more mailbox")));
    }
    named.join("; ")
}
