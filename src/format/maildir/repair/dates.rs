//! Received dates (file times) that are plainly those of a copy, and better ones.
//!
//! ```text
//! a file time is that of a copy   in its minute, or the one beside it, lie the times of 20 files or more of
//!                                 the account (or of nine in ten), whose better dates are at least a day
//!                                 earlier and lie on three days or more
//! a file time is no date          1970 and before, the future
//! the better date                 the leading seconds of the base name; else what the server's cache tells;
//!                                 else the topmost Received header
//! ```
//! A name that agrees with the file time ends the search: such a time stays. Where the server's cache
//! tells the date of the copy too, the better date is put there as well: a client is shown the cache's.

use std::collections::{BTreeMap, BTreeSet};

use super::super::filename::made_at;
use super::super::folders::Folder;
use super::super::mailbox::MaildirMailbox;
use super::super::notes::{DAY, FEW, is_odd, shown};
use super::cache::Outdated;
use super::{Fate, Repair};
use crate::disk::plan::{About, Act};
use crate::error::{Error, Result};
use crate::format::received;
use crate::report::catalogue::{MAILDIR_COPY_DATES, MAILDIR_DATE};
use crate::store::{MailboxSource, Source};

/// Names and headers that tell an earlier date than 1990 tell none.
const EARLIEST: i64 = 631_152_000;
/// Copies come in one minute, arrivals over so many days.
const DAYS: usize = 3;

/// A better date, and who tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    date: i64,
    by: &'static str,
}

/// What the file times of an account show.
#[derive(Debug, Default)]
pub(super) struct Dates {
    messages: u64,
    /// Files by the minute of their time, of those alone that have an earlier date; and days of these.
    minutes: BTreeMap<i64, (u64, BTreeSet<i64>)>,
    /// Files of several names that have their time already.
    linked: BTreeSet<(u64, u64)>,
}

impl Dates {
    fn add(&mut self, mtime: i64, better: Option<i64>) {
        self.messages += 1;
        let Some(better) = better.filter(|date| is_earlier(*date, mtime)) else {
            return;
        };
        let (files, days) = self.minutes.entry(mtime.div_euclid(60)).or_default();
        *files += 1;
        if days.len() < DAYS {
            days.insert(better.div_euclid(DAY));
        }
    }

    /// True for the time of a copy.
    fn is_of_a_copy(&self, mtime: i64) -> bool {
        let minute = mtime.div_euclid(60);
        let copied = |minute: &i64| {
            let found = self.minutes.get(minute);
            found.is_some_and(|(files, days)| {
                let many = *files >= FEW || files * 10 >= self.messages * 9;
                many && days.len() >= DAYS
            })
        };
        [minute - 1, minute, minute + 1].iter().any(copied)
    }
}

pub(super) fn is_earlier(date: i64, mtime: i64) -> bool {
    date < mtime - DAY
}

fn is_plausible(date: i64, now: i64) -> bool {
    date >= EARLIEST && !is_odd(date, now)
}

/// The leading seconds of a base name, as every server writes them: a dot follows, or an underscore.
fn of_name(base: &[u8]) -> Option<i64> {
    let digits = base.iter().take_while(|byte| byte.is_ascii_digit()).count();
    made_at(base).filter(|_| matches!(base.get(digits), Some(b'.' | b'_')))
}

/// The best date that is told. The name's decides also where it agrees with the file time.
fn told(mailbox: &MaildirMailbox<'_>, at: usize, mtime: i64, now: i64) -> Option<Told> {
    let better =
        |date: &i64| is_plausible(*date, now) && (is_odd(mtime, now) || is_earlier(*date, mtime));
    let named = of_name(mailbox.listing.base(at)).filter(|date| is_plausible(*date, now));
    if let Some(date) = named {
        let by = "its name";
        return Some(Told { date, by }).filter(|told| better(&told.date));
    }
    let cached = mailbox.cached(at);
    if let Some(date) = cached.received.map(i64::from).filter(better) {
        let by = "the server's cache";
        return Some(Told { date, by });
    }
    let mut scratch = Vec::new();
    let opened = mailbox.open(at, &mut scratch).ok()?;
    if opened.message.sealed.is_some() {
        return None;
    }
    let date = received::date(opened.body).filter(better)?;
    let by = "its topmost Received header";
    Some(Told { date, by })
}

impl Repair<'_> {
    /// Looks at the file times of all mailboxes.
    pub(super) fn look_at_dates(&self) -> Result<Dates> {
        let (store, mut dates) = (self.store, Dates::default());
        for nth in 0..store.mailboxes().len() {
            if !store.folder_of(nth).selectable {
                continue;
            }
            let mailbox = match store.open_mailbox(nth, &mut |_| ()) {
                Err(Error::Io { .. }) => continue,
                opened => opened?,
            };
            for at in 0..mailbox.len() {
                if let Some(stat) = mailbox.stat(at) {
                    let told = told(&mailbox, at, stat.mtime, store.now);
                    dates.add(stat.mtime, told.map(|told| told.date));
                }
            }
        }
        Ok(dates)
    }

    /// Gives the messages of a mailbox their dates, where those that they have are of a copy, or none.
    pub(super) fn redate(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        folder: &Folder,
        fates: &[Fate],
        outdated: &mut Outdated,
    ) {
        let Some(mut dates) = self.dates.take() else {
            return;
        };
        for (at, fate) in fates.iter().enumerate() {
            if let Some((date, code)) = self.redate_one(mailbox, folder, &mut dates, at, fate) {
                outdated.dates.push((at, date));
                outdated.codes.insert(code);
            }
        }
        self.dates = Some(dates);
    }

    fn redate_one(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        folder: &Folder,
        dates: &mut Dates,
        at: usize,
        fate: &Fate,
    ) -> Option<(i64, &'static str)> {
        let (stat, now) = (mailbox.stat(at)?, self.store.now);
        let code = match (is_odd(stat.mtime, now), dates.is_of_a_copy(stat.mtime)) {
            (true, _) => MAILDIR_DATE.code,
            (false, true) => MAILDIR_COPY_DATES.code,
            (false, false) => return None,
        };
        let told = told(mailbox, at, stat.mtime, now)?;
        if stat.links > 1 && !dates.linked.insert(stat.id) {
            return None;
        }
        let (listing, slot) = (&mailbox.listing, mailbox.listing.slot(at));
        let base = fate.base.as_deref().map_or(listing.base(at), Vec::as_slice);
        let name = [base, &listing.name(at)[listing.base(at).len()..]].concat();
        let (date, was) = (shown(told.date), shown(stat.mtime));
        let does = format!(
            "received {date}, as {} says; its file time was {was}",
            told.by
        );
        let about = About {
            codes: vec![code],
            told_by: Some(told.by),
            ..About::in_mailbox(&mailbox.mailbox().name, does)
        };
        let act = Act::SetTime {
            was: (stat.mtime, stat.mtime_nanos),
            to: told.date,
        };
        let (place, path) = self.at(folder, &[slot.place.name().as_bytes(), &name]);
        self.plan.push_in(place, path, act, about);
        Some((told.date, code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_tell_seconds() {
        assert_eq!(of_name(b"1577900060.M1P100.lab,S=1"), Some(1_577_900_060));
        assert_eq!(of_name(b"1577900060_0.12.lab"), Some(1_577_900_060));
        for other in [&b"1577900060abcdef"[..], b"1577900060", b"x.1", b""] {
            assert_eq!(of_name(other), None);
        }
    }

    #[test]
    fn a_copy_is_many_files_of_one_minute_and_of_several_days() {
        const COPY: i64 = 1_700_000_000;
        let dates = |copied: i64, days: i64, others: i64| {
            let mut dates = Dates::default();
            for nth in 0..copied {
                dates.add(COPY, Some(COPY - (10 + nth % days) * DAY));
            }
            for nth in 0..others {
                dates.add(COPY - nth * DAY, None);
            }
            dates
        };
        assert!(dates(20, 3, 100).is_of_a_copy(COPY));
        assert!(dates(20, 3, 100).is_of_a_copy(COPY + 60), "its last files");
        assert!(!dates(20, 3, 100).is_of_a_copy(COPY + 180));
        assert!(!dates(19, 3, 100).is_of_a_copy(COPY), "few");
        assert!(dates(9, 3, 1).is_of_a_copy(COPY), "few, and most of all");
        assert!(!dates(20, 2, 0).is_of_a_copy(COPY), "one batch of arrivals");
    }
}
