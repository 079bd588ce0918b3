//! What a person reads: the verdict, then what is there, then what is wrong, worst first.

use std::collections::BTreeSet;

use mailtally::report::catalogue::{ACCOUNT_KEPT, ACCOUNT_REPAIR_UNDONE};
use mailtally::report::{
    QuotaStatus, Rule, Severity, Status, Summary, UserLine, Verdict, counted, escape,
};

mod differences;
mod findings;
mod next;
pub mod tables;
mod words;

use self::tables::Stands::{Broken, Number};
use super::watch::Heard;

pub use next::Next;
pub use words::{broken, bytes, hanging, of_account, place, whole};

/// How much is shown.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four switches of the command line, each on its own"
)]
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Only what is wrong.
    pub quiet: bool,
    /// All there is.
    pub verbose: bool,
    /// With colours.
    pub colours: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// Sentences are not wider.
    pub width: usize,
}

impl Shown {
    /// The table of mailboxes is what inspect is asked for; elsewhere it is asked for by `-v`.
    pub fn keeps_mailboxes(self, command: &str) -> bool {
        !self.quiet && (command == "inspect" || self.verbose)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn severity(self, severity: Severity) -> String {
        let colour = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "33",
            Severity::Info => "2",
        };
        self.paint(colour, severity.word())
    }

    /// What decides the exit code is shown in any case.
    fn wants_rule(self, command: &str, rule: &Rule) -> bool {
        let looks = matches!(command, "inspect" | "repair");
        self.wants(command, rule.severity) || (looks && rule.comes_before_a_server())
    }

    /// Notes are shown by inspect and by `-v`; the verdict counts them anyway.
    fn wants(self, command: &str, severity: Severity) -> bool {
        match severity {
            Severity::Error => true,
            Severity::Warning => !self.quiet,
            Severity::Info => {
                !self.quiet && (self.verbose || matches!(command, "inspect" | "quota"))
            }
        }
    }
}

/// The whole text.
pub fn show(
    command: &str,
    summary: &Summary,
    heard: &Heard,
    shown: Shown,
    next: Option<&Next>,
) -> String {
    let mut out = String::new();
    // What exits with more than 0 says so, and of what.
    if !shown.quiet || summary.exit_code != 0 {
        verdict(&mut out, command, summary, heard, shown);
    }
    super::quota::table(&mut out, &heard.quotas, shown);
    super::repair::steps(&mut out, &heard.steps, shown);
    if !shown.quiet && !heard.mailboxes.is_empty() {
        out.push('\n');
        mailboxes(&mut out, heard, shown.width);
    }
    failures(&mut out, heard, shown);
    let hidden = if command == "verify" {
        differences::by_place(&mut out, heard, shown)
    } else {
        differences::by_code(&mut out, heard, shown);
        0
    };
    findings::all(&mut out, command, heard, shown);
    if !shown.quiet {
        not_compared(&mut out, summary, shown);
        next::step(&mut out, command, summary, heard, shown);
        if let Some(next) = next {
            next.tell(&mut out, shown.width, summary.exit_code, hidden > 0);
        }
    }
    out
}

fn verdict(out: &mut String, command: &str, summary: &Summary, heard: &Heard, shown: Shown) {
    let word = match (command, summary.verdict) {
        ("inspect" | "quota" | "repair", Verdict::Go) => shown.paint("1;32", "SOUND"),
        ("inspect" | "manifest" | "quota" | "repair", Verdict::NoGo) => {
            shown.paint("1;31", "ATTENTION")
        }
        ("manifest", Verdict::Go) => shown.paint("1;32", "WRITTEN"),
        (_, Verdict::Go) => shown.paint("1;32", "GO"),
        (_, Verdict::NoGo) => shown.paint("1;31", "NO-GO"),
    };
    let in_time = |did: &str| whole(&format!("{did} in {:.1} s", summary.seconds));
    let text = if none_done(summary) {
        let did = in_time(nothing_done(command, heard, shown));
        format!("{}, {did}", accounts(summary))
    } else {
        format!(
            "{}, {}, {}, {} {}{}",
            accounts(summary),
            counted(summary.mailboxes, "mailbox"),
            counted(summary.messages, "message"),
            bytes(summary.bytes),
            in_time(did(command, summary, heard, shown)),
            left_too(command, heard),
        )
    };
    let word = format!("{word}{}: ", notices(command, heard, shown));
    hanging(out, shown.width, &word, 2, &text);
    if command != "quota" && !shown.quiet {
        digests(out, command, summary, heard, shown);
    }
}

/// What is worse than a note, in the verdict itself.
fn notices(command: &str, heard: &Heard, shown: Shown) -> String {
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning")];
    let wanted = |rule: &Rule| shown.wants_rule(command, rule);
    let counts =
        { counts.into_iter() }.map(|(severity, what)| (heard.count_of(severity, wanted), what));
    let told = counts.filter(|(count, _)| *count > 0);
    told.fold(String::new(), |text, (count, what)| {
        text + ", " + &counted(count, what)
    })
}

fn did(command: &str, summary: &Summary, heard: &Heard, shown: Shown) -> &'static str {
    match command {
        "convert" | "repair" if shown.dry_run => "read, nothing written",
        "convert" if !summary.differences.is_empty() => {
            "read back, and NOT put in place where they differ,"
        }
        "convert" if unread(heard) => "unchanged since the last pass, and not read again,",
        "convert" if left(heard) > 0 && left(heard) == done(heard) => as_left(heard),
        "convert" => "carried and proven",
        "quota" if shown.dry_run => "counted",
        "quota" => corrected(heard),
        "repair" if heard.knows(&ACCOUNT_REPAIR_UNDONE) => "taken back, and read again",
        "repair" if heard.steps.is_empty() => "read, nothing was to be done",
        "repair" => "repaired, and read again",
        "verify" if summary.exit_code == 0 => "the same on both sides, compared",
        "verify" => "compared",
        _ => "read",
    }
}

/// True where no account came to its end.
fn none_done(summary: &Summary) -> bool {
    summary.users.total == summary.users.failed
}

fn nothing_done(command: &str, heard: &Heard, shown: Shown) -> &'static str {
    match command {
        "repair" if heard.steps.iter().any(|step| step.done) => "repaired, and NOT read again,",
        "convert" | "repair" if shown.dry_run => "nothing read",
        "convert" => "nothing carried",
        "repair" => "nothing repaired",
        "quota" => "nothing counted",
        "verify" => "nothing compared",
        _ => "nothing read",
    }
}

/// What `quota --write` came to.
fn corrected(heard: &Heard) -> &'static str {
    let mut lines = heard.quotas.iter();
    let wrong = lines.clone().any(|line| line.status.is_wrong());
    let corrected = lines.any(|line| line.status == QuotaStatus::Corrected);
    match (corrected, wrong) {
        (true, false) => "counted, and corrected what was wrong,",
        (true, true) => "counted, and corrected what could be,",
        (false, true) => "counted, and NOT corrected,",
        (false, false) => "counted, nothing was to be corrected,",
    }
}

/// Accounts that came to their end.
fn done(heard: &Heard) -> usize {
    let done = |user: &&UserLine| user.error.is_none();
    heard.users.iter().filter(done).count()
}

/// True where nothing at all was read again.
fn unread(heard: &Heard) -> bool {
    let unchanged = |user: &&UserLine| user.status == Status::Unchanged;
    let unchanged = heard.users.iter().filter(unchanged).count();
    unchanged > 0 && unchanged == done(heard)
}

/// Accounts that a second pass of convert left as they were, whether it read their source again or not.
fn left(heard: &Heard) -> usize {
    let left = |user: &&UserLine| {
        user.error.is_none() && (user.status == Status::Unchanged || !user.not_compared.is_empty())
    };
    heard.users.iter().filter(left).count()
}

/// What became of these: a source that has lost mail is not as it was.
fn as_left(heard: &Heard) -> &'static str {
    if heard.knows(&ACCOUNT_KEPT) {
        "kept as an earlier pass made it,"
    } else {
        "unchanged since the last pass,"
    }
}

/// Where only some of the accounts were carried.
fn left_too(command: &str, heard: &Heard) -> String {
    match left(heard) {
        count if command == "convert" && (1..done(heard)).contains(&count) => {
            let accounts = counted(count as u64, "account");
            let as_left = as_left(heard).trim_end_matches(',');
            format!("; of them {accounts} {as_left}")
        }
        _ => String::new(),
    }
}

/// How many accounts were worked on, and of how many where some failed.
fn accounts(summary: &Summary) -> String {
    let users = &summary.users;
    match users.failed {
        0 => counted(users.total, "account"),
        failed => format!(
            "{} of {}",
            users.total - failed,
            counted(users.total, "account")
        ),
    }
}

fn digests(out: &mut String, command: &str, summary: &Summary, heard: &Heard, shown: Shown) {
    if none_done(summary) || summary.digest.source.is_empty() {
        return;
    }
    let mut tell = |digest: &str, what: &str| {
        let lead = format!("digest {digest} ");
        hanging(out, shown.width, &lead, "digest ".len(), &whole(what));
    };
    let source = &summary.digest.source;
    match &summary.digest.destination {
        Some(destination) if destination == source => tell(source, compared(command, heard)),
        Some(destination) => {
            tell(source, "at the source");
            tell(destination, "at the destination");
        }
        None => tell(source, ""),
    }
}

/// What is unchanged was compared at the last pass, and not since then.
fn compared(command: &str, heard: &Heard) -> &'static str {
    match left(heard) {
        count if command != "convert" || count == 0 => "on both sides",
        count if count == done(heard) => "as proven at the last pass",
        _ => "on both sides, of unchanged accounts as proven at the last pass",
    }
}

fn mailboxes(out: &mut String, heard: &Heard, width: usize) {
    let head = [
        ("user", Broken),
        ("mailbox", Broken),
        ("messages", Number),
        ("unseen", Number),
        ("size", Number),
        ("UIDVALIDITY", Number),
        ("UIDNEXT", Number),
    ];
    let from = usize::from(heard.users.len() <= 1);
    let mut lines: Vec<_> = heard.mailboxes.iter().collect();
    lines.sort_by_key(|line| of_account(&line.user, &line.mailbox));
    let rows = lines.into_iter().map(|line| {
        let row = [
            escape(line.user.as_bytes()),
            line.mailbox.clone(),
            line.messages.to_string(),
            line.unseen.to_string(),
            bytes(line.bytes),
            line.uidvalidity.to_string(),
            line.uidnext.to_string(),
        ];
        row.into_iter().skip(from).collect::<Vec<_>>()
    });
    tables::write(out, &head[from..], rows, width);
}

fn not_compared(out: &mut String, summary: &Summary, shown: Shown) {
    for (nth, what) in summary.not_compared.iter().enumerate() {
        if nth == 0 {
            out.push('\n');
        }
        hanging(out, shown.width, "not compared: ", 4, what);
    }
}

fn failures(out: &mut String, heard: &Heard, shown: Shown) {
    let mut failed: Vec<_> = heard.users.iter().collect();
    failed.retain(|user| user.error.is_some());
    failed.sort_by_key(|user| &user.user);
    let mut told = BTreeSet::new();
    for user in failed {
        let error = user.error.as_deref().unwrap_or_default();
        // What to do is said once, however many accounts have the same reason.
        let error = match error.split_once("; ") {
            Some((why, help)) if !told.insert(help) => why,
            _ => error,
        };
        let word = shown.paint("1;31", "failed");
        let name = match user.user.as_str() {
            "" => "account".to_owned(),
            name => escape(name.as_bytes()),
        };
        out.push('\n');
        hanging(out, shown.width, &format!("{word}  {name}: "), 8, error);
    }
}

#[cfg(test)]
mod tests;
