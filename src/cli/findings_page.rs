//! mailtally-findings(7): the catalogue as a manual page.

use std::fmt::Write;

use mailtally::report::Severity;
use mailtally::report::catalogue::RULES;

/// The page, in roff.
pub fn roff() -> String {
    let mut page = String::from(
        ".TH mailtally-findings 7\n.SH NAME\nmailtally-findings \\- every problem that mailtally \
         can name\n.SH DESCRIPTION\nA finding has a stable code, a severity, a cause and a remedy. \
         Findings of severity\n.B error\nset the exit status to 1.\n",
    );
    for (severity, title) in [
        (Severity::Error, "ERRORS: NOT CARRIED, OR NOT READABLE"),
        (Severity::Warning, "WARNINGS: CARRIED; LOOK AT IT"),
        (Severity::Info, "NOTES: CARRIED AS IT IS"),
    ] {
        let _ = writeln!(page, ".SH \"{title}\"");
        for rule in RULES.iter().filter(|rule| rule.severity == severity) {
            let (cause, remedy) = (escaped(rule.cause), escaped(rule.remedy));
            let _ = writeln!(page, ".TP\n.B {}\n{cause}.\n.br\nDo: {remedy}.", rule.code);
        }
    }
    page.push_str(".SH \"SEE ALSO\"\n.BR mailtally (1)\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_on_the_page() {
        let page = roff();
        for rule in RULES {
            assert!(
                page.contains(&format!(".B {}\n", rule.code)),
                "{}",
                rule.code
            );
        }
    }
}
