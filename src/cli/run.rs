//! One run over accounts: threads, signals, the summary and the exit code.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mailtally::digest::merkle;
use mailtally::format::location::Location;
use mailtally::ops::Teller;
use mailtally::ops::users::{Found, FoundAccount};
use mailtally::ops::workers::Workers;
use mailtally::report::catalogue::{ACCOUNT_FAILED, ACCOUNT_MISSING};
use mailtally::report::{
    Digests, Event, Finding, Observer, Rule, Status, Summary, UserLine, Users, Verdict,
};
use mailtally::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::exit::{Exit, complain, say};
use super::global::Global;
use super::render::Next;
use super::watch::Watch;

/// A run that has begun.
pub struct Run {
    command: &'static str,
    watch: Watch,
    workers: Workers,
    /// A single account's error is the run's.
    single: bool,
    missing: bool,
    started: Instant,
    /// Why accounts after it were not tried.
    ended_by: Mutex<Option<(Exit, String)>>,
}

impl Run {
    /// Starts threads, listens to signals, and says which users are not there.
    pub fn start(
        command: &'static str,
        global: &Global,
        found: &Found,
        location: &Location,
        dry_run: bool,
    ) -> Result<Self> {
        let single = !location.path.names_users();
        Self::start_for(command, global, found, single, dry_run)
    }

    /// The same; `single` says that there is one account, whose error is the run's.
    pub fn start_for(
        command: &'static str,
        global: &Global,
        found: &Found,
        single: bool,
        dry_run: bool,
    ) -> Result<Self> {
        let workers = Workers::new(global.jobs())?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let stop = Arc::clone(&workers.stop);
            // The first signal asks for an orderly end; the second one does not ask.
            let code = i32::from(Exit::TempFail.code());
            let armed = signal_hook::flag::register_conditional_shutdown(signal, code, stop);
            let stop = Arc::clone(&workers.stop);
            armed
                .and_then(|_| signal_hook::flag::register(signal, stop))
                .map_err(|error| Error::Bug(error.to_string()))?;
        }
        let watch = Watch::new(global, command, dry_run);
        watch.on(Event::Planned {
            users: found.accounts.len() as u64,
        });
        for user in &found.missing {
            let teller = Teller::new(user, &watch);
            teller.found(Finding::new(&ACCOUNT_MISSING, "no store at the location"));
        }
        for (user, why) in &found.refused {
            let teller = Teller::new(user, &watch);
            teller.found(Finding::new(&ACCOUNT_FAILED, why.clone()));
            watch.on(Event::UserDone(&failed(user, why.clone(), 0.0)));
        }
        Ok(Self {
            command,
            watch,
            workers,
            single,
            missing: !found.missing.is_empty(),
            started: Instant::now(),
            ended_by: Mutex::new(None),
        })
    }

    /// Works on every account, and says how it went.
    pub fn each(
        self,
        accounts: &[FoundAccount],
        one: impl Fn(&FoundAccount, &Teller<'_>, &Workers) -> Result<UserLine> + Sync,
    ) -> Exit {
        self.each_then(accounts, one, || ())
    }

    /// The same; `then` is called once all that was said has arrived where results go.
    pub fn each_then(
        self,
        accounts: &[FoundAccount],
        one: impl Fn(&FoundAccount, &Teller<'_>, &Workers) -> Result<UserLine> + Sync,
        then: impl FnOnce(),
    ) -> Exit {
        let results = self.work(accounts, one);
        self.conclude_then(&results, then)
    }

    /// Works on every account. What came of it is to be concluded.
    pub fn work(
        &self,
        accounts: &[FoundAccount],
        one: impl Fn(&FoundAccount, &Teller<'_>, &Workers) -> Result<UserLine> + Sync,
    ) -> Vec<Result<UserLine>> {
        let results = self.workers.each(accounts, |account| {
            self.one(&account.user, |teller, workers| {
                one(account, teller, workers)
            })
        });
        self.tell_untried(accounts);
        results
    }

    /// Something that is of no single account.
    pub fn found(&self, finding: Finding) {
        Teller::new("", &self.watch).found(finding);
    }

    /// Works on one account.
    pub fn one(
        &self,
        user: &str,
        one: impl FnOnce(&Teller<'_>, &Workers) -> Result<UserLine>,
    ) -> Result<UserLine> {
        let started = Instant::now();
        let teller = Teller::new(user, &self.watch);
        let result = one(&teller, &self.workers);
        match &result {
            Ok(line) => tracing::info!(
                user = line.user,
                messages = line.messages,
                bytes = line.bytes,
                findings = line.findings,
                seconds = line.seconds,
                "account done"
            ),
            Err(error) => self.tell_failure(error, &teller, started),
        }
        result
    }

    /// A user is on one side only; a store that cannot be opened there is the likelier cause than a wrong name.
    pub fn alone(&self, user: &str, rule: &'static Rule, broken: Option<Error>) {
        match broken {
            Some(why) => drop(self.one(user, |_, _| Err(why))),
            None => self.absent(user, rule),
        }
    }

    fn absent(&self, user: &str, rule: &'static Rule) {
        let teller = Teller::new(user, &self.watch);
        teller.found(Finding::new(rule, "no store on the other side"));
        let line = UserLine {
            status: Status::Attention,
            error: None,
            ..failed(user, String::new(), 0.0)
        };
        self.watch.on(Event::UserDone(&line));
    }

    /// A user was named who is on neither side.
    pub fn nowhere(&mut self, user: &str) {
        let teller = Teller::new(user, &self.watch);
        teller.found(Finding::new(&ACCOUNT_MISSING, "neither side has this user"));
        self.missing = true;
    }

    /// What to do next, where that is not the same for every run of the command.
    pub fn next(&mut self, next: Next) {
        self.watch.next(next);
    }

    /// Standard output is something else's.
    pub fn results_to_stderr(&mut self) {
        self.watch.results_to_stderr();
    }

    /// Says how it went.
    pub fn conclude(self, results: &[Result<UserLine>]) -> Exit {
        self.conclude_then(results, || ())
    }

    fn conclude_then(self, results: &[Result<UserLine>], then: impl FnOnce()) -> Exit {
        let failures: Vec<_> = results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .collect();
        let exit = self.exit(&failures, results.len());
        let summary = self.summary(exit);
        match (self.single, &failures[..]) {
            // A single account that failed has no results, only a reason.
            (true, [error]) => {
                self.watch.conclude_with_records_only(&summary);
                complain(error);
            }
            _ => self.watch.conclude(&summary),
        }
        if self.watch.lost() {
            say("error: ", "cannot write the results to standard output");
            return exit.max(Exit::IoError);
        }
        if self.watch.arrived() {
            then();
        }
        exit
    }

    fn tell_failure(&self, error: &Error, teller: &Teller<'_>, started: Instant) {
        if ends_the_run(error) {
            self.workers.stop.store(true, Ordering::Relaxed);
            self.ended_by()
                .get_or_insert_with(|| (Exit::of(error), error.chain()));
        }
        if !matches!(error, Error::Interrupted) {
            teller.found(Finding::new(&ACCOUNT_FAILED, error.chain()));
        }
        let seconds = started.elapsed().as_secs_f64();
        let why = match error {
            Error::Interrupted => format!("not finished: {}", self.why_it_ended()),
            // The only account's error is said on its own, with what to do.
            error => match error.help().filter(|_| !self.single) {
                Some(help) => format!("{}; {help}", error.chain()),
                None => error.chain(),
            },
        };
        self.watch
            .on(Event::UserDone(&failed(teller.user(), why, seconds)));
    }

    /// Accounts that had not begun when the run came to its end.
    fn tell_untried(&self, accounts: &[FoundAccount]) {
        let told: BTreeSet<_> = self
            .watch
            .users()
            .into_iter()
            .map(|line| line.user)
            .collect();
        for account in accounts.iter().filter(|it| !told.contains(&it.user)) {
            let line = UserLine {
                status: Status::Skipped,
                findings: 0,
                ..failed(
                    &account.user,
                    format!("not tried: {}", self.why_it_ended()),
                    0.0,
                )
            };
            self.watch.on(Event::UserDone(&line));
        }
    }

    fn ended_by(&self) -> MutexGuard<'_, Option<(Exit, String)>> {
        self.ended_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A signal gives no other reason.
    fn why_it_ended(&self) -> String {
        let ended_by = self.ended_by();
        let why = ended_by.as_ref().map(|(_, why)| why.clone());
        why.unwrap_or_else(|| Error::Interrupted.to_string())
    }

    /// A single account's error is the run's; among several, what all share, or 1.
    fn exit(&self, failures: &[&Error], accounts: usize) -> Exit {
        if let Some((exit, _)) = &*self.ended_by() {
            return *exit;
        }
        let codes: Vec<_> = failures.iter().map(|error| Exit::of(error)).collect();
        if let [first, rest @ ..] = &codes[..]
            && codes.len() == accounts
            && rest.iter().all(|code| code == first)
        {
            return *first;
        }
        if self.missing {
            Exit::NoInput
        } else if !failures.is_empty() || self.watch.attention() {
            Exit::Attention
        } else {
            Exit::Done
        }
    }

    fn summary(&self, exit: Exit) -> Summary {
        let lines = self.watch.users();
        let count = |wanted: &[Status]| {
            let matching = lines.iter().filter(|line| wanted.contains(&line.status));
            matching.count() as u64
        };
        let both = lines.iter().all(|line| line.digest.destination.is_some());
        let store = |side: fn(&UserLine) -> &str| {
            // Where no content was read, nothing is to be compared with.
            if lines.iter().all(|line| side(line).is_empty()) {
                return String::new();
            }
            merkle::store(lines.iter().map(|line| (line.user.as_str(), side(line))))
        };
        let destination = |line: &UserLine| line.digest.destination.is_some();
        Summary {
            command: self.command,
            verdict: if exit == Exit::Done {
                Verdict::Go
            } else {
                Verdict::NoGo
            },
            users: Users {
                total: lines.len() as u64,
                ok: count(&[Status::Ok, Status::Verified, Status::Unchanged]),
                attention: count(&[Status::Attention]),
                failed: count(&[Status::Failed, Status::Skipped]),
            },
            mailboxes: lines.iter().map(|line| line.mailboxes).sum(),
            messages: lines.iter().map(|line| line.messages).sum(),
            bytes: lines.iter().map(|line| line.bytes).sum(),
            findings: self.watch.findings(),
            differences: self.watch.differences(),
            digest: Digests {
                source: store(|line| &line.digest.source),
                destination: (both && lines.iter().any(destination))
                    .then(|| store(|line| line.digest.destination.as_deref().unwrap_or(""))),
            },
            not_compared: lines
                .iter()
                .flat_map(|line| line.not_compared.iter().cloned())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            seconds: self.started.elapsed().as_secs_f64(),
            exit_code: exit.code(),
        }
    }
}

/// What the next account would meet as well.
fn ends_the_run(error: &Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        // A tally is one stream: behind the break nothing can be told.
        Error::Interrupted
        | Error::Format {
            format: "tally", ..
        } => true,
        Error::Io { source, .. } => {
            matches!(
                source.kind(),
                StorageFull | QuotaExceeded | ReadOnlyFilesystem
            ) || source.raw_os_error() == Some(5) // EIO
        }
        _ => false,
    }
}

fn failed(user: &str, error: String, seconds: f64) -> UserLine {
    UserLine {
        findings: 1,
        seconds,
        error: Some(error),
        ..UserLine::new(user, Status::Failed)
    }
}
