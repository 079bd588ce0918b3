//! Puts index and logs together: which log goes on from where.

use zerocopy::FromBytes;
use zerocopy::little_endian::U64;

use super::base::{self, Map};
use super::complete;
use super::damaged;
use super::index::Index;
use super::layout::MODSEQ;
use super::log::{Hole, Log};
use super::refused;
use super::replay::{Faults, Replay};
use crate::Result;
use crate::bytes::Decode;
use crate::disk::{Dir, Kind};
use crate::report::catalogue::{
    INDEX_BROKEN, INDEX_INDEXID, INDEX_LOG, INDEX_LOG_GAP, INDEX_PENDING_EXPUNGE,
    INDEX_UNKNOWN_RECORD,
};
use crate::report::{Finding, Rule, counted};

/// No file of an index comes near this.
pub(super) const FILE_MOST: u64 = 1 << 30;

/// Told of everything that is not as it should be.
pub(super) type Found<'f> = &'f mut dyn FnMut(Finding);

/// Asked whether an index whose header is damaged holds up against what it is the index of. It is whole
/// where no record and no log is known to be missing.
pub type HoldsUp<'h> = dyn FnMut(&Index, bool) -> bool + 'h;

/// Loads the index `base` (`dovecot.index` or `dovecot.map.index`) with its logs from `dir`.
///
/// `None` where there is neither index nor log, or nothing that can be used, which is a finding.
/// Damage is a finding too, and the best state that can be had is returned.
pub fn load(dir: &Dir, base: &str, found: &mut dyn FnMut(Finding)) -> Result<Option<Index>> {
    load_checked(dir, base, &mut |_, _| false, found)
}

/// The same; an index with a damaged header is used if it holds up.
pub fn load_checked(
    dir: &Dir,
    base: &str,
    holds_up: &mut HoldsUp<'_>,
    found: &mut dyn FnMut(Finding),
) -> Result<Option<Index>> {
    let mut files = Files::named(base);
    for part in [&mut files.index, &mut files.log_2, &mut files.log] {
        part.read(dir, found)?;
    }
    let mut told = Vec::new();
    let index = match files.assemble(&mut |finding| told.push(finding)) {
        None if files.index.seen => salvage(dir, &mut files, holds_up, &mut told)?,
        Some(damaged) if !damaged.unread.is_empty() => {
            Some(complete::or_better(dir, &mut files, damaged, &mut told)?)
        }
        index => index,
    };
    told.into_iter().for_each(&mut *found);
    if index.is_some() {
        return Ok(index);
    }
    if files.index.seen || files.log_2.seen || files.log.seen {
        files.backup.read(dir, found)?;
    }
    Ok(files.assemble_backup(found))
}

/// An index whose header is damaged, if it holds up; then its log is not without its index.
fn salvage(
    dir: &Dir,
    files: &mut Files,
    holds_up: &mut HoldsUp<'_>,
    told: &mut Vec<Finding>,
) -> Result<Option<Index>> {
    // Its bytes were dropped; that it can be read or not was told.
    files.index.read(dir, &mut |_| ())?;
    let bytes = files.index.bytes.take().unwrap_or_default();
    let logs = read_logs([&files.log_2, &files.log], &mut |_| ());
    let mut of_it = Vec::new();
    let name = &files.index.name;
    let salvaged = damaged::load(name, &bytes, &logs, &mut |finding| of_it.push(finding));
    let salvaged = salvaged.filter(|(index, is_whole)| holds_up(index, *is_whole));
    if salvaged.is_some() {
        told.retain(|finding| finding.rule != &INDEX_LOG_GAP);
        told.append(&mut of_it);
    }
    Ok(salvaged.map(|(index, _)| index))
}

/// One file, whole.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Its name.
    pub name: String,
    /// What is in it, if it can be read at all.
    pub bytes: Option<Vec<u8>>,
    /// There is something of that name.
    pub seen: bool,
}

impl Part {
    pub fn read(&mut self, dir: &Dir, found: Found<'_>) -> Result<()> {
        let Some(stat) = dir.stat_if_there(&self.name)? else {
            return Ok(());
        };
        self.seen = true;
        if stat.kind != Kind::File {
            tell(found, &INDEX_BROKEN, &self.name, "not a regular file");
        } else if stat.size > FILE_MOST {
            tell(
                found,
                &INDEX_BROKEN,
                &self.name,
                "larger than an index can be",
            );
        } else {
            self.bytes = dir.read_if_there(&self.name, FILE_MOST)?;
        }
        Ok(())
    }
}

/// The files of one index.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub index: Part,
    pub log_2: Part,
    pub log: Part,
    pub backup: Part,
    /// Log and offset that are in the index.
    pub reach: (u32, usize),
}

impl Files {
    /// The names; nothing is read yet.
    pub fn named(base: &str) -> Self {
        let part = |suffix: &str| Part {
            name: format!("{base}{suffix}"),
            ..Part::default()
        };
        Self {
            index: part(""),
            log_2: part(".log.2"),
            log: part(".log"),
            backup: part(".backup"),
            reach: (0, 0),
        }
    }

    /// Index and logs; the index's bytes are dropped on the way.
    pub fn assemble(&mut self, found: Found<'_>) -> Option<Index> {
        let map = read_map(&mut self.index, found);
        self.reach = map.as_ref().map(Map::log_place).unwrap_or_default();
        let logs = read_logs([&self.log_2, &self.log], found);
        match map {
            Some(mut map) => {
                if let Some(refused) = refused::tail(&map.header, &logs) {
                    tell(found, &INDEX_BROKEN, &self.index.name, refused.to_string());
                    // Then what was asked for is looked for from the beginning: what is done is gone.
                    map.header.log_file_tail_offset = 0.into();
                }
                Some(go_on(map, &logs, found))
            }
            None => from_nothing(&logs, self.index.seen, found),
        }
    }

    /// The last resort: the copy that Dovecot keeps of an older index.
    pub fn assemble_backup(&mut self, found: Found<'_>) -> Option<Index> {
        let map = read_map(&mut self.backup, found)?;
        let why = "an older state is used, as there is no usable index";
        tell(found, &INDEX_BROKEN, &self.backup.name, why);
        let logs = read_logs([&self.log_2, &self.log], &mut |_| ());
        Some(go_on(map, &logs, found))
    }
}

pub(super) fn tell(found: Found<'_>, rule: &'static Rule, name: &str, detail: impl Into<String>) {
    found(Finding::new(rule, detail).path(name));
}

pub(super) fn read_map(part: &mut Part, found: Found<'_>) -> Option<Map> {
    let bytes = part.bytes.take()?;
    let mut unread = Vec::new();
    let mut complain = |broken: Decode| {
        unread.push(base::unread(&broken));
        tell(found, &INDEX_BROKEN, &part.name, broken.to_string());
    };
    let map = base::read(&bytes, &mut complain).map_err(&mut complain);
    let mut map = map.ok()?;
    for refused in map.refused.drain(..) {
        tell(found, &INDEX_BROKEN, &part.name, refused.to_string());
    }
    map.unread = unread;
    Some(map)
}

/// The logs that can be read, in their order.
pub(super) fn read_logs<'a>(parts: [&'a Part; 2], found: Found<'_>) -> Vec<Log<'a>> {
    let mut logs = Vec::new();
    for part in parts {
        let Some(bytes) = &part.bytes else { continue };
        match Log::read(part.name.clone(), bytes) {
            Ok(log) if log.header.indexid.get() == 0 => {
                let why = "the server marked it as corrupted; it is not applied";
                tell(found, &INDEX_LOG, &part.name, why);
            }
            Ok(log) => {
                if let Some(odd) = refused::log(&log.header) {
                    tell(found, &INDEX_LOG, &part.name, odd.to_string());
                }
                logs.push(log);
            }
            Err(broken) => tell(found, &INDEX_LOG, &part.name, broken.to_string()),
        }
    }
    logs.sort_by_key(Log::seq);
    logs
}

/// Those of this index; the others are stale.
pub(super) fn of_index<'l, 'a>(
    logs: impl Iterator<Item = &'l Log<'a>>,
    indexid: u32,
    found: Found<'_>,
) -> Vec<&'l Log<'a>> {
    let (ours, stale): (Vec<_>, Vec<_>) = logs.partition(|log| log.header.indexid.get() == indexid);
    for log in stale {
        let theirs = log.header.indexid;
        let why = format!("its indexid is {theirs}, that of the index is {indexid}");
        tell(found, &INDEX_INDEXID, &log.name, why);
    }
    ours
}

pub(super) fn go_on(map: Map, logs: &[Log<'_>], found: Found<'_>) -> Index {
    let logs = of_index(logs.iter(), map.header.indexid.get(), found);
    let base = map.log_place();
    replay(Replay::new(map), base, &logs, found)
}

/// Without an index: the newest log that starts from an empty mailbox has it all.
pub(super) fn from_nothing(
    logs: &[Log<'_>],
    broken_index: bool,
    found: Found<'_>,
) -> Option<Index> {
    let starts = |log: &&Log<'_>| log.header.prev_file_seq.get() == 0;
    let Some(first) = logs.iter().rfind(starts) else {
        if let Some(log) = logs.last() {
            let why = "it goes on from an index that is not there or cannot be read";
            tell(found, &INDEX_LOG_GAP, &log.name, why);
        }
        return None;
    };
    if broken_index {
        let why = "the log starts from an empty mailbox and is used alone";
        tell(found, &INDEX_BROKEN, &first.name, why);
    }
    let indexid = first.header.indexid.get();
    let later = logs.iter().filter(|log| log.seq() >= first.seq());
    let ours = of_index(later, indexid, found);
    let base = (first.seq(), first.start());
    let map = Map::empty(indexid);
    Some(replay(Replay::new(map), base, &ours, found))
}

/// Replays from log `seq` and offset `head` on.
fn replay(mut replay: Replay, base: (u32, usize), logs: &[&Log<'_>], found: Found<'_>) -> Index {
    let modseq = replay.modseq_of_base();
    let (mut seq, mut head) = base;
    for log in logs.iter().filter(|log| log.seq() >= base.0) {
        let from = match place(log, seq, head) {
            // A damaged index may say less: no record begins in the header.
            Place::Here => head.max(log.start()),
            Place::Next => log.start(),
            Place::Reset => {
                tell_reset(&replay, log, found);
                replay.reset();
                log.start()
            }
            Place::Gap => {
                let why = format!(
                    "it is log {}; the index goes on in {seq} at byte {head}",
                    log.seq()
                );
                tell(found, &INDEX_LOG_GAP, &log.name, why);
                break;
            }
        };
        apply(&mut replay, log, from, found);
        (seq, head) = (log.seq(), log.len());
    }
    tell_older(base.0, logs, found);
    let newest = logs.last().filter(|log| log.seq() >= base.0);
    let index = replay.finish(newest.map_or(modseq, |log| log.highest_modseq()));
    tell_requested(&index, logs, found);
    if let (Some(log), Some(modseqs)) = (newest, index.extension(MODSEQ))
        && let Some(why) = refused::modseqs(&modseqs.header, log)
    {
        tell(found, &INDEX_LOG, &log.name, why);
    }
    index
}

enum Place {
    /// The log that the index was written from.
    Here,
    /// The one after it.
    Next,
    /// One that starts from an empty mailbox.
    Reset,
    /// One that goes on from something that is not there.
    Gap,
}

fn place(log: &Log<'_>, seq: u32, head: usize) -> Place {
    let from_nothing = log.header.prev_file_seq.get() == 0;
    let previous = (
        log.header.prev_file_seq.get(),
        log.header.prev_file_offset.get() as usize,
    );
    if log.seq() == seq {
        // Then the index was written before anything was in the log: the server drops it.
        let dropped = from_nothing && head == log.start();
        return if dropped { Place::Reset } else { Place::Here };
    }
    match previous {
        _ if from_nothing => Place::Reset,
        (previous, end) if previous == seq && end <= head => Place::Next,
        _ => Place::Gap,
    }
}

fn tell_reset(replay: &Replay, log: &Log<'_>, found: Found<'_>) {
    let messages = replay.messages();
    if messages > 0 {
        let why = format!(
            "the log starts from an empty mailbox, so a server drops the index with {messages} messages"
        );
        tell(found, &INDEX_BROKEN, &log.name, why);
    }
}

/// A log that is older than the index says nothing, and the one that would is not there.
fn tell_older(seq: u32, logs: &[&Log<'_>], found: Found<'_>) {
    if let Some(newest) = logs.last().filter(|log| log.seq() < seq) {
        let why = format!("it is log {}; the index goes on in {seq}", newest.seq());
        tell(found, &INDEX_LOG_GAP, &newest.name, why);
    }
}

pub(super) fn apply(replay: &mut Replay, log: &Log<'_>, from: usize, found: Found<'_>) {
    let mut faults = Faults::default();
    replay.run(log, from, &mut faults);
    let mut unread = Vec::new();
    if from > log.len() {
        unread.push(format!(
            "ends at byte {}, the index was written after byte {from}",
            log.len()
        ));
    }
    if let Some(refused) = faults.refused {
        tell(found, &INDEX_LOG, &log.name, refused.to_string());
    }
    if let Some(passed) = faults.passed {
        tell(found, &INDEX_LOG, &log.name, passed.why.to_string());
    }
    match faults.holes.first {
        Some(half) if half.is_half_record => {
            tell(found, &INDEX_LOG, &log.name, half.why.to_string());
            replay.note_torn();
        }
        Some(hole) => {
            let more = the_first_of(faults.holes.count, "places");
            let Hole { why, to, .. } = hole;
            unread.push(format!("{why}; unreadable up to byte {to}{more}"));
        }
        None => {}
    }
    if let Some(first) = faults.first {
        let more = the_first_of(faults.count, "records");
        unread.push(format!("{first}{more}"));
    }
    for what in unread {
        tell(found, &INDEX_LOG, &log.name, &what);
        replay.note_unread(what);
    }
    for unknown in faults.unknown {
        let why = format!("records of kind {unknown:#x}");
        tell(found, &INDEX_UNKNOWN_RECORD, &log.name, why);
    }
}

fn the_first_of(count: usize, what: &str) -> String {
    match count {
        1 => String::new(),
        count => format!(" (the first of {count} such {what})"),
    }
}

pub(super) fn tell_requested(index: &Index, logs: &[&Log<'_>], found: Found<'_>) {
    let uids = &index.requested_expunges;
    if let (Some(first), Some(log)) = (uids.first(), logs.last()) {
        let why = format!(
            "{}, the first is UID {first}",
            counted(uids.len() as u64, "message")
        );
        tell(found, &INDEX_PENDING_EXPUNGE, &log.name, why);
    }
}

impl Replay {
    /// What the index itself says, for want of a log that counts.
    pub fn modseq_of_base(&self) -> u64 {
        let extension = self.extension(MODSEQ);
        let header = extension.and_then(|ext| U64::read_from_prefix(&ext.header).ok());
        header.map_or(1, |(highest, _)| highest.get())
    }
}
