//! What a person reads: the verdict, then what is there, then what is wrong, worst first.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use mailtally::report::{Finding, Severity, Status, Summary, Verdict, counted, escape};

use super::watch::Heard;

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
pub fn show(command: &str, summary: &Summary, heard: &Heard, shown: Shown) -> String {
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
    differences(&mut out, heard, shown);
    findings(&mut out, command, heard, shown);
    if !shown.quiet {
        next_step(&mut out, command, summary, heard, shown);
    }
    out
}

fn verdict(out: &mut String, command: &str, summary: &Summary, heard: &Heard, shown: Shown) {
    let word = match (command, summary.verdict) {
        ("inspect" | "quota" | "repair", Verdict::Go) => shown.paint("1;32", "SOUND"),
        ("inspect" | "quota" | "repair", Verdict::NoGo) => shown.paint("1;31", "ATTENTION"),
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
        "repair" if heard.steps.is_empty() => "read, nothing was to be done",
        "repair" => "repaired, and read again",
        _ => "read",
    };
    let _ = writeln!(
        out,
        "{word}: {}, {}, {}, {} {did} in {:.1} s",
        counted(summary.users.total, "account"),
        counted(summary.mailboxes, "mailbox"),
        counted(summary.messages, "message"),
        bytes(summary.bytes),
        summary.seconds,
    );
    if command != "quota" {
        digests(out, summary);
    }
}

fn digests(out: &mut String, summary: &Summary) {
    if summary.users.total == summary.users.failed {
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

fn differences(out: &mut String, heard: &Heard, shown: Shown) {
    for (code, (count, kept)) in &heard.differences {
        let word = shown.paint("1;31", "differs");
        let _ = writeln!(out, "\n{word}  {code}  ({count})");
        for difference in kept {
            let at = place(&difference.user, &difference.place.to_string());
            let (one, other) = (&difference.source, &difference.destination);
            let _ = writeln!(out, "    {at}: source {one}, destination {other}");
        }
        more(out, *count, kept.len());
    }
}

fn findings(out: &mut String, command: &str, heard: &Heard, shown: Shown) {
    for ((severity, code), (count, kept)) in &heard.findings {
        let Some(first) = kept.first().filter(|_| shown.wants(command, severity.0)) else {
            continue;
        };
        // A failed account was shown with its reason already.
        if *code == "account.failed" {
            continue;
        }
        let word = shown.severity(severity.0);
        let _ = writeln!(out, "\n{word}  {code}  ({count})");
        paragraph(out, "  ", first.rule.cause);
        if first.rule.remedy != "nothing" {
            paragraph(out, "  do: ", first.rule.remedy);
        }
        for finding in kept {
            one_finding(out, finding);
        }
        more(out, *count, kept.len());
    }
}

fn one_finding(out: &mut String, finding: &Finding) {
    let at = place(&finding.user, &finding.place.to_string());
    let separator = if at.is_empty() { "" } else { ": " };
    let _ = writeln!(out, "    {at}{separator}{}", finding.detail);
}

fn more(out: &mut String, count: u64, shown: usize) {
    let rest = count.saturating_sub(shown as u64);
    if rest > 0 {
        let _ = writeln!(out, "    ... and {rest} more (-v shows them)");
    }
}

fn place(user: &str, place: &str) -> String {
    let user = escape(user.as_bytes());
    match (user.is_empty(), place.is_empty()) {
        (true, _) => place.into(),
        (false, true) => user,
        (false, false) => format!("{user} {place}"),
    }
}

const WIDTH: usize = 96;

fn paragraph(out: &mut String, lead: &str, text: &str) {
    let mut line = lead.to_owned();
    let mut fresh = true;
    for word in text.split(' ') {
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(lead.len());
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    out.push_str(&line);
    out.push('\n');
}

fn next_step(out: &mut String, command: &str, summary: &Summary, heard: &Heard, shown: Shown) {
    let notes = |wanted: Severity| {
        let counts = heard
            .findings
            .iter()
            .filter(|((severity, _), _)| severity.0 == wanted);
        counts.map(|(_, (count, _))| count).sum::<u64>()
    };
    let (errors, warnings, infos) = (
        notes(Severity::Error),
        notes(Severity::Warning),
        notes(Severity::Info),
    );
    if errors + warnings + infos > 0 {
        let hidden = infos > 0 && !shown.wants(command, Severity::Info);
        let hint = if hidden { " (-v shows the notes)" } else { "" };
        let _ = writeln!(
            out,
            "\n{}, {}, {}{hint}",
            counted(errors, "error"),
            counted(warnings, "warning"),
            counted(infos, "note"),
        );
    }
    let next = match (command, summary.exit_code) {
        ("convert", 0) if shown.dry_run => "next: the same command without --dry-run",
        ("convert", 1) if shown.dry_run => {
            "next: look at what is listed above; all else can be carried"
        }
        ("convert", 1) if !summary.differences.is_empty() => {
            "next: run the same command again; what differs was not put in place"
        }
        ("convert", 0) => "next: open the destination with your server; run again any time",
        ("convert", 1) if summary.users.failed == 0 => {
            "next: look at what is listed above; all else is in place, carried and proven"
        }
        ("convert", 1) => "next: look at what is listed above, and run the same command again",
        ("repair", _) if shown.dry_run && !heard.steps.is_empty() => {
            "next: the same command without --dry-run"
        }
        ("repair", 1) if !heard.steps.is_empty() => {
            "next: look at what is listed above; repair --undo takes all of it back"
        }
        ("convert", 75) => "next: run the same command again; it is safe",
        _ => return,
    };
    let _ = writeln!(out, "{next}");
}

/// A size for people.
#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if size < 1000 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(bytes(12_345_678), "12.3 MB");
    }

    #[test]
    fn long_sentences_are_broken_at_words() {
        let mut out = String::new();
        paragraph(&mut out, "  do: ", &"word ".repeat(40));
        assert!(out.lines().all(|line| line.len() <= WIDTH));
        assert!(
            out.lines()
                .skip(1)
                .all(|line| line.starts_with("      word"))
        );
    }
}
