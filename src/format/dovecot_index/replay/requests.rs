//! Expunges that a client asked for, until the server has done them.

use super::super::layout::{ExpungeGuid, UidRange, kind};
use super::super::log::Record;
use super::Replay;

/// A client's wish that the server had not yet done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    place: (u32, u32),
    range: UidRange,
}

impl Replay {
    pub(super) fn look_for_requests(&mut self, seq: u32, record: &Record<'_>) {
        let place = (seq, u32::try_from(record.at).unwrap_or(u32::MAX));
        match record.kind {
            _ if record.external => {}
            kind::EXPUNGE => self.request(place, record.all::<UidRange>()),
            kind::EXPUNGE_GUID => self.request_by_guid(place, record.all::<ExpungeGuid>()),
            _ => {}
        }
    }

    fn request(&mut self, place: (u32, u32), ranges: &[UidRange]) {
        let ranges = ranges.iter().copied();
        self.requests
            .extend(ranges.map(|range| Request { place, range }));
    }

    fn request_by_guid(&mut self, place: (u32, u32), expunges: &[ExpungeGuid]) {
        let requests = expunges.iter().map(|expunge| Request {
            place,
            range: UidRange {
                uid1: expunge.uid,
                uid2: expunge.uid,
            },
        });
        self.requests.extend(requests);
    }

    /// A client was told that these are gone; the server would do it at its next look.
    pub(super) fn expunge_requested(&mut self) -> Vec<u32> {
        let mut uids = Vec::new();
        for request in std::mem::take(&mut self.requests) {
            if request.place < self.tail {
                continue;
            }
            for nth in self.span(request.range) {
                if !self.gone[nth] {
                    self.gone[nth] = true;
                    uids.push(self.map.uids[nth]);
                }
            }
        }
        uids.sort_unstable();
        uids
    }
}
