//! What the server's cache tells of messages, where that is no longer so.

use std::collections::BTreeSet;

use super::super::folders::Folder;
use super::super::mailbox::MaildirMailbox;
use super::dates::is_earlier;
use super::{Fate, Repair};
use crate::disk::plan::{About, Act};
use crate::error::Result;
use crate::format::dovecot_index::{CACHE, Cache, DATE_RECEIVED, DATE_SAVE, Index};
use crate::report::counted;
use crate::store::MailboxSource;

/// What a message is called and when it came: no byte of it tells that.
const LASTING: [&str; 5] = [DATE_RECEIVED, DATE_SAVE, "guid", "pop3.uidl", "pop3.order"];

/// What is to be told in another way. Messages are named by their place in the mailbox.
#[derive(Debug, Default)]
pub(super) struct Outdated {
    /// Received dates.
    pub dates: Vec<(usize, i64)>,
    /// Codes of what these mend.
    pub codes: BTreeSet<&'static str>,
    /// Messages of other sizes than it may tell.
    pub sizes: Vec<usize>,
    /// What goes with these for good.
    pub lost: Vec<String>,
}

impl Outdated {
    /// What becomes of the messages of a mailbox.
    pub(super) fn of(fates: &[Fate]) -> Self {
        let outdated = fates.iter().enumerate();
        let outdated = outdated.filter(|(_, fate)| fate.is_outdated());
        // What has another name has its codes there.
        let cached = fates.iter().filter(|fate| !fate.changes());
        Self {
            sizes: outdated.map(|(at, _)| at).collect(),
            codes: cached.flat_map(|fate| fate.misremembered.clone()).collect(),
            lost: fates.iter().filter_map(|fate| fate.lost.clone()).collect(),
            ..Self::default()
        }
    }
}

/// A cache that is being changed.
struct Changing<'a> {
    mailbox: &'a MaildirMailbox<'a>,
    index: &'a Index,
    cache: Cache,
    bytes: Vec<u8>,
}

impl Changing<'_> {
    /// How many dates it tells in another way now.
    fn redate(&mut self, dates: &[(usize, i64)]) -> u64 {
        let redated = dates.iter().filter_map(|(at, date)| {
            let is_wrong = |told: u32| is_earlier(*date, told.into()) || told == 0;
            self.mailbox
                .cached(*at)
                .received
                .filter(|told| is_wrong(*told))?;
            let nth = self.mailbox.in_index(*at)?;
            let place = self.cache.place_of_u32(self.index, nth, DATE_RECEIVED)?;
            let place = usize::try_from(place).ok()?;
            let date = u32::try_from(*date).ok()?;
            let value = self.bytes.get_mut(place..place + 4)?;
            value.copy_from_slice(&date.to_le_bytes());
            Some(())
        });
        redated.count() as u64
    }

    /// Of how many messages it forgets what their bytes were; `None` where it cannot.
    fn forget(&mut self, messages: &[usize]) -> Option<u64> {
        let mut forgotten = 0;
        for at in messages {
            if let Some(nth) = self.mailbox.in_index(*at) {
                let (cache, bytes) = (&self.cache, &mut self.bytes);
                forgotten += u64::from(cache.keep_only(self.index, nth, &LASTING, bytes)?);
            }
        }
        Some(forgotten)
    }

    /// What becomes of it, and why; `None` where nothing does.
    fn act(mut self, outdated: &Outdated) -> Option<(Act, String)> {
        let redated = self.redate(&outdated.dates);
        let Some(forgotten) = self.forget(&outdated.sizes) else {
            let does = "the server's cache goes by sizes that are no longer right";
            return Some((Act::Remove, does.into()));
        };
        let does = [
            (redated, "tells the new dates of"),
            (forgotten, "forgets the sizes of"),
        ];
        let does = does.iter().filter(|(count, _)| *count > 0);
        let does = does.map(|(count, what)| format!("{what} {}", counted(*count, "message")));
        let does = does.collect::<Vec<_>>().join(", and ");
        (!does.is_empty()).then(|| {
            let does = format!("the server's cache {does}");
            (Act::put(self.bytes), does)
        })
    }
}

impl Repair<'_> {
    /// The server goes by what its cache tells: a size that is not that of the file is an error to it.
    pub(super) fn correct_cache(
        &mut self,
        mailbox: &MaildirMailbox<'_>,
        folder: &Folder,
        outdated: Outdated,
    ) -> Result<()> {
        let nothing = outdated.dates.is_empty() && outdated.sizes.is_empty();
        let Some(index) = mailbox.index.as_ref().filter(|_| !nothing) else {
            return Ok(());
        };
        let dir = self.index_dir(folder)?;
        let Ok(Some(cache)) = Cache::open(&dir, CACHE, index, &mut |_| ()) else {
            return Ok(());
        };
        let bytes = dir.read_if_there(CACHE, 1 << 32)?.unwrap_or_default();
        let changing = Changing {
            mailbox,
            index,
            cache,
            bytes,
        };
        if let Some((act, does)) = changing.act(&outdated) {
            let about = About {
                codes: outdated.codes.into_iter().collect(),
                lost: outdated.lost,
                ..About::in_mailbox(&mailbox.mailbox().name, does)
            };
            let (place, path) = self.indexed(folder, CACHE);
            self.plan.push_in(place, path, act, about);
        }
        Ok(())
    }
}
