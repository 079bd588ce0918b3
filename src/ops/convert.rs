//! Makes a destination hold the same mail as a source, in its own format, and proves it.
//!
//! ```text
//! look at the destination --> build beside it --> read back and compare --> sync --> rename
//!    not ours: stop              carry              prove; a first sync      staging
//!    as it was: `again`          `build`            `build`
//!                                lost at the source: `kept`
//! ```

mod again;
mod build;
mod kept;
mod space;
mod state;

use std::time::Instant;

use self::again::{said_again, unchanged};
use self::kept::tell_fewer;
use self::state::{inbox_of, path_of};
use super::altered::Altered;
use super::carry::{self, CarriedMailbox};
use super::left_behind::{self, LeftBehind};
use super::load::Load;
use super::plan_keywords::KeywordPlan;
use super::staging::{Earlier, Previous, Target};
use super::teller::Teller;
use super::together::Together;
use super::users::Place;
use super::workers::Workers;
use super::{plan_names, repair, scripts};
use crate::digest::{Digest, hex, merkle};
use crate::disk::{Dir, Owner};
use crate::error::Result;
use crate::format::{OpenOptions, Room};
use crate::model::{Account, MailboxName};
use crate::report::catalogue as rules;
use crate::report::{Digests, Event, Finding, Status, UserLine};
use crate::store::{Form, Holds, MailboxSource, Source};

/// What a conversion can be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Do all the reading and none of the writing.
    pub dry_run: bool,
    /// Who the destination is given to, in place of the source's owner.
    pub owner: Option<Owner>,
    /// The time that goes into new files.
    pub now: u32,
    /// The form of the destination.
    pub form: Form,
    /// Replace an account of an earlier pass although mail that it has is lost at the source.
    pub accept_loss: bool,
}

/// One account to convert.
pub struct Job<'a> {
    /// Its name; empty for a location without a variable.
    pub user: &'a str,
    /// The source's format.
    pub from: &'static Room,
    /// Where the source lies.
    pub source: Dir,
    /// What its location says beside the path.
    pub open: &'a OpenOptions,
    /// The destination's format.
    pub to: &'static Room,
    /// Where the destination is to be.
    pub destination: &'a Place,
    /// What the accounts of the run need, where nothing is written.
    pub together: &'a Together,
}

/// Converts one account.
#[expect(clippy::needless_pass_by_value, reason = "a job is done once")]
pub fn account(
    job: Job<'_>,
    options: &Options,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<UserLine> {
    let started = Instant::now();
    let target = Target::look(job.destination, job.to, &options.form)?;
    if let Some(line) = said_again(&job, &target, options, teller, workers)? {
        return Ok(finish(line, teller, started));
    }
    let before = target.totals();
    let mut open = job.open.again()?;
    open.uidnext_before = target.uidnext_before();
    open.earlier = target.earlier()?;
    let source = open_source(&job, &open, teller)?;
    teller.started(|| source.estimate());
    let stamp = hex(&source.stamp()?);
    let is_moved = tell_moved(&job, &target, source.as_ref(), teller)?;
    if let Previous::Ours(head, mailboxes) = &target.previous
        && target.is_made_of(&stamp, options)
    {
        if !options.dry_run {
            target.tidy()?;
        }
        if head.clean {
            return Ok(unchanged(teller, head, mailboxes, started));
        }
    }
    let opened = (source.as_ref(), &open);
    let mut run = Run::new(&job, opened, stamp, options, teller, workers);
    run.earlier = target.made_before(is_moved)?;
    run.tell_account();
    let is_new = matches!(target.previous, Previous::Nothing);
    let (line, built) = if options.dry_run {
        (run.dry(|all| run.tell_space(&job, is_new, all))?, None)
    } else {
        run.convert(target)?
    };
    drop(source); // nothing of it is held while another account is worked on
    if let Some(staging) = built {
        workers.aside(|| staging.publish(job.to))?;
    }
    tell_fewer(before, &line, teller);
    Ok(finish(line, teller, started))
}

fn open_source(job: &Job<'_>, open: &OpenOptions, teller: &Teller<'_>) -> Result<Box<dyn Source>> {
    repair::tell_begun(job.from, &job.source, open, teller);
    (job.from.open)(job.source.again()?, open, &mut |finding| {
        teller.found(finding);
    })
}

/// True where the source lies in another place than at the last pass, which is said.
fn tell_moved(
    job: &Job<'_>,
    target: &Target<'_>,
    source: &dyn Source,
    teller: &Teller<'_>,
) -> Result<bool> {
    let path = path_of(source);
    let is_moved = target.is_moved(job.user, &path, || inbox_of(source))?;
    if let (true, Previous::Ours(head, _)) = (is_moved, &target.previous) {
        let detail = format!("{}, at the last pass {}", path, head.source);
        teller.found(Finding::new(&rules::ACCOUNT_ELSEWHERE, detail));
    }
    Ok(is_moved)
}

/// The account's line, with all that was said of it.
fn finish(mut line: UserLine, teller: &Teller<'_>, started: Instant) -> UserLine {
    let counts = teller.counts();
    line.findings = counts.all_findings();
    line.differences = counts.all_differences();
    if counts.attention {
        line.status = Status::Attention;
    }
    line.seconds = started.elapsed().as_secs_f64();
    teller.watch().on(Event::UserDone(&line));
    line
}

struct Run<'a> {
    source: &'a dyn Source,
    /// How it was opened.
    open: &'a OpenOptions,
    from: &'static Room,
    to: &'static Room,
    /// What the destination has a place for, in the form that was chosen.
    holds: Holds,
    names: Vec<MailboxName>,
    stamp: String,
    path: String,
    options: &'a Options,
    teller: &'a Teller<'a>,
    workers: &'a Workers,
    altered: Altered,
    /// What an earlier pass made, which is not to be replaced by less.
    earlier: Option<Earlier>,
}

impl<'a> Run<'a> {
    fn new(
        job: &Job<'_>,
        (source, open): (&'a dyn Source, &'a OpenOptions),
        stamp: String,
        options: &'a Options,
        teller: &'a Teller<'a>,
        workers: &'a Workers,
    ) -> Self {
        let problem = |name: &MailboxName| (job.to.name_problem)(name, &options.form);
        let names = plan_names::plan(source.mailboxes(), &problem, &mut |finding| {
            teller.found(finding);
        });
        Self {
            path: path_of(source),
            source,
            open,
            from: job.from,
            to: job.to,
            holds: job.to.holds_in(&options.form),
            names,
            stamp,
            options,
            teller,
            workers,
            altered: Altered::of(&job.source, teller),
            earlier: None,
        }
    }
}

impl Run<'_> {
    /// What is said of the account as a whole.
    fn tell_account(&self) {
        for name in &self.source.account().subscriptions {
            if !self.source.mailboxes().contains(name) {
                let finding = Finding::new(&rules::SUBSCRIPTION_UNKNOWN, "kept").mailbox(name);
                self.teller.found(finding);
            }
        }
        let (from, to) = (&self.from.holds, &self.holds);
        let account = self.source.account();
        left_behind::tell_account(account, from, to, self.teller);
        scripts::fit(&account.sieve, to, &mut |finding| {
            self.teller.found(finding);
        });
    }

    /// A source that did not hold still: what came or moved meanwhile may be missing.
    fn tell_change(&self) {
        let now = self.source.stamp();
        if now.is_ok_and(|stamp| hex(&stamp) != self.stamp) {
            let detail = "messages, flags or folders are not as they were at the start";
            self.teller
                .found(Finding::new(&rules::ACCOUNT_CHANGED, detail));
        }
    }

    /// The account as the destination is to have it: names as they are there.
    fn account(&self, last_uidvalidity: u32) -> Account {
        let source = self.source.account();
        let renamed = |name: &MailboxName| {
            let nth = self
                .source
                .mailboxes()
                .iter()
                .position(|other| other == name);
            nth.map_or_else(|| name.clone(), |nth| self.names[nth].clone())
        };
        Account {
            subscriptions: source.subscriptions.iter().map(renamed).collect(),
            sieve: scripts::fit(&source.sieve, &self.holds, &mut |_| ()),
            quota: source.quota.filter(|_| self.holds.quota_limits),
            last_uidvalidity: source.last_uidvalidity.max(last_uidvalidity),
        }
    }

    /// What of a mailbox the destination has room for; what it has none for is said.
    fn load(&self, source: &dyn MailboxSource, name: &MailboxName) -> Load {
        let most = self.holds.keywords;
        let found = &mut |finding| self.teller.found(finding);
        Load {
            keywords: KeywordPlan::of(source, most, name, found),
            holds: self.holds,
        }
    }

    fn dry(&self, look: impl FnOnce(&[(usize, CarriedMailbox)])) -> Result<UserLine> {
        let mut all = Vec::new();
        self.each_mailbox(|nth, name, source| {
            let load = self.load(source, name);
            let carried = carry::mailbox(source, name, None, load, self.teller, self.workers)?;
            self.altered.tell(&carried, self.teller);
            if carried.mailbox.selectable {
                self.teller.watch().on(Event::MailboxDone(&carried.line));
                all.push((nth, carried));
            }
            Ok(())
        })?;
        let sums: Vec<_> = selectable(&all).map(sum).collect();
        look(&all);
        self.loses(&all)?;
        Ok(self.line(&sums, None))
    }

    /// Opens the mailboxes one after the other. One that cannot be opened is a finding, and so is one that
    /// the destination has no place for.
    fn each_mailbox(
        &self,
        mut each: impl FnMut(usize, &MailboxName, &dyn MailboxSource) -> Result<()>,
    ) -> Result<()> {
        let mut left = LeftBehind::default();
        for (nth, name) in self.names.iter().enumerate() {
            self.workers.go_on()?;
            let opened = self
                .source
                .mailbox(nth, &mut |finding| self.teller.found(finding));
            match opened {
                Ok(source) => {
                    if left.carries(source.mailbox(), name, &self.holds) {
                        each(nth, name, source.as_ref())?;
                    }
                }
                Err(error) => {
                    let finding = Finding::new(&rules::MAILBOX_UNREADABLE, error.chain());
                    self.teller.found(finding.mailbox(name));
                }
            }
        }
        left.tell(self.teller);
        Ok(())
    }

    fn line(&self, sums: &[MailboxSum], destination: Option<&Digest>) -> UserLine {
        let source = merkle::account(sums.iter().map(|sum| &sum.digest));
        let status = if destination.is_some() {
            Status::Verified
        } else {
            Status::Ok
        };
        UserLine {
            mailboxes: sums.len() as u64,
            messages: sums.iter().map(|sum| sum.messages).sum(),
            bytes: sums.iter().map(|sum| sum.bytes).sum(),
            digest: Digests {
                source: hex(&source),
                destination: destination.map(hex),
            },
            ..UserLine::new(self.teller.user(), status)
        }
    }
}

/// What is left of a mailbox for the account's line.
struct MailboxSum {
    messages: u64,
    bytes: u64,
    digest: Digest,
}

fn sum(carried: &CarriedMailbox) -> MailboxSum {
    MailboxSum {
        messages: carried.line.messages,
        bytes: carried.line.bytes,
        digest: carried.digest,
    }
}

fn selectable(carried: &[(usize, CarriedMailbox)]) -> impl Iterator<Item = &CarriedMailbox> {
    let all = carried.iter().map(|(_, carried)| carried);
    all.filter(|carried| carried.mailbox.selectable)
}
