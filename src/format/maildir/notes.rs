//! What adds up over the messages of a mailbox: one line for all of them instead of one for each.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::compress::Codec;
use crate::model::{Message, Uid};
use crate::report::catalogue as rules;
use crate::report::{Rule, counted};

pub(super) const DAY: i64 = 86_400;
/// So many minutes and days tell a copy from arrivals as well as all of them would.
const SAMPLE: usize = 64;
/// Fewer messages of one minute are no sign of anything.
pub(super) const FEW: u64 = 20;

/// Counts; messages come in any order.
#[derive(Debug, Default)]
pub(super) struct Notes {
    messages: u64,
    hard_links: u64,
    codecs: BTreeMap<Codec, u64>,
    odd_dates: u64,
    first_odd_date: Option<(Uid, i64)>,
    /// Minutes in which messages were received.
    minutes: BTreeMap<i64, u64>,
    /// Days on which they arrived, as their names tell.
    arrivals: BTreeSet<i64>,
}

impl Notes {
    /// One message.
    pub(super) fn add(&mut self, message: &Message, now: i64, links: u64, codec: Option<Codec>) {
        self.messages += 1;
        self.hard_links += u64::from(links > 1);
        if let Some(codec) = codec {
            *self.codecs.entry(codec).or_default() += 1;
        }
        let received = message.received;
        if is_odd(received, now) {
            self.odd_dates += 1;
            let this = (message.uid, received);
            let first = self.first_odd_date.map_or(this, |first| first.min(this));
            self.first_odd_date = Some(first);
        }
        let minute = received.div_euclid(60);
        if self.minutes.len() < SAMPLE || self.minutes.contains_key(&minute) {
            *self.minutes.entry(minute).or_default() += 1;
        }
    }

    /// When its name says that it arrived.
    pub(super) fn add_arrival(&mut self, made_at: Option<i64>) {
        if self.arrivals.len() < SAMPLE {
            self.arrivals
                .extend(made_at.map(|secs| secs.div_euclid(DAY)));
        }
    }

    /// Says what was counted.
    pub(super) fn tell(&self, tell: &mut dyn FnMut(&'static Rule, String)) {
        for (codec, count) in &self.codecs {
            let detail = format!("{} ({})", self.of_all(*count), codec.name());
            tell(&rules::MAILDIR_COMPRESSED, detail);
        }
        if self.hard_links > 0 {
            tell(&rules::MAILDIR_HARD_LINK, self.of_all(self.hard_links));
        }
        if let Some((uid, date)) = self.first_odd_date {
            let all = self.of_all(self.odd_dates);
            let detail = format!("{all}, first uid {uid}: {}", shown(date));
            tell(&rules::MAILDIR_DATE, detail);
        }
        if let Some((minute, most)) = self.minute_of_a_copy() {
            let detail = format!(
                "{} in the minute of {}",
                self.of_all(most),
                shown(minute * 60)
            );
            tell(&rules::MAILDIR_COPY_DATES, detail);
        }
    }

    fn of_all(&self, count: u64) -> String {
        format!("{count} of {}", counted(self.messages, "message"))
    }

    /// Copies come in one minute, arrivals over days.
    fn minute_of_a_copy(&self) -> Option<(i64, u64)> {
        let (minute, most) = self.minutes.iter().max_by_key(|(_, count)| **count)?;
        let is_copy = *most >= FEW && most * 10 >= self.messages * 9 && self.arrivals.len() > 2;
        is_copy.then_some((*minute, *most))
    }
}

/// No message came at 1970, or in the future.
pub(super) fn is_odd(received: i64, now: i64) -> bool {
    received <= DAY || received > now + DAY || received > i64::from(u32::MAX)
}

/// A date for people.
pub(super) fn shown(time: i64) -> String {
    jiff::Timestamp::from_second(time).map_or_else(|_| time.to_string(), |time| time.to_string())
}
