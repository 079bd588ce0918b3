//! What a person reads: the verdict, then what is there, then what is wrong, worst first.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use mailtally::report::catalogue::ACCOUNT_REPAIR_UNDONE;
use mailtally::report::{Severity, Status, Summary, Verdict, counted, escape};

mod differences;
mod findings;
mod next;
mod words;

use super::watch::Heard;

pub use next::Next;
pub use words::bytes;

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
    if !shown.quiet {
        verdict(&mut out, command, summary, heard, shown);
        if !heard.quotas.is_empty() {
            out.push('\n');
            super::quota::table(&mut out, &heard.quotas);
        }
        if !heard.steps.is_empty() {
            out.push('\n');
            super::repair::steps(&mut out, &heard.steps);
        }
        if !heard.mailboxes.is_empty() {
            out.push('\n');
            mailboxes(&mut out, heard);
        }
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
        not_compared(&mut out, summary);
        next::step(&mut out, command, summary, heard, shown);
        if let Some(next) = next {
            next.tell(&mut out, summary.exit_code, hidden > 0);
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
    let unchanged = heard
        .users
        .iter()
        .filter(|user| user.status == Status::Unchanged)
        .count();
    let did = match command {
        "convert" | "repair" if shown.dry_run => "read, nothing written",
        "convert" if !summary.differences.is_empty() => {
            "read back, and NOT put in place where they differ,"
        }
        "convert" if unchanged > 0 && unchanged == heard.users.len() => {
            "unchanged since the last pass"
        }
        "convert" => "carried and proven",
        "quota" => "counted",
        "repair" if heard.knows(&ACCOUNT_REPAIR_UNDONE) => "taken back, and read again",
        "repair" if heard.steps.is_empty() => "read, nothing was to be done",
        "repair" => "repaired, and read again",
        "verify" if summary.exit_code == 0 => "the same on both sides, compared",
        "verify" => "compared",
        _ => "read",
    };
    let _ = writeln!(
        out,
        "{word}: {}, {}, {}, {} {did} in {:.1} s",
        accounts(summary),
        counted(summary.mailboxes, "mailbox"),
        counted(summary.messages, "message"),
        bytes(summary.bytes),
        summary.seconds,
    );
    if command != "quota" {
        digests(out, summary);
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

fn digests(out: &mut String, summary: &Summary) {
    let nothing_read = summary.users.total == summary.users.failed;
    if nothing_read || summary.digest.source.is_empty() {
        return;
    }
    let source = &summary.digest.source;
    match &summary.digest.destination {
        Some(destination) if destination == source => {
            let _ = writeln!(out, "digest {source} on both sides");
        }
        Some(destination) => {
            let _ = writeln!(out, "digest of the source      {source}");
            let _ = writeln!(out, "digest of the destination {destination}");
        }
        None => {
            let _ = writeln!(out, "digest {source}");
        }
    }
}

fn mailboxes(out: &mut String, heard: &Heard) {
    let users = heard.users.len() > 1;
    let mut table = Table::new();
    table.load_style(NOTHING);
    let mut head = vec![
        "mailbox",
        "messages",
        "unseen",
        "size",
        "UIDVALIDITY",
        "UIDNEXT",
    ];
    if users {
        head.insert(0, "user");
    }
    let numbers_from = head.len() - 5;
    table.set_header(&head);
    for line in &heard.mailboxes {
        let mut row = vec![
            line.mailbox.clone(),
            line.messages.to_string(),
            line.unseen.to_string(),
            bytes(line.bytes),
            line.uidvalidity.to_string(),
            line.uidnext.to_string(),
        ];
        if users {
            row.insert(0, escape(line.user.as_bytes()));
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(numbers_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in table.lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn not_compared(out: &mut String, summary: &Summary) {
    for (nth, what) in summary.not_compared.iter().enumerate() {
        let lead = if nth == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{lead}not compared: {what}");
    }
}

fn failures(out: &mut String, heard: &Heard, shown: Shown) {
    for user in heard.users.iter().filter(|user| user.error.is_some()) {
        let error = user.error.as_deref().unwrap_or_default();
        let word = shown.paint("1;31", "failed");
        let name = match user.user.as_str() {
            "" => "account".to_owned(),
            name => escape(name.as_bytes()),
        };
        let _ = writeln!(out, "\n{word}  {name}: {error}");
    }
}
