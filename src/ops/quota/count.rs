//! Counts the messages of an account, and compares what is kept with them.

use std::time::Instant;

use super::kept::Kept;
use crate::digest::Measured;
use crate::error::Result;
use crate::format::StoredUsage;
use crate::model::MailboxName;
use crate::ops::teller::Teller;
use crate::ops::workers::Workers;
use crate::report::catalogue as rules;
use crate::report::{
    Event, Finding, Limits, QuotaLine, QuotaStatus, Rule, Severity, Status, Usage, UserLine,
    counted,
};
use crate::store::{BelievedUsage, MailboxSource, Source, StoreError, Stored};

/// What an account adds up to.
pub(super) struct Count<'a> {
    teller: &'a Teller<'a>,
    workers: &'a Workers,
    mailboxes: u64,
    plain: Usage,
    virtual_bytes: i128,
    /// What indexes say, and what was counted where they say nothing.
    believed: Usage,
    /// Some index says something.
    kept: bool,
    /// Mailboxes whose index says something else than its messages do, and what it should say.
    wrong: Vec<(usize, BelievedUsage)>,
    /// Nothing was left out: only such a sum is written.
    complete: bool,
}

/// One message: UID, bytes, bytes with CRLF line ends.
type Measures = (u32, u64, u64);

impl<'a> Count<'a> {
    pub fn new(teller: &'a Teller<'a>, workers: &'a Workers) -> Self {
        Self {
            teller,
            workers,
            mailboxes: 0,
            plain: Usage::default(),
            virtual_bytes: 0,
            believed: Usage::default(),
            kept: false,
            wrong: Vec::new(),
            complete: true,
        }
    }

    /// Of what cannot be read the sum knows nothing.
    fn left_out(&mut self, finding: Finding) {
        self.complete = false;
        self.teller.found(finding);
    }

    /// Counts all that can be read.
    pub fn mailboxes(&mut self, source: &dyn Source) -> Result<()> {
        for (nth, name) in source.mailboxes().iter().enumerate() {
            self.workers.go_on()?;
            let mut unread = Vec::new();
            let opened = source.mailbox(nth, &mut |finding| {
                if finding.severity() == Severity::Error {
                    unread.push(finding);
                }
            });
            for finding in unread {
                self.left_out(finding);
            }
            match opened {
                Ok(mailbox) if mailbox.mailbox().selectable => {
                    self.mailbox(nth, name, mailbox.as_ref())?;
                }
                Ok(_) => {}
                Err(error) => {
                    let finding = Finding::new(&rules::MAILBOX_UNREADABLE, error.chain());
                    self.left_out(finding.mailbox(name));
                }
            }
        }
        Ok(())
    }

    fn mailbox(
        &mut self,
        nth: usize,
        name: &MailboxName,
        mailbox: &dyn MailboxSource,
    ) -> Result<()> {
        let mut all = Vec::with_capacity(mailbox.len());
        self.workers.in_batches(
            mailbox.len(),
            |nth| measure(mailbox, nth),
            |_, measured| {
                let (message, damage) = measured;
                all.extend(message);
                if let Some(finding) = damage {
                    self.left_out(*finding);
                }
                Ok(())
            },
        )?;
        self.mailboxes += 1;
        let (virtual_bytes, messages) = sum(&all, |_| true);
        let bytes = all
            .iter()
            .map(|message| i128::from(message.1))
            .sum::<i128>();
        self.plain.bytes += bytes;
        self.plain.messages += messages;
        self.virtual_bytes += virtual_bytes;
        if !self.is_believed(name, &all, mailbox.believed_usage()) {
            self.wrong.push((nth, usage_of(&all)));
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let messages = all.len() as u64;
        self.teller.watch().on(Event::Copied { messages, bytes });
        Ok(())
    }

    /// A server adds what came after the highest UID that it has counted. False where the index is wrong.
    fn is_believed(
        &mut self,
        name: &MailboxName,
        all: &[Measures],
        believed: Option<BelievedUsage>,
    ) -> bool {
        let highest = believed.map_or(0, |believed| believed.highest_uid);
        let (bytes, messages) = sum(all, |uid| uid > highest);
        self.believed.bytes += bytes;
        self.believed.messages += messages;
        let Some(believed) = believed else {
            return true;
        };
        self.kept = true;
        let (told_bytes, told) = (
            i128::from(believed.virtual_bytes),
            i128::from(believed.messages),
        );
        self.believed.bytes += told_bytes;
        self.believed.messages += told;
        let (bytes, messages) = sum(all, |uid| uid <= highest);
        if (bytes, messages) == (told_bytes, told) {
            return true;
        }
        let detail = format!(
            "it says {}, {} up to uid {highest}; the count is {}, {}",
            counted(told_bytes, "virtual byte"),
            counted(told, "message"),
            counted(bytes, "virtual byte"),
            counted(messages, "message"),
        );
        let finding = Finding::new(&rules::QUOTA_VSIZE, detail);
        self.teller.found(finding.mailbox(name));
        false
    }

    /// Why its sum is not written: only one of which nothing was left out is.
    pub fn gap(&self) -> Option<&'static str> {
        (!self.complete).then_some(
            "what could not be read is missing in the count; do first what is said of it below",
        )
    }

    /// Mailboxes whose index says something else than its messages do, and what it should say.
    pub fn wrong_indexes(&self) -> &[(usize, BelievedUsage)] {
        &self.wrong
    }

    fn line(&self, root: &'static str, status: QuotaStatus, counted: Usage) -> QuotaLine {
        QuotaLine {
            user: self.teller.user().into(),
            root,
            status,
            counted,
            stored: None,
            limits: None,
            not_written: None,
        }
    }

    fn virtual_usage(&self) -> Usage {
        Usage {
            bytes: self.virtual_bytes,
            messages: self.plain.messages,
        }
    }

    /// What the indexes add up to.
    pub fn of_indexes(&self) -> QuotaLine {
        let status = match (self.kept, self.wrong.is_empty()) {
            (false, _) => QuotaStatus::None,
            (true, true) => QuotaStatus::Ok,
            (true, false) => QuotaStatus::Stale,
        };
        QuotaLine {
            stored: self.kept.then_some(self.believed),
            ..self.line("count", status, self.virtual_usage())
        }
    }

    /// What a file says, where it is there.
    pub fn of_file(&self, kept: &Kept<'_>, vsizes: bool) -> Result<Option<QuotaLine>> {
        let read = match kept.read() {
            Ok(None) => {
                self.tell_missing_dict(kept);
                return Ok(None);
            }
            Ok(Some(read)) => read,
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::InvalidData) => {
                StoredUsage::default()
            }
            Err(error) => return Err(error),
        };
        let real = if vsizes {
            self.virtual_usage()
        } else {
            self.plain
        };
        let stored = read.used.map(|(bytes, messages)| Usage {
            bytes: bytes.into(),
            messages: messages.into(),
        });
        let (status, rule) = match judge(stored, real) {
            _ if read.has_no_limits => (QuotaStatus::Broken, Some(&rules::QUOTA_BROKEN)),
            judged => judged,
        };
        let of_dict = matches!(kept, Kept::Dict(_)).then_some(&rules::QUOTA_DICT);
        if let Some(rule) = rule.map(|rule| of_dict.unwrap_or(rule)) {
            let mut detail = format!(
                "it says {}; the count is {}",
                told(stored),
                told(Some(real))
            );
            if read.has_no_limits {
                detail += "; ";
                detail += StoredUsage::NO_LIMITS;
            }
            self.teller
                .found(Finding::new(rule, detail).path(kept.path()));
        }
        let limits = Limits {
            bytes: read.limits.bytes,
            messages: read.limits.messages,
        };
        let any = limits.bytes.is_some() || limits.messages.is_some();
        Ok(Some(QuotaLine {
            stored,
            limits: any.then_some(limits),
            ..self.line(kept.name(), status, real)
        }))
    }

    /// A Maildir may do without maildirsize; a file that was named is looked for.
    fn tell_missing_dict(&self, kept: &Kept<'_>) {
        if let Kept::Dict(_) = kept {
            let finding = Finding::new(&rules::QUOTA_DICT_MISSING, "it is not there");
            self.teller.found(finding.path(kept.path()));
        }
    }

    /// Tells the lines, and how the account ended.
    pub fn finish(&self, lines: &[QuotaLine], started: Instant) -> UserLine {
        for line in lines {
            self.teller.watch().on(Event::Counted(line));
        }
        let counts = self.teller.counts();
        let attention = counts.attention || lines.iter().any(|line| line.status.is_wrong());
        let number = |count: i128| u64::try_from(count).unwrap_or(u64::MAX);
        let status = if attention {
            Status::Attention
        } else {
            Status::Ok
        };
        let line = UserLine {
            mailboxes: self.mailboxes,
            messages: number(self.plain.messages),
            bytes: number(self.plain.bytes),
            findings: counts.all_findings(),
            seconds: started.elapsed().as_secs_f64(),
            ..UserLine::new(self.teller.user(), status)
        };
        self.teller.watch().on(Event::UserDone(&line));
        line
    }
}

fn told(usage: Option<Usage>) -> String {
    usage.map_or_else(
        || "nothing that can be read".into(),
        |usage| {
            let messages = counted(usage.messages, "message");
            format!("{}, {messages}", counted(usage.bytes, "byte"))
        },
    )
}

/// What a stored usage is against the real one.
fn judge(stored: Option<Usage>, real: Usage) -> (QuotaStatus, Option<&'static Rule>) {
    const WIDTH: i128 = 1 << 32;
    match stored {
        Some(stored) if stored == real => (QuotaStatus::Ok, None),
        Some(stored) if stored.bytes != real.bytes && (real.bytes - stored.bytes) % WIDTH == 0 => {
            (QuotaStatus::Wrapped, Some(&rules::QUOTA_WRAPPED))
        }
        Some(stored) if stored.bytes >= 0 && stored.messages >= 0 => {
            (QuotaStatus::Stale, Some(&rules::QUOTA_STALE))
        }
        _ => (QuotaStatus::Broken, Some(&rules::QUOTA_BROKEN)),
    }
}

/// What an index of these messages should say.
fn usage_of(all: &[Measures]) -> BelievedUsage {
    let (bytes, messages) = sum(all, |_| true);
    BelievedUsage {
        virtual_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        messages: u32::try_from(messages).unwrap_or(u32::MAX),
        highest_uid: all.iter().map(|message| message.0).max().unwrap_or(0),
    }
}

/// Virtual bytes and messages of those UIDs.
fn sum(all: &[Measures], of: impl Fn(u32) -> bool) -> (i128, i128) {
    let chosen = all.iter().filter(|message| of(message.0));
    chosen.fold((0, 0), |(bytes, messages), message| {
        (bytes + i128::from(message.2), messages + 1)
    })
}

thread_local! {
    static SCRATCH: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// What could be read of a message, and what is wrong with it. Ciphertext counts with the sizes that it has when
/// it is read, as its server counts it.
fn measure(mailbox: &dyn MailboxSource, nth: usize) -> (Option<Measures>, Option<Box<Finding>>) {
    SCRATCH.with_borrow_mut(|scratch| {
        let opened = match mailbox.open(nth, scratch) {
            Ok(opened) => opened,
            Err(finding) => return (None, Some(finding)),
        };
        let (uid, sealed) = (opened.message.uid.get(), opened.message.sealed);
        match Measured::new(opened.body).store_nowhere() {
            Ok(Stored { damage, facts, .. }) => {
                let (size, virtual_size) = sealed.unwrap_or((facts.size, None));
                let measures = (uid, size, virtual_size.unwrap_or(facts.virtual_size));
                let broken = |error| Box::new(mailbox.broken(nth, &error, facts.size));
                (Some(measures), damage.map(broken))
            }
            Err(StoreError::Source { error, read }) => {
                (None, Some(Box::new(mailbox.broken(nth, &error, read))))
            }
            Err(_) => unreachable!("BUG: nothing was stored"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(bytes: i128, messages: i128) -> Usage {
        Usage { bytes, messages }
    }

    #[test]
    fn a_stored_usage_is_right_stale_wrapped_or_broken() {
        let real = usage(5_000_000_000, 10);
        for (stored, status, code) in [
            (Some(real), QuotaStatus::Ok, None),
            (Some(usage(7, 10)), QuotaStatus::Stale, Some("quota.stale")),
            (
                Some(usage(5_000_000_000 - (1 << 32), 10)),
                QuotaStatus::Wrapped,
                Some("quota.wrapped"),
            ),
            (
                Some(usage(5_000_000_000 - (2 << 32), 10)),
                QuotaStatus::Wrapped,
                Some("quota.wrapped"),
            ),
            (
                Some(usage(-5, 10)),
                QuotaStatus::Broken,
                Some("quota.broken"),
            ),
            (
                Some(usage(5, -1)),
                QuotaStatus::Broken,
                Some("quota.broken"),
            ),
            (None, QuotaStatus::Broken, Some("quota.broken")),
        ] {
            let (judged, rule) = judge(stored, real);
            assert_eq!((judged, rule.map(|rule| rule.code)), (status, code));
        }
    }

    #[test]
    fn only_what_a_server_has_counted_is_compared() {
        let all = [(1, 10, 11), (2, 20, 22), (9, 90, 99)];
        assert_eq!(sum(&all, |uid| uid <= 2), (33, 2));
        assert_eq!(sum(&all, |uid| uid > 2), (99, 1));
    }
}
