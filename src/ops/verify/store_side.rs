//! A store as a side: its messages are read and digested side by side, a batch at a time.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use super::super::plan_names;
use super::super::workers::Workers;
use super::look::{self, Look, Looked, One};
use super::side::{About, Side, Sums, Unread, Voice};
use crate::digest::merkle::MailboxDigest;
use crate::error::Result;
use crate::format::Room;
use crate::format::tally::{AccountPrint, Body, MailboxPrint, MessagePrint, shown};
use crate::model::{MailboxName, Uid};
use crate::report::catalogue::MAILBOX_UNREADABLE;
use crate::report::{Event, Finding, escape};
use crate::store::{Access, Form, MailboxSource, Source};

/// So many messages are held at once.
const BATCH: usize = 512;

thread_local! {
    static SCRATCH: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// A store that is open.
pub struct StoreSide<'a> {
    source: &'a dyn Source,
    about: About,
    account: AccountPrint,
    look: Look,
    voice: Voice<'a>,
    workers: &'a Workers,
    /// Names under which mailboxes are compared, in order, and their places in the source.
    names: Vec<(MailboxName, usize)>,
    next: usize,
    open: Option<OpenMailbox<'a>>,
}

struct OpenMailbox<'a> {
    place: usize,
    source: Box<dyn MailboxSource + 'a>,
    /// At the second look.
    again: Option<Box<dyn MailboxSource + 'a>>,
    at: usize,
    /// Behind `at`: what was read beside the other side, in order.
    ready: VecDeque<(usize, Looked)>,
    sums: Sums,
    digest: MailboxDigest,
    all_read: bool,
}

impl<'a> StoreSide<'a> {
    /// A store of this format, open as `source`.
    pub fn new(
        source: &'a dyn Source,
        about: About,
        look: Look,
        voice: Voice<'a>,
        workers: &'a Workers,
    ) -> Self {
        let mut account = AccountPrint::of(source.account());
        let access = source.root().own_stat().ok().map(Access::from);
        account.access = access.filter(|_| look.access);
        let names = source.mailboxes().iter().cloned();
        let names = names.enumerate().map(|(nth, name)| (name, nth));
        Self {
            names: names.collect(),
            next: 0,
            open: None,
            source,
            about,
            account,
            look,
            voice,
            workers,
        }
    }

    /// Names that `other` cannot hold are looked for under those that `convert` gives them.
    pub fn rename_for(&mut self, other: &Room) {
        let problem = |name: &MailboxName| (other.name_problem)(name, &Form::default());
        let names = self.source.mailboxes();
        if names.iter().all(|name| problem(name).is_none()) {
            return;
        }
        let planned = plan_names::plan(names, &problem, &mut |finding| self.voice.found(finding));
        for (name, new) in names.iter().zip(&planned).filter(|(old, new)| old != new) {
            let (old, new) = (shown(name), shown(new));
            for subscribed in &mut self.account.subscriptions {
                if *subscribed == old {
                    subscribed.clone_from(&new);
                }
            }
        }
        self.account.subscriptions.sort();
        let places = 0..planned.len();
        self.names = planned.into_iter().zip(places).collect();
        self.names.sort();
    }

    fn open(&self) -> &OpenMailbox<'a> {
        self.open.as_ref().expect("BUG: no mailbox was entered")
    }

    /// Looks at these messages of a mailbox.
    fn looked(&self, source: &dyn MailboxSource, places: &[usize]) -> Result<Vec<Looked>> {
        let look = self.look;
        let one = |nth: usize| alone(look, source, places[nth]);
        self.workers.batch(0..places.len(), one)
    }

    /// The same, in bounded memory, without what is found.
    fn prints(&self, source: &dyn MailboxSource, places: &[usize]) -> Result<Vec<MessagePrint>> {
        let mut prints = Vec::with_capacity(places.len());
        for batch in places.chunks(BATCH) {
            let looked = self.looked(source, batch)?;
            prints.extend(looked.into_iter().map(|looked| looked.print));
        }
        Ok(prints)
    }

    /// The messages that come next.
    fn next_batch(&self) -> Range<usize> {
        let open = self.open();
        open.at..open.source.len().min(open.at + BATCH)
    }

    /// Takes in the next messages, which were looked at.
    fn take(&mut self, looked: Vec<Looked>, out: &mut VecDeque<MessagePrint>) {
        let (voice, open) = (self.voice, self.open.as_mut().expect("BUG: it was open"));
        let (messages, before) = (looked.len(), open.sums.bytes);
        open.at += messages;
        for Looked { print, findings } in looked {
            for finding in findings {
                voice.found(finding);
            }
            open.add(&print);
            out.push_back(print);
        }
        voice.teller.watch().on(Event::Copied {
            messages: messages as u64,
            bytes: open.sums.bytes - before,
        });
    }

    /// The name at hand, as it is compared.
    fn name(&self) -> &MailboxName {
        &self.names[self.next].0
    }
}

impl Side for StoreSide<'_> {
    fn about(&self) -> &About {
        &self.about
    }

    fn account(&self) -> &AccountPrint {
        &self.account
    }

    fn ahead(&mut self) -> Result<Option<MailboxName>> {
        self.workers.go_on()?;
        Ok(self.names.get(self.next).map(|(name, _)| name.clone()))
    }

    fn enter(&mut self) -> Result<Option<MailboxPrint>> {
        let (name, place) = self.names[self.next].clone();
        let voice = self.voice;
        let opened = self
            .source
            .mailbox(place, &mut |finding| voice.found(finding));
        let source = match opened {
            Ok(source) => source,
            Err(error) => {
                let finding = Finding::new(&MAILBOX_UNREADABLE, error.chain());
                voice.found(finding.mailbox(&name));
                self.next += 1;
                return Ok(None);
            }
        };
        let digest = MailboxDigest::new(&name);
        let mut print = MailboxPrint::of(source.as_ref(), name);
        print.access = print.access.filter(|_| self.look.access);
        self.open = Some(OpenMailbox {
            place,
            digest,
            source,
            again: None,
            at: 0,
            ready: VecDeque::new(),
            sums: Sums::default(),
            all_read: true,
        });
        Ok(Some(print))
    }

    fn more(&mut self, out: &mut VecDeque<MessagePrint>) -> Result<bool> {
        let range = self.next_batch();
        if range.is_empty() {
            return Ok(false);
        }
        let open = self.open.as_mut().expect("BUG: it was open");
        let ready = open.ready.partition_point(|(nth, _)| *nth < range.end);
        let mut ready = open.ready.drain(..ready).collect::<VecDeque<_>>();
        let is_ready = |nth: &usize| ready.binary_search_by_key(nth, |(nth, _)| *nth).is_ok();
        let places: Vec<_> = range.clone().filter(|nth| !is_ready(nth)).collect();
        let mut rest = self
            .looked(self.open().source.as_ref(), &places)?
            .into_iter();
        let looked = range.filter_map(|nth| match ready.front() {
            Some((first, _)) if *first == nth => ready.pop_front().map(|(_, looked)| looked),
            _ => rest.next(),
        });
        let looked = looked.collect();
        self.take(looked, out);
        Ok(true)
    }

    fn more_beside(
        &mut self,
        twin: &mut dyn Side,
        out: &mut VecDeque<MessagePrint>,
    ) -> Result<bool> {
        let Some(beside) = twin.unread() else {
            return self.more(out);
        };
        let range = self.next_batch();
        if range.is_empty() {
            return Ok(false);
        }
        let (look, source) = (self.look, self.open().source.as_ref());
        let looked = self.workers.batch(range, |nth| {
            let there = place_of(beside.source, source.uid(nth));
            let Some(there) = there.filter(|there| *there >= beside.from) else {
                return (alone(look, source, nth), None);
            };
            let twin = One {
                source: beside.source,
                nth: there,
                look: beside.look,
            };
            let pair = [One { source, nth, look }, twin];
            let looked = SCRATCH.with_borrow_mut(|scratch| look::both(pair, scratch));
            let [looked, others] = looked;
            (looked, Some((there, others)))
        })?;
        let (looked, others): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
        twin.was_read(others.into_iter().flatten().collect());
        self.take(looked, out);
        Ok(true)
    }

    fn unread(&self) -> Option<Unread<'_>> {
        let open = self.open.as_ref()?;
        let beyond = open.ready.back().map_or(open.at, |(nth, _)| nth + 1);
        (self.look.level == super::Level::Full).then(|| Unread {
            source: open.source.as_ref(),
            from: beyond,
            look: self.look,
        })
    }

    fn was_read(&mut self, looked: Vec<(usize, Looked)>) {
        if let Some(open) = &mut self.open {
            open.ready.extend(looked);
        }
    }

    fn leave(&mut self) -> Result<Sums> {
        self.next += 1;
        let Some(open) = self.open.take() else {
            return Ok(Sums::default());
        };
        if self.look.level == super::Level::Full && open.source.mailbox().selectable {
            open.source
                .conclude(&mut |finding| self.voice.found(finding));
        }
        let digest = open.all_read.then(|| open.digest.finish());
        Ok(Sums {
            digest,
            ..open.sums
        })
    }

    fn is_live(&self) -> bool {
        true
    }

    fn again(&mut self) -> Option<MailboxPrint> {
        let place = self.open().place;
        let source = self.source.mailbox(place, &mut |_| ()).ok()?;
        let mut print = MailboxPrint::of(source.as_ref(), self.name().clone());
        print.access = print.access.filter(|_| self.look.access);
        let open = self.open.as_mut().expect("BUG: it was open");
        open.again = Some(source);
        Some(print)
    }

    fn reread(&mut self, uids: &[Uid]) -> Result<Vec<MessagePrint>> {
        let Some(source) = self.open().again.as_deref() else {
            return Ok(Vec::new());
        };
        let places: Vec<_> = uids
            .iter()
            .filter_map(|uid| place_of(source, *uid))
            .collect();
        self.prints(source, &places)
    }

    fn reread_named(&mut self, names: &BTreeSet<String>) -> Result<Vec<(String, MessagePrint)>> {
        let Some(source) = self.open().again.as_deref() else {
            return Ok(Vec::new());
        };
        let wanted = |nth| known_as(source, nth).filter(|name| names.contains(name));
        let (mut places, mut called) = (Vec::new(), Vec::new());
        for from in (0..source.len()).step_by(BATCH) {
            let batch = from..source.len().min(from + BATCH);
            let found = self.workers.batch(batch.clone(), wanted)?;
            for (nth, name) in batch.zip(found) {
                if let Some(name) = name {
                    places.push(nth);
                    called.push(name);
                }
            }
        }
        let prints = self.prints(source, &places)?;
        Ok(called.into_iter().zip(prints).collect())
    }

    fn known_as(&self, uid: Uid) -> Option<String> {
        let source = self.open.as_ref()?.source.as_ref();
        let guid = source.known_guid(place_of(source, uid)?)?;
        Some(escape(&guid))
    }
}

fn alone(look: Look, source: &dyn MailboxSource, nth: usize) -> Looked {
    SCRATCH.with_borrow_mut(|[scratch, _]| look.at(source, nth, scratch))
}

/// The GUID of a message, without its body being read.
fn known_as(source: &dyn MailboxSource, nth: usize) -> Option<String> {
    let guid = source.known_guid(nth).or_else(|| {
        SCRATCH.with_borrow_mut(|[scratch, _]| {
            let peek = source.peek(nth, scratch).ok()?;
            Some(peek.message.guid)
        })
    });
    guid.map(|guid| escape(&guid))
}

/// Where in its mailbox a message is; UIDs ascend.
fn place_of(source: &dyn MailboxSource, uid: Uid) -> Option<usize> {
    let (mut from, mut to) = (0, source.len());
    while from < to {
        let middle = from.midpoint(to);
        match source.uid(middle).cmp(&uid) {
            std::cmp::Ordering::Less => from = middle + 1,
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Greater => to = middle,
        }
    }
    None
}

impl OpenMailbox<'_> {
    fn add(&mut self, print: &MessagePrint) {
        self.sums.add(print);
        match print.digest() {
            Some(digest) => self.digest.push(&digest),
            // What cannot be read has no digest, and that was said; what was not read is another matter.
            None => self.all_read &= matches!(print.body, Body::Unread { .. }),
        }
    }
}
