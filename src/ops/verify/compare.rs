//! What "differs" means, and in which words it is said: for what was converted and for any two stores.

use serde_json::{Value, json};

use super::terms::Terms;
use crate::digest::hex;
use crate::format::tally::{
    AccountPrint, Body, BodyPrint, Envelope, MailboxPrint, MessagePrint, shown, time,
};
use crate::model::{MailboxName, Uid};
use crate::report::{Difference, Place};
use crate::store::Access;

/// A code, and what each side has.
pub type Differs = (&'static str, Value, Value);

/// A difference at a place of an account.
pub fn difference(place: Place, (code, source, destination): Differs) -> Difference {
    Difference {
        user: String::new(),
        place,
        code,
        source,
        destination,
    }
}

/// A mailbox, or a message in it.
pub fn at(name: &MailboxName, uid: Option<Uid>) -> Place {
    Place {
        mailbox: Some(shown(name)),
        uid: uid.map(Uid::get),
        path: None,
    }
}

/// Collects what is not equal.
struct Unequal(Vec<Differs>);

impl Unequal {
    fn put<T: PartialEq>(
        &mut self,
        code: &'static str,
        one: &T,
        other: &T,
        shown: impl Fn(&T) -> Value,
    ) {
        if one != other {
            self.0.push((code, shown(one), shown(other)));
        }
    }

    fn access(&mut self, one: Option<Access>, other: Option<Access>) {
        if let (Some(one), Some(other)) = (one, other) {
            let owner = |owner: &(u32, u32)| json!(format!("{}:{}", owner.0, owner.1));
            self.put("owner", &one.owner, &other.owner, owner);
            let mode = |mode: &u32| json!(format!("{mode:04o}"));
            self.put("mode", &one.mode, &other.mode, mode);
        }
    }
}

/// What belongs to the account as a whole.
pub fn accounts(one: &AccountPrint, other: &AccountPrint, terms: &Terms) -> Vec<Differs> {
    let mut found = Unequal(Vec::new());
    let only = |here: &AccountPrint, there: &AccountPrint| {
        let names = here.subscriptions.iter();
        let only = names.filter(|name| there.subscriptions.binary_search(name).is_err());
        only.cloned().collect::<Vec<_>>()
    };
    for name in only(one, other) {
        found
            .0
            .push(("subscription.missing", json!(name), Value::Null));
    }
    for name in only(other, one) {
        found
            .0
            .push(("subscription.extra", Value::Null, json!(name)));
    }
    let (scripts, other_scripts) = (terms.scripts(one), terms.scripts(other));
    found.put("sieve", &scripts, &other_scripts, |scripts| json!(scripts));
    if terms.quota {
        found.put("quota", &one.quota, &other.quota, |quota| json!(quota));
    }
    if terms.access {
        found.access(one.access, other.access);
    }
    found.0
}

/// What a mailbox is. One that only stands above others has nothing to compare.
pub fn mailboxes(one: &MailboxPrint, other: &MailboxPrint, terms: &Terms) -> Vec<Differs> {
    let mut found = Unequal(Vec::new());
    if one.selectable != other.selectable {
        let code = if one.selectable {
            "mailbox.missing"
        } else {
            "mailbox.extra"
        };
        found.0.push((code, here(one), here(other)));
        return found.0;
    }
    if !one.selectable {
        return found.0;
    }
    let told = |made_up: fn(&MailboxPrint) -> bool| !made_up(one) && !made_up(other);
    let number = |number: &u32| json!(number);
    if told(|print| print.made_up.uidvalidity) {
        let (one, other) = (one.uidvalidity, other.uidvalidity);
        found.put("mailbox.uidvalidity", &one, &other, number);
    }
    if told(|print| print.made_up.uids) {
        found.put("mailbox.uidnext", &one.uidnext, &other.uidnext, number);
    }
    if told(|print| print.made_up.guid || print.guid.is_none()) {
        found.put("mailbox.guid", &one.guid, &other.guid, |guid| json!(guid));
    }
    if let (Some(one), Some(other)) = (&one.acl, &other.acl) {
        found.put("acl", one, other, |acl| json!(acl));
    }
    if terms.access {
        found.access(one.access, other.access);
    }
    found.0
}

/// What of a mailbox is there, as the value of a difference.
pub fn here(print: &MailboxPrint) -> Value {
    if print.selectable {
        json!({"messages": print.messages})
    } else {
        Value::Null
    }
}

/// Two messages that should be the same one.
pub fn messages(one: &MessagePrint, other: &MessagePrint, terms: &Terms) -> Vec<Differs> {
    let mut found = Unequal(Vec::new());
    let unread = |print: &MessagePrint| matches!(print.body, Body::Unread { .. });
    let unread = unread(one) || unread(other);
    if !unread {
        bodies(&mut found, one, other, terms);
    }
    let flags = |print: &MessagePrint| json!(print.flags.names().collect::<Vec<_>>());
    if one.flags != other.flags {
        found.0.push(("message.flags", flags(one), flags(other)));
    }
    let keywords = (terms.keywords_of(one), terms.keywords_of(other));
    found.put("message.keywords", &keywords.0, &keywords.1, |k| json!(k));
    // What stands beside a body that cannot be read may not be readable either: that was said.
    if unread {
        return found.0;
    }
    if let (Some(one), Some(other)) = (&one.envelope, &other.envelope) {
        envelopes(&mut found, one, other, terms);
    }
    if terms.access {
        found.access(one.access, other.access);
    }
    found.0
}

fn envelopes(found: &mut Unequal, one: &Envelope, other: &Envelope, terms: &Terms) {
    let date = |date: &i64| json!(time(*date));
    let (received, other_received) = (dated(one.received), dated(other.received));
    found.put("message.received", &received, &other_received, date);
    if let (true, Some(one), Some(other)) = (terms.saved, one.saved, other.saved) {
        found.put("message.saved", &dated(one), &dated(other), date);
    }
    if terms.uids && terms.id_is_kept(&one.guid) && terms.id_is_kept(&other.guid) {
        found.put("message.guid", &one.guid, &other.guid, |guid| json!(guid));
    }
    if terms.uids {
        let kept = |uidl: &Option<String>| {
            let kept = uidl.as_ref().filter(|uidl| terms.id_is_kept(uidl));
            kept.cloned()
        };
        let pop3 = |it: &Envelope| (kept(&it.pop3_uidl), it.pop3_order);
        let shown = |pop3: &(Option<String>, Option<u32>)| json!([pop3.0, pop3.1]);
        found.put("message.pop3-uidl", &pop3(one), &pop3(other), shown);
    }
}

/// Contents where both were read, else what is told of their sizes.
fn bodies(found: &mut Unequal, one: &MessagePrint, other: &MessagePrint, terms: &Terms) {
    if let (Body::Read(one), Body::Read(other)) = (&one.body, &other.body) {
        let raw = |body: &BodyPrint| (body.size, body.crc32);
        if one.content != other.content || (terms.raw && raw(one) != raw(other)) {
            let values = (content(one), content(other));
            found.0.push(("message.content", values.0, values.1));
        }
        return;
    }
    let (sizes, other_sizes) = (one.sizes(), other.sizes());
    let differ = |one: Option<u64>, other: Option<u64>| one.zip(other).is_some_and(|(a, b)| a != b);
    // Line ends may differ between formats: then only the size with CRLF line ends says something.
    let by_size = terms.raw && differ(sizes.0, other_sizes.0);
    if by_size || differ(sizes.1, other_sizes.1) {
        let shown =
            |sizes: (Option<u64>, Option<u64>)| json!({"size": sizes.0, "virtual_size": sizes.1});
        let values = (shown(sizes), shown(other_sizes));
        found.0.push(("message.content", values.0, values.1));
    }
}

fn content(body: &BodyPrint) -> Value {
    let crc32 = format!("{:08x}", body.crc32);
    json!({"size": body.size, "crc32": crc32, "content": hex(&body.content)})
}

/// A date as every format can hold it; one that is beyond it was said to be odd.
pub fn dated(time: i64) -> i64 {
    time.clamp(0, i64::from(u32::MAX))
}
