//! Passes on what an account has to say, and counts it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::report::catalogue::MESSAGE_ALTERED;
use crate::report::{Difference, Event, Finding, Observer, Severity};

/// Codes of these groups say that messages of the mailbox are at stake, or of any mailbox.
const OF_MAILBOXES: &[&str] = &["mailbox", "maildir", "uidlist", "index", "dbox", "mdbox"];
const OF_ALL: &[&str] = &["dbox", "mdbox"];

/// True where a message of the finding's mailbox may not be what it was.
fn is_at_stake(finding: &Finding) -> bool {
    is_of(finding, OF_MAILBOXES) || finding.rule == &MESSAGE_ALTERED
}

fn is_of(finding: &Finding, groups: &[&str]) -> bool {
    let group = finding.rule.code.split('.').next();
    group.is_some_and(|group| groups.contains(&group))
}

/// The voice of one account.
pub struct Teller<'a> {
    user: &'a str,
    watch: &'a dyn Observer,
    counts: Mutex<Counts>,
    /// Options of the repair that is done.
    repaired: OnceLock<Vec<&'static str>>,
}

/// What was said.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Findings by code.
    pub findings: BTreeMap<&'static str, u64>,
    /// Differences by code.
    pub differences: BTreeMap<&'static str, u64>,
    /// Something needs a person.
    pub attention: bool,
    /// Something needs a repair before a server opens the store.
    pub before_a_server: bool,
    /// Mailboxes in which mail is at stake; an empty name: in what all of them lie in.
    pub mail_errors: BTreeSet<String>,
}

impl Counts {
    /// How many findings.
    pub fn all_findings(&self) -> u64 {
        self.findings.values().sum()
    }

    /// How many differences.
    pub fn all_differences(&self) -> u64 {
        self.differences.values().sum()
    }
}

impl<'a> Teller<'a> {
    /// For this account.
    pub fn new(user: &'a str, watch: &'a dyn Observer) -> Self {
        Self {
            user,
            watch,
            counts: Mutex::default(),
            repaired: OnceLock::new(),
        }
    }

    /// A repair with these options is done: what is found from now on needs something else.
    pub fn is_repaired(&self, options: Vec<&'static str>) {
        let _ = self.repaired.set(options);
    }

    /// Which account.
    pub fn user(&self) -> &'a str {
        self.user
    }

    /// Who listens.
    pub fn watch(&self) -> &'a dyn Observer {
        self.watch
    }

    /// Work begins on about so many messages, which are counted for who shows progress.
    pub fn started(&self, estimate: impl FnOnce() -> u64) {
        let wanted = self.watch.shows_progress();
        self.watch.on(Event::UserStarted {
            user: self.user,
            messages: if wanted { estimate() } else { 0 },
        });
    }

    /// Something an administrator should know of.
    pub fn found(&self, mut finding: Finding) {
        finding.user = self.user.into();
        if let Some(options) = self.repaired.get() {
            finding.remedy = finding.rule.remedy_after(options);
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.findings.entry(finding.rule.code).or_default() += 1;
        counts.before_a_server |= finding.rule.comes_before_a_server();
        if finding.severity() == Severity::Error {
            counts.attention = true;
            let mailbox = finding.place.mailbox.clone();
            counts
                .mail_errors
                .extend(mailbox.filter(|_| is_at_stake(&finding)));
            if finding.place.mailbox.is_none() && is_of(&finding, OF_ALL) {
                counts.mail_errors.insert(String::new());
            }
        }
        drop(counts);
        self.watch.on(Event::Found(&finding));
    }

    /// The two sides do not agree.
    pub fn differs(&self, mut difference: Difference) {
        difference.user = self.user.into();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.differences.entry(difference.code).or_default() += 1;
        counts.attention = true;
        drop(counts);
        self.watch.on(Event::Differs(&difference));
    }

    /// What was said so far.
    pub fn counts(&self) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Bar(Mutex<u64>);

    impl Observer for Bar {
        fn on(&self, event: Event<'_>) {
            if let Event::UserStarted { messages, .. } = event {
                *self.0.lock().unwrap() += messages;
            }
        }

        fn shows_progress(&self) -> bool {
            true
        }
    }

    #[test]
    fn messages_are_counted_before_only_for_who_shows_how_many_are_left() {
        Teller::new("u", &()).started(|| unreachable!("nobody asked"));
        let bar = Bar::default();
        Teller::new("u", &bar).started(|| 7);
        assert_eq!(*bar.0.lock().unwrap(), 7);
    }
}
