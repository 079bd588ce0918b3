//! What a dbox account has a place for, and which names it can hold.

use super::MAILS;
use crate::model::{MOST_KEYWORDS, MailboxName, mutf7};
use crate::store::{Form, Holds};

/// The file systems that hold mail take no longer name.
const LONGEST_LEVEL: usize = 255;

/// What a dbox account has a place for.
pub const HOLDS: Holds = Holds {
    keywords: MOST_KEYWORDS,
    saved_dates: true,
    modseq: true,
    bare_names: true,
    quota_limits: false,
    always_inbox: false,
    ids_of_any_text: true,
    links_in_root: true,
};

/// Why a dbox account cannot hold a name.
pub fn name_problem(name: &MailboxName, _: &Form) -> Option<String> {
    let problem = |level: &String| {
        if level.is_empty() {
            Some("it has an empty level".into())
        } else if level == "." || level == ".." || level.starts_with('~') {
            Some(format!("the level {level} stands for another place"))
        } else if level == MAILS {
            Some(format!(
                "{MAILS} is the folder that holds a mailbox's messages"
            ))
        } else if level.contains('/') {
            Some("it has the separator in a level".into())
        } else if level.chars().any(char::is_control) {
            Some("it has control characters".into())
        } else if mutf7::encode(level).len() > LONGEST_LEVEL {
            Some(format!(
                "a level is longer than {LONGEST_LEVEL} bytes on disk"
            ))
        } else {
            None
        }
    };
    if name.levels().is_empty() {
        return Some("it is empty".into());
    }
    name.levels().iter().find_map(problem)
}
