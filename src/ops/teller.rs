//! Passes on what an account has to say, and counts it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::report::{Difference, Event, Finding, Observer, Severity};

/// The voice of one account.
pub struct Teller<'a> {
    user: &'a str,
    watch: &'a dyn Observer,
    counts: Mutex<Counts>,
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
        }
    }

    /// Which account.
    pub fn user(&self) -> &'a str {
        self.user
    }

    /// Who listens.
    pub fn watch(&self) -> &'a dyn Observer {
        self.watch
    }

    /// Something an administrator should know of.
    pub fn found(&self, mut finding: Finding) {
        finding.user = self.user.into();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.findings.entry(finding.rule.code).or_default() += 1;
        counts.attention |= finding.severity() == Severity::Error;
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
