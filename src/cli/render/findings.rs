//! What was found, worst first.

use std::fmt::Write;

use mailtally::report::{Finding, Side};

use super::Shown;
use super::words::{more, paragraph, place};
use crate::cli::watch::Heard;

/// Every finding that is wanted, with cause and remedy.
pub fn all(out: &mut String, command: &str, heard: &Heard, shown: Shown) {
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
    let side = match finding.side {
        None => "",
        Some(Side::Source) => "source ",
        Some(Side::Destination) => "destination ",
    };
    let at = format!("{side}{}", place(&finding.user, &finding.place.to_string()));
    let separator = if at.is_empty() { "" } else { ": " };
    let _ = writeln!(out, "    {at}{separator}{}", finding.detail);
}
