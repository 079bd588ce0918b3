//! What to do next.

use mailtally::report::catalogue::{
    ACCOUNT_READ_ONLY, ACCOUNT_REPAIR_UNDONE, INDEX_ELSEWHERE, MAILDIR_EMPTIED,
};
use mailtally::report::{Severity, Summary, counted};

use super::Shown;
use super::words::hanging;
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
    /// Says it, a line for each sentence.
    pub fn tell(&self, out: &mut String, width: usize, exit_code: u8, hidden: bool) {
        let more = hidden.then_some(&self.more);
        let next = match exit_code {
            0 => Some(&self.go),
            1 => Some(&self.no_go),
            _ => None,
        };
        for line in more.into_iter().chain(next).flat_map(|text| text.lines()) {
            hanging(out, width, "", 2, line);
        }
    }
}

const AGAIN: &str = "next: look at what is listed above, and run the same command again";

/// How much was found, and what comes then.
pub fn step(out: &mut String, command: &str, summary: &Summary, heard: &Heard, shown: Shown) {
    let [errors, warnings, infos] =
        [Severity::Error, Severity::Warning, Severity::Info].map(|severity| heard.count(severity));
    if errors + warnings + infos > 0 {
        let hidden = infos > 0 && !shown.wants(command, Severity::Info);
        let hint = if hidden { " (-v shows the notes)" } else { "" };
        let text = format!(
            "{}, {}, {}{hint}",
            counted(errors, "error"),
            counted(warnings, "warning"),
            counted(infos, "note"),
        );
        out.push('\n');
        hanging(out, shown.width, "", 2, &text);
    }
    let next = match (command, summary.exit_code) {
        ("convert", 0) if shown.dry_run => "next: the same command without --dry-run",
        ("convert", 1) if shown.dry_run && summary.users.failed == 0 => {
            "next: look at what is listed above; all else can be carried"
        }
        ("convert", 1) if !summary.differences.is_empty() => {
            "next: run the same command again; what differs was not put in place"
        }
        ("convert", 0) => "next: open the destination with your server; run again any time",
        ("convert", 1) if summary.users.failed == 0 => {
            "next: look at what is listed above; all else is in place, carried and proven"
        }
        ("convert", 1) => AGAIN,
        ("repair", _) if shown.dry_run && heard.knows(&INDEX_ELSEWHERE) => {
            "next: name the directory of the indexes, and run again; only if they are lost, the same \
             command without --dry-run"
        }
        ("repair", _) if shown.dry_run && heard.knows(&ACCOUNT_READ_ONLY) => {
            "next: mend what is listed above, and run the same command without --dry-run"
        }
        ("repair", _) if shown.dry_run && !heard.steps.is_empty() => {
            "next: the same command without --dry-run"
        }
        ("repair", 1) if !heard.steps.is_empty() && heard.count(Severity::Error) == 0 => {
            "next: nothing more is to be done; what is listed as lost cannot be brought back, \
             unless a backup has it. repair --undo takes all of it back"
        }
        ("repair", 1) if !heard.steps.is_empty() => {
            "next: look at what is listed above; repair --undo takes all of it back"
        }
        ("repair", 1) if heard.knows(&ACCOUNT_REPAIR_UNDONE) => {
            "next: look at what is listed above; all of it is as it was before the repair"
        }
        ("repair", 1) if summary.users.failed > 0 => AGAIN,
        ("repair", 1) if heard.knows(&MAILDIR_EMPTIED) => {
            "next: look at what is listed above; only if it is lost for good, the same command with \
             --accept-loss"
        }
        ("repair", 1) if heard.is_told_to("repair --recover-orphans") => {
            "next: restore from a backup what is listed as lost; only if there is none, the same \
             command with --recover-orphans"
        }
        ("repair", 1) => "next: look at what is listed above; repair can do nothing about it",
        ("convert", 75) => "next: run the same command again; it is safe",
        _ => return,
    };
    hanging(out, shown.width, "", 2, next);
}
