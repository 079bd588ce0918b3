//! Makes a destination hold the same mail as a source, in its own format, and proves it.
//!
//! ```text
//! look at the destination --> build beside it --> read back and compare --> sync --> rename
//!    not ours: stop              carry              prove; a first sync      staging
//! ```

use std::time::Instant;

use super::carry::{self, CarriedMailbox};
use super::left_behind::{self, LeftBehind};
use super::load::Load;
use super::loss::Pass;
use super::needed::Needed;
use super::plan_keywords::KeywordPlan;
use super::prove::{self, Pair};
use super::staging::{Earlier, Previous, Staging, Target};
use super::teller::Teller;
use super::together::Together;
use super::users::Place;
use super::workers::Workers;
use super::{plan_names, repair, rfc3339, scripts};
use crate::digest::{Digest, hex, merkle};
use crate::disk::{Dir, Owner};
use crate::error::{Error, Result};
use crate::format::tally::{AccountLine, AccountPrint, Head, StateWriter};
use crate::format::writing::Writing;
use crate::format::{OpenOptions, Room};
use crate::model::{Account, Mailbox, MailboxName};
use crate::report::catalogue as rules;
use crate::report::{Digests, Event, Finding, MailboxLine, Status, UserLine, counted, escape};
use crate::store::{CreateOptions, Destination, Form, Holds, MailboxSource, Source};

/// Names of mailboxes that have room in a head line.
const LONGEST_NAMES: usize = 128 * 1024;

/// Of an account that is the same as at the last pass, and that needed a person then.
const AS_LEFT: &str =
    "the destination: the source is as at the last pass, and the destination was not read again";

/// Of an account that an earlier pass made, and that the source has less than.
const AS_KEPT: &str =
    "the destination: it is kept as an earlier pass left it, and was not read again";

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
    let before = target.totals();
    let same = as_it_was_left(&job, &target, options, workers)?;
    let mut open = job.open.again()?;
    open.uidnext_before = match &same {
        Some(head) => head.made_up_from.clone(),
        None => target.uidnext_before(),
    };
    open.earlier = target.earlier()?;
    let found = &mut |finding| teller.found(finding);
    repair::tell_begun(job.from, &job.source, &open, teller);
    let source = (job.from.open)(job.source.again()?, &open, found)?;
    teller.started(|| source.estimate());
    let stamp = hex(&source.stamp()?);
    let path = path_of(source.as_ref());
    let is_moved = target.is_moved(job.user, &path, || inbox_of(source.as_ref()))?;
    if let (true, Previous::Ours(head, _)) = (is_moved, &target.previous) {
        let detail = format!("{}, at the last pass {}", path, head.source);
        teller.found(Finding::new(&rules::ACCOUNT_ELSEWHERE, detail));
    }
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
    let mut run = Run::new(
        &job,
        (source.as_ref(), &open),
        stamp,
        options,
        teller,
        workers,
    );
    if same.is_none() {
        run.earlier = target.made_before(is_moved)?;
    }
    run.tell_account();
    let is_new = matches!(target.previous, Previous::Nothing);
    let (mut line, built) = if same.is_some() {
        // What needed a person the last time still does: it is read and said again, not written.
        (run.dry(|_| ())?, None)
    } else if options.dry_run {
        (run.dry(|all| run.tell_space(&job, is_new, all))?, None)
    } else {
        run.convert(target)?
    };
    drop(source); // nothing of it is held while another account is worked on
    if let Some(staging) = built {
        workers.aside(|| staging.publish(job.to))?;
    }
    tell_fewer(before, &line, teller);
    if let Some(head) = same {
        line.digest.destination = Some(head.digest);
        line.not_compared.push(AS_LEFT.into());
    }
    let counts = teller.counts();
    line.findings = counts.all_findings();
    line.differences = counts.all_differences();
    if counts.attention {
        line.status = Status::Attention;
    }
    line.seconds = started.elapsed().as_secs_f64();
    teller.watch().on(Event::UserDone(&line));
    Ok(line)
}

/// The state of an account that needed a person at the last pass and is still the same: what was mended
/// since then shows only when it is read again, since a date or a mode can be put back with it.
fn as_it_was_left(
    job: &Job<'_>,
    target: &Target<'_>,
    options: &Options,
    workers: &Workers,
) -> Result<Option<Head>> {
    let head = match &target.previous {
        Previous::Ours(head, _) if !head.clean => head,
        _ => return Ok(None),
    };
    let mut open = job.open.again()?;
    open.uidnext_before = head.made_up_from.clone();
    open.earlier = target.earlier()?;
    let source = (job.from.open)(job.source.again()?, &open, &mut |_| ())?;
    let stamp = hex(&source.stamp()?);
    if !target.is_made_of(&stamp, options) {
        return Ok(None);
    }
    let silent = Teller::new(job.user, &());
    let run = Run::new(
        job,
        (source.as_ref(), &open),
        stamp,
        options,
        &silent,
        workers,
    );
    let line = run.dry(|_| ())?;
    Ok((line.digest.source == head.digest).then(|| Head::clone(head)))
}

/// Says that much is gone since the last pass: it may be the wrong source, or a part of it.
fn tell_fewer(before: Option<(u64, u64)>, line: &UserLine, teller: &Teller<'_>) {
    let Some((mailboxes, messages)) = before else {
        return;
    };
    if line.mailboxes < mailboxes || line.messages < messages - messages / 10 {
        let detail = format!(
            "{} and {}, at the last pass {} and {}",
            counted(line.mailboxes, "mailbox"),
            counted(line.messages, "message"),
            counted(mailboxes, "mailbox"),
            counted(messages, "message")
        );
        teller.found(Finding::new(&rules::ACCOUNT_FEWER, detail));
    }
}

/// Where a source lies.
fn path_of(source: &dyn Source) -> String {
    let path = source.root().path();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    escape(path.as_os_str().as_encoded_bytes())
}

/// What an account's INBOX is known by, wherever it lies.
fn inbox_of(source: &dyn Source) -> String {
    let inbox = source.mailboxes().iter().position(MailboxName::is_inbox);
    let inbox = inbox.and_then(|nth| source.mailbox(nth, &mut |_| ()).ok());
    inbox.map_or_else(String::new, |inbox| identity(inbox.mailbox()))
}

fn identity(mailbox: &Mailbox) -> String {
    format!("{} {}", mailbox.uidvalidity, mailbox.guid)
}

/// Nothing has changed on either side: what the last pass said holds.
fn unchanged(
    teller: &Teller<'_>,
    head: &Head,
    mailboxes: &[MailboxLine],
    started: Instant,
) -> UserLine {
    for mailbox in mailboxes {
        teller.watch().on(Event::MailboxDone(mailbox));
    }
    let counts = teller.counts();
    let line = UserLine {
        mailboxes: mailboxes.len() as u64,
        messages: mailboxes.iter().map(|mailbox| mailbox.messages).sum(),
        bytes: mailboxes.iter().map(|mailbox| mailbox.bytes).sum(),
        findings: counts.all_findings(),
        digest: Digests {
            source: head.digest.clone(),
            destination: Some(head.digest.clone()),
        },
        seconds: started.elapsed().as_secs_f64(),
        ..UserLine::new(teller.user(), Status::Unchanged)
    };
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

    /// True where less would take the place of what an earlier pass made, though nobody deleted the rest.
    fn loses(&self, carried: &[(usize, CarriedMailbox)]) -> Result<bool> {
        let Some(earlier) = self.earlier.as_ref().filter(|_| !self.options.accept_loss) else {
            return Ok(false);
        };
        let form = OpenOptions::of(&self.options.form);
        let copy = (self.to.open)(earlier.dir.again()?, &form, &mut |_| ()).ok();
        let pass = Pass {
            earlier: &earlier.dir,
            copy: copy.as_deref(),
            source: self.source,
            names: &self.names,
            carried: { selectable(carried) }
                .map(|it| (it.line.mailbox.as_str(), it))
                .collect(),
            counts: &self.teller.counts(),
            is_moved: earlier.is_moved,
        };
        let Some(loss) = pass.loss()? else {
            return Ok(false);
        };
        if earlier.is_moved {
            return Err(earlier.of_another(&loss));
        }
        self.teller.found(Finding::new(&rules::ACCOUNT_KEPT, loss));
        Ok(true)
    }

    /// Of what takes the place of an earlier copy, no more than that copy stays.
    fn tell_space(&self, job: &Job<'_>, is_new: bool, carried: &[(usize, CarriedMailbox)]) {
        let there = job.destination.nearest();
        let there = there.and_then(|dir| Ok((dir.own_stat()?.id.0, dir.space()?)));
        let Ok((device, space)) = there else {
            return;
        };
        let mailboxes = selectable(carried);
        let needed = Needed::nothing(space.block).by_account(
            self.source.account(),
            mailboxes.map(|mailbox| mailbox.messages.iter().map(|message| message.size)),
            &self.to.takes,
            &self.options.form,
        );
        if !needed.fits(&space) {
            let detail = format!("needs {}", needed.against(&space));
            self.teller
                .found(Finding::new(&rules::ACCOUNT_SPACE, detail));
        }
        if is_new {
            job.together.add(device, needed, space);
        }
    }

    /// Builds the account beside its place. What comes with its line is to be published.
    fn convert<'t>(&self, target: Target<'t>) -> Result<(UserLine, Option<Staging<'t>>)> {
        let (owner, mode) = self.ownership()?;
        let staging = target.begin()?;
        let done = self.build(&staging, owner, mode);
        match done {
            Ok(line) if line.digest.destination.is_none() => {
                staging.abandon();
                Ok((self.kept(line), None))
            }
            Ok(line) if self.teller.counts().all_differences() > 0 => {
                // What does not read back as it was written is nobody's store.
                staging.abandon();
                Ok((line, None))
            }
            Ok(line) => Ok((line, Some(staging))),
            Err(error) => {
                staging.abandon();
                Err(error)
            }
        }
    }

    /// The account that an earlier pass made stays in its place.
    fn kept(&self, mut line: UserLine) -> UserLine {
        line.digest.destination = self.earlier.as_ref().map(|it| it.digest.clone());
        line.not_compared.push(AS_KEPT.into());
        line
    }

    /// Who the destination belongs to, where that is not this process anyway; and its mode.
    fn ownership(&self) -> Result<(Option<Owner>, u32)> {
        let stat = self.source.root().own_stat()?;
        let this = Owner::of_this_process();
        let theirs = Owner {
            uid: stat.uid,
            gid: stat.gid,
        };
        let wanted = self.options.owner.unwrap_or(theirs);
        let mode = (stat.mode & 0o2777) | 0o700;
        if wanted == this {
            return Ok((None, mode));
        }
        if this.uid == 0 || self.options.owner.is_some() {
            return Ok((Some(wanted), mode));
        }
        if wanted.uid != this.uid {
            let detail = format!(
                "source is of {}:{}, this run of {}",
                wanted.uid, wanted.gid, this.uid
            );
            self.teller
                .found(Finding::new(&rules::ACCOUNT_OWNER, detail));
        }
        Ok((None, mode))
    }

    /// Without a digest of the destination where it is not to take its place.
    fn build(&self, staging: &Staging<'_>, owner: Option<Owner>, mode: u32) -> Result<UserLine> {
        let create = self.to.create.ok_or_else(|| Error::Usage {
            what: format!("{} cannot be written", self.to.name),
            help: "choose another destination format".into(),
        })?;
        let options = CreateOptions {
            now: self.options.now,
            owner,
            mode,
            form: self.options.form,
        };
        let destination = create(staging.dir.again()?, &options)?;
        let carried = self.carry(destination.as_ref())?;
        self.tell_change();
        if self.loses(&carried)? {
            let sums: Vec<_> = selectable(&carried).map(sum).collect();
            return Ok(self.line(&sums, None));
        }
        let last = carried
            .iter()
            .map(|(_, carried)| carried.line.uidvalidity)
            .max();
        let account = self.account(last.unwrap_or(0));
        destination.finish(&account)?;
        drop(destination);
        let bytes = carried.iter().map(|(_, carried)| carried.line.bytes).sum();
        let prove = || self.prove(staging, &account, &carried, &options);
        let line = staging.while_it_is_written(bytes, prove)?;
        if let Some(owner) = owner {
            staging.dir.give_self(owner)?;
        }
        if mode != 0o700 {
            staging.dir.set_own_mode(mode)?;
        }
        Ok(line)
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

    fn carry(&self, destination: &dyn Destination) -> Result<Vec<(usize, CarriedMailbox)>> {
        let mut all = Vec::new();
        self.each_mailbox(|nth, name, source| {
            let load = self.load(source, name);
            let renamed = Mailbox {
                name: name.clone(),
                keywords: load.keywords.names.clone(),
                ..source.mailbox().clone()
            };
            let writer = Some(destination.mailbox(&renamed)?);
            let carried = carry::mailbox(source, name, writer, load, self.teller, self.workers)?;
            all.push((nth, carried));
            Ok(())
        })?;
        Ok(all)
    }

    /// Reads the destination back as any store is read, and leaves the state of this pass in it.
    fn prove(
        &self,
        staging: &Staging<'_>,
        account: &Account,
        carried: &[(usize, CarriedMailbox)],
        options: &CreateOptions,
    ) -> Result<UserLine> {
        let open = OpenOptions {
            now: i64::from(self.options.now),
            ..OpenOptions::of(&self.options.form)
        };
        let dir = staging.dir.again()?;
        let read = (self.to.open)(dir, &open, &mut |finding| self.teller.found(finding))?;
        prove::account(account, read.account(), &self.holds, self.teller);
        let names: Vec<_> = carried
            .iter()
            .map(|(nth, _)| self.names[*nth].clone())
            .collect();
        let places = prove::mailboxes(&names, read.as_ref(), &self.holds, self.teller);
        let mut state = self.begin_state(staging, read.as_ref(), carried, options)?;
        let mut digests = Vec::new();
        for (((nth, carried), name), place) in carried.iter().zip(&names).zip(places) {
            let Some(place) = place else { continue };
            let back = read.mailbox(place, &mut |finding| self.teller.found(finding))?;
            let pair = Pair::new(self.source, *nth, name, carried);
            let digest =
                prove::mailbox(&pair, back.as_ref(), &mut state, self.teller, self.workers)?;
            if carried.mailbox.selectable {
                digests.push(digest);
                self.teller.watch().on(Event::MailboxDone(&carried.line));
            }
        }
        state.finish()?;
        let sums: Vec<_> = selectable(carried).map(sum).collect();
        Ok(self.line(&sums, Some(&merkle::account(&digests))))
    }

    fn begin_state(
        &self,
        staging: &Staging<'_>,
        read: &dyn Source,
        carried: &[(usize, CarriedMailbox)],
        options: &CreateOptions,
    ) -> Result<StateWriter> {
        let digest = account_digest(selectable(carried));
        let created = rfc3339(i64::from(self.options.now));
        let mut head = Head::new(created, self.to.name, hex(&digest));
        head.user = self.teller.user().into();
        head.source.clone_from(&self.path);
        head.form = self.options.form.text();
        let inbox = carried.iter().map(|(_, carried)| &carried.mailbox);
        let inbox = inbox.into_iter().find(|mailbox| mailbox.name.is_inbox());
        head.inbox = inbox.map_or_else(String::new, identity);
        head.source_stamp.clone_from(&self.stamp);
        head.destination_stamp = hex(&read.stamp()?);
        head.clean = !self.teller.counts().attention;
        // A head line has its limits; an account beyond them is only made anew more often.
        let names: usize = self.open.uidnext_before.keys().map(String::len).sum();
        if !head.clean && names < LONGEST_NAMES {
            head.made_up_from.clone_from(&self.open.uidnext_before);
        }
        let mut state = StateWriter::create(&staging.dir, &Writing::new(options))?;
        state.line(&head)?;
        let user = head.user.clone();
        let print = AccountPrint::of(read.account());
        state.line(&AccountLine { user, print })?;
        Ok(state)
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

fn account_digest<'a>(mailboxes: impl Iterator<Item = &'a CarriedMailbox>) -> Digest {
    let digests: Vec<_> = mailboxes.map(|carried| carried.digest).collect();
    merkle::account(&digests)
}
