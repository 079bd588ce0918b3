//! What was found, worst first.

use std::fmt::Write;

use mailtally::report::{Finding, Side};

use super::Shown;
use super::words::{hanging, more, of_account, paragraph, spot};
use crate::cli::watch::Heard;

/// Every finding that is wanted, with cause and remedy.
pub fn all(out: &mut String, command: &str, heard: &Heard, shown: Shown) {
    for ((severity, code), (count, kept)) in &heard.findings {
        let wanted = |first: &&Finding| shown.wants_rule(command, first.rule);
        let Some(first) = kept.first().filter(wanted) else {
            continue;
        };
        // A failed account was shown with its reason already.
        if *code == "account.failed" {
            continue;
        }
        let word = shown.severity(severity.0);
        let _ = writeln!(out, "\n{word}  {code}  ({count})");
        paragraph(out, shown.width, "  ", first.rule.cause);
        if first.remedy != "nothing" {
            paragraph(out, shown.width, "  do: ", first.remedy);
        }
        let mut kept: Vec<_> = kept.iter().collect();
        kept.sort_by_key(|finding| (of_account(&finding.user, mailbox(finding)), &finding.place));
        for finding in &kept {
            one_finding(out, finding, shown.width);
        }
        more(out, *count, kept.len());
    }
}

fn mailbox(finding: &Finding) -> &str {
    finding.place.mailbox.as_deref().unwrap_or_default()
}

fn one_finding(out: &mut String, finding: &Finding, width: usize) {
    let side = match finding.side {
        None => "",
        Some(Side::Source) => "source",
        Some(Side::Destination) => "destination",
    };
    let at = spot(side, &finding.user, &finding.place);
    let separator = if at.is_empty() { "" } else { ": " };
    let text = format!("{at}{separator}{}", finding.detail);
    hanging(out, width, "    ", 6, &text);
}
