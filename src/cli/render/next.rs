//! What to do next.

use std::fmt::Write;

use mailtally::report::{Severity, Summary, counted};

use super::Shown;
use crate::cli::watch::Heard;

/// What to do next, where that is not the same for every run of the command.
#[derive(Debug, Clone)]
pub struct Next {
    /// After GO.
    pub go: String,
    /// After NO-GO.
    pub no_go: String,
    /// To see what was not shown.
    pub more: String,
}

impl Next {
    /// Says it.
    pub fn tell(&self, out: &mut String, exit_code: u8, hidden: bool) {
        if hidden {
            let _ = writeln!(out, "{}", self.more);
        }
        let next = match exit_code {
            0 => &self.go,
            1 => &self.no_go,
            _ => return,
        };
        let _ = writeln!(out, "{next}");
    }
}

/// How much was found, and what comes then.
pub fn step(out: &mut String, command: &str, summary: &Summary, heard: &Heard, shown: Shown) {
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
