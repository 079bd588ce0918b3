//! Opens what is compared, and adds up the account.

use std::time::Instant;

use super::Level;
use super::join::{Join, Total};
use super::look::Look;
use super::side::{About, Side, Voice};
use super::store_side::StoreSide;
use super::tally_side::{Tally, TallySide, room_of};
use crate::digest::{hex, merkle};
use crate::disk::Dir;
use crate::error::Result;
use crate::format::{OpenOptions, Room};
use crate::ops::teller::Teller;
use crate::ops::workers::Workers;
use crate::report::{Digests, Event, Side as Which, Status, UserLine};
use crate::store::{Form, Source};

/// A store that is to be compared.
#[derive(Debug)]
pub struct StoreAt {
    /// Its format.
    pub room: &'static Room,
    /// Where it lies.
    pub root: Dir,
    /// What its location says beside the path.
    pub open: OpenOptions,
}

impl StoreAt {
    pub(crate) fn about(&self) -> About {
        let form = Form {
            fs_layout: self.open.fs_layout,
            ..Form::default()
        };
        About {
            format: self.room.name.into(),
            holds: self.room.holds_in(&form),
            is_file: false,
        }
    }

    pub(crate) fn source(&self, voice: Voice<'_>) -> Result<Box<dyn Source>> {
        (self.room.open)(self.root.again()?, &self.open, &mut |finding| {
            voice.found(finding);
        })
    }
}

/// One of two things that are compared.
pub enum Party<'a> {
    /// A store.
    Store(Box<StoreAt>),
    /// A tally, which stands before the account.
    Tally(&'a mut Tally),
}

impl Party<'_> {
    fn room(&self) -> Option<&'static Room> {
        match self {
            Self::Store(store) => Some(store.room),
            Self::Tally(tally) => room_of(tally.head()),
        }
    }

    fn source(&self, voice: Voice<'_>) -> Result<Option<Box<dyn Source>>> {
        match self {
            Self::Store(store) => store.source(voice).map(Some),
            Self::Tally(_) => Ok(None),
        }
    }
}

/// Compares one account.
pub fn account(
    mut parties: [Party<'_>; 2],
    level: Level,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<UserLine> {
    let started = Instant::now();
    let voices = [Which::Source, Which::Destination].map(|which| Voice {
        teller,
        which: Some(which),
    });
    let rooms = [parties[0].room(), parties[1].room()];
    let [source, destination] = &mut parties;
    if let (Party::Store(source), Party::Store(destination)) = (source, destination) {
        source.open.earlier = Some(destination.root.again()?);
    }
    let sources = [parties[0].source(voices[0])?, parties[1].source(voices[1])?];
    let same_format = rooms[0].map(|room| room.name) == rooms[1].map(|room| room.name);
    let access = same_format && sources.iter().all(Option::is_some);
    let [one, other] = &mut parties;
    let mut opened = Vec::new();
    for (nth, party) in [one, other].into_iter().enumerate() {
        let side: Box<dyn Side + '_> = match (party, &sources[nth]) {
            (Party::Store(store), Some(source)) => {
                let about = store.about();
                let look = Look {
                    level,
                    access,
                    saved: about.holds.saved_dates,
                };
                let mut side = StoreSide::new(source.as_ref(), about, look, voices[nth], workers);
                if let Some(room) = rooms[1 - nth].filter(|_| !same_format) {
                    side.rename_for(room);
                }
                Box::new(side)
            }
            (Party::Tally(tally), _) => Box::new(TallySide::new(tally, voices[nth])?),
            (Party::Store(_), None) => unreachable!("BUG: a store was not opened"),
        };
        opened.push(side);
    }
    let all = sources.iter().flatten();
    teller.started(|| all.map(|source| source.estimate()).sum());
    let [one, other] = &mut opened[..] else {
        unreachable!("BUG: there are two sides")
    };
    let total = Join::new([one.as_mut(), other.as_mut()], level, teller).run()?;
    let line = line(total, teller, started);
    teller.watch().on(Event::UserDone(&line));
    Ok(line)
}

fn line(total: Total, teller: &Teller<'_>, started: Instant) -> UserLine {
    let counts = teller.counts();
    let digest = |side: usize| {
        let digests = total.digests[side].as_ref();
        digests.map(|digests| hex(&merkle::account(digests)))
    };
    let (source, destination) = (digest(0), digest(1));
    let both = source.is_some() && destination.is_some();
    UserLine {
        user: teller.user().into(),
        status: if counts.attention {
            Status::Attention
        } else {
            Status::Verified
        },
        mailboxes: total.mailboxes,
        messages: total.messages,
        bytes: total.bytes,
        findings: counts.all_findings(),
        differences: counts.all_differences(),
        digest: Digests {
            source: source.filter(|_| both).unwrap_or_default(),
            destination: destination.filter(|_| both),
        },
        not_compared: total.not_compared.into_iter().collect(),
        seconds: started.elapsed().as_secs_f64(),
        error: None,
    }
}
