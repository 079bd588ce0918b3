//! Listens to the library: records as they come, or the collection that is shown at the end.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mailtally::report::{
    Difference, Event, Finding, MailboxLine, Observer, QuotaLine, Rule, Severity, Status, StepLine,
    Summary, UserLine,
};
use serde::Serialize;

use super::global::Global;
use super::progress::Progress;
use super::render::{Next, Shown, show};
use super::terminal;

/// So many findings of a kind are kept to be shown; all are counted.
const KEPT: usize = 10;
const KEPT_VERBOSE: usize = 10_000;

/// So many places with differences are told apart; all are counted.
const PLACES: usize = 10_000;

/// How many there were, and the first of them.
pub type Kept<T> = (u64, Vec<T>);

/// What was heard so far.
#[derive(Debug, Default)]
pub struct Heard {
    /// Findings by severity (worst first) and code: how many, and the first of them.
    pub findings: BTreeMap<(Reverse<Severity>, &'static str), Kept<Finding>>,
    /// Differences by code.
    pub differences: BTreeMap<&'static str, Kept<Difference>>,
    /// Differences by user and mailbox, and then by code.
    pub places: BTreeMap<(String, String), BTreeMap<&'static str, Kept<Difference>>>,
    /// Mailboxes in the order they were done.
    pub mailboxes: Vec<MailboxLine>,
    /// What accounts use.
    pub quotas: Vec<QuotaLine>,
    /// What a repair did, or would do.
    pub steps: Vec<StepLine>,
    /// Accounts.
    pub users: Vec<UserLine>,
}

impl Heard {
    /// True where such a finding was heard.
    pub fn knows(&self, rule: &Rule) -> bool {
        let key = (Reverse(rule.severity), rule.code);
        self.findings.contains_key(&key)
    }

    /// True where this is to be done about one of the errors.
    pub fn is_told_to(&self, remedy: &str) -> bool {
        let all = self.findings.values().filter_map(|(_, kept)| kept.first());
        let mut errors = all.filter(|first| first.severity() == Severity::Error);
        errors.any(|first| first.remedy.contains(remedy))
    }

    /// How many findings were so bad.
    pub fn count(&self, severity: Severity) -> u64 {
        self.count_of(severity, |_| true)
    }

    /// Those of them whose rule is wanted.
    pub fn count_of(&self, severity: Severity, wanted: impl Fn(&Rule) -> bool) -> u64 {
        let findings = self.findings.iter();
        let findings = findings.filter(|((found, _), (_, kept))| {
            let is_wanted = |first: &Finding| wanted(first.rule);
            found.0 == severity && kept.first().is_some_and(is_wanted)
        });
        findings.map(|(_, (count, _))| count).sum()
    }

    /// Counts a difference at its place; of those beyond what is kept only the first there.
    fn place(&mut self, difference: &Difference, keep: bool) {
        let mailbox = difference.place.mailbox.clone().unwrap_or_default();
        let place = (difference.user.clone(), mailbox);
        if self.places.len() >= PLACES && !self.places.contains_key(&place) {
            return;
        }
        let codes = self.places.entry(place).or_default();
        let (count, kept) = codes.entry(difference.code).or_default();
        *count += 1;
        if keep || kept.is_empty() {
            kept.push(difference.clone());
        }
    }
}

/// The observer of a run.
pub struct Watch {
    command: &'static str,
    json: bool,
    shown: Shown,
    kept: usize,
    heard: Mutex<Heard>,
    next: Option<Next>,
    progress: Progress,
    /// Standard output is something else's.
    to_stderr: bool,
    /// Standard output took no more, and not because nobody reads it.
    lost: AtomicBool,
    /// Nobody reads standard output any more.
    unread: AtomicBool,
}

impl Watch {
    /// As the options say.
    pub fn new(global: &Global, command: &'static str, dry_run: bool) -> Self {
        Self {
            command,
            json: global.json,
            shown: Shown {
                quiet: global.quiet,
                verbose: global.verbose > 0,
                colours: global.colours(),
                dry_run,
                width: terminal::width(),
            },
            kept: if global.verbose > 0 {
                KEPT_VERBOSE
            } else {
                KEPT
            },
            heard: Mutex::default(),
            next: None,
            progress: Progress::new(global, command),
            to_stderr: false,
            lost: AtomicBool::new(false),
            unread: AtomicBool::new(false),
        }
    }

    /// What to do next, where that is not the same for every run of the command.
    pub fn next(&mut self, next: Next) {
        self.next = Some(next);
    }

    /// Standard output is something else's.
    pub fn results_to_stderr(&mut self) {
        self.to_stderr = true;
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once something needs a person.
    pub fn attention(&self) -> bool {
        let heard = self.heard();
        let mut severities = heard.findings.keys().map(|(severity, _)| severity.0);
        let mut users = heard.users.iter();
        !heard.differences.is_empty()
            || severities.any(|severity| severity == Severity::Error)
            || users.any(|user| user.status == Status::Attention)
    }

    /// Findings by code.
    pub fn findings(&self) -> BTreeMap<&'static str, u64> {
        let heard = self.heard();
        let counts = heard.findings.iter();
        counts
            .map(|((_, code), (count, _))| (*code, *count))
            .collect()
    }

    /// Differences by code.
    pub fn differences(&self) -> BTreeMap<&'static str, u64> {
        let heard = self.heard();
        let counts = heard.differences.iter();
        counts.map(|(code, (count, _))| (*code, *count)).collect()
    }

    /// The accounts, in name order.
    pub fn users(&self) -> Vec<UserLine> {
        let mut users = self.heard().users.clone();
        users.sort_by(|a, b| a.user.cmp(&b.user));
        users
    }

    /// True if the results did not arrive where they were sent.
    pub fn lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// True if all results arrived where they were sent.
    pub fn arrived(&self) -> bool {
        !self.lost() && !self.unread.load(Ordering::Relaxed)
    }

    fn record(&self, record: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_vec(record) {
            line.push(b'\n');
            self.write(&line);
        }
    }

    fn write(&self, bytes: &[u8]) {
        if self.to_stderr {
            let _ = stderr().lock().write_all(bytes);
            return;
        }
        let mut out = stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            // A closed pipe ends quietly.
            let fate = match error.kind() {
                ErrorKind::BrokenPipe => &self.unread,
                _ => &self.lost,
            };
            fate.store(true, Ordering::Relaxed);
        }
    }

    /// Says how the run went to scripts; a person is told in another way.
    pub fn conclude_with_records_only(&self, summary: &Summary) {
        self.progress.finish();
        if self.json {
            self.record(summary);
        }
    }

    /// Says how the run went.
    pub fn conclude(&self, summary: &Summary) {
        self.conclude_with_records_only(summary);
        if self.json {
            return;
        }
        let next = self.next.as_ref();
        let text = show(self.command, summary, &self.heard(), self.shown, next);
        self.write(text.as_bytes());
    }
}

impl Observer for Watch {
    fn shows_progress(&self) -> bool {
        self.progress.is_shown()
    }

    fn on(&self, event: Event<'_>) {
        self.progress.on(&event);
        match event {
            Event::Found(finding) => {
                let key = (Reverse(finding.severity()), finding.rule.code);
                let mut heard = self.heard();
                let (count, kept) = heard.findings.entry(key).or_default();
                *count += 1;
                if kept.len() < self.kept {
                    kept.push(finding.clone());
                }
                if self.json {
                    self.record(finding);
                }
            }
            Event::Differs(difference) => {
                let mut heard = self.heard();
                let (count, kept) = heard.differences.entry(difference.code).or_default();
                *count += 1;
                if kept.len() < self.kept {
                    kept.push(difference.clone());
                    heard.place(difference, true);
                } else {
                    heard.place(difference, false);
                }
                if self.json {
                    self.record(difference);
                }
            }
            Event::Counted(line) if self.json => self.record(line),
            Event::Counted(line) => self.heard().quotas.push(line.clone()),
            Event::Step(line) if self.json => self.record(line),
            Event::Step(line) => self.heard().steps.push(line.clone()),
            Event::MailboxDone(line) if self.json => self.record(line),
            Event::MailboxDone(line) if self.shown.keeps_mailboxes(self.command) => {
                self.heard().mailboxes.push(line.clone());
            }
            Event::UserDone(line) => {
                self.heard().users.push(line.clone());
                if self.json {
                    self.record(line);
                }
            }
            _ => {}
        }
    }
}
