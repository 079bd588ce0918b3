//! What differs: by code, or as a table of users and mailboxes.

use std::fmt::Write;

use mailtally::report::{Difference, counted, escape};
use serde_json::Value;

use super::Shown;
use super::tables::{
    self,
    Stands::{Broken, Number, Whole},
};
use super::words::{hanging, more, spot};
use crate::cli::watch::{Heard, Kept};

/// By code, the first of each.
pub fn by_code(out: &mut String, heard: &Heard, shown: Shown) {
    for (code, (count, kept)) in &heard.differences {
        let word = shown.paint("1;31", "differs");
        let _ = writeln!(out, "\n{word}  {code}  ({count})");
        for difference in kept {
            let at = spot("", &difference.user, &difference.place);
            let (one, other) = (&difference.source, &difference.destination);
            let text = format!("{at}: source {one}, destination {other}");
            hanging(out, shown.width, "    ", 6, &text);
        }
        more(out, *count, kept.len());
    }
}

/// What is worst comes first.
const RANKS: [&str; 23] = [
    "mailbox.missing",
    "message.missing",
    "message.content",
    "message.uid",
    "message.moved",
    "mailbox.uidvalidity",
    "mailbox.uidnext",
    "message.guid",
    "message.flags",
    "message.keywords",
    "message.received",
    "message.pop3-uidl",
    "message.saved",
    "mailbox.extra",
    "message.extra",
    "mailbox.guid",
    "subscription.missing",
    "acl",
    "sieve",
    "quota",
    "subscription.extra",
    "owner",
    "mode",
];

fn rank(code: &str) -> usize {
    let known = RANKS.iter().position(|known| *known == code);
    known.unwrap_or(RANKS.len())
}

/// So many lines are a screenful with what stands around them.
const SCREENFUL: usize = 20;
/// So many of one kind are named in a line.
const NAMED: usize = 5;
/// A value is not longer.
const LONGEST: usize = 60;

/// A line of the table: where, how many of which code, and the first of them.
type Row<'h> = (&'h (String, String), &'static str, &'h Kept<Difference>);

/// By user and mailbox, the worst first. Returns how many lines are not shown.
pub fn by_place(out: &mut String, heard: &Heard, shown: Shown) -> usize {
    let mut groups: Vec<(usize, Vec<Row<'_>>)> = heard.places.iter().map(group).collect();
    groups.sort_by_key(|(worst, _)| *worst);
    let rows: Vec<Row<'_>> = groups.into_iter().flat_map(|(_, rows)| rows).collect();
    if rows.is_empty() {
        return 0;
    }
    let (most, named) = if shown.verbose {
        (usize::MAX, usize::MAX)
    } else {
        (SCREENFUL, NAMED)
    };
    let users = rows.iter().any(|((user, _), ..)| !user.is_empty());
    let head = [
        ("user", Broken),
        ("mailbox", Broken),
        ("what differs", Whole),
        ("count", Number),
        ("which", Broken),
    ];
    let from = usize::from(!users);
    let shown_rows = rows.iter().take(most).map(|row| {
        let row = cells(row, named);
        row.into_iter().skip(from).collect::<Vec<_>>()
    });
    out.push('\n');
    let lines = tables::lines(&head[from..], shown_rows, shown.width);
    for (nth, line) in lines.into_iter().enumerate() {
        let line = if nth == 0 {
            shown.paint("1", &line)
        } else {
            line
        };
        let _ = writeln!(out, "{line}");
    }
    let rest = rows.len().saturating_sub(most);
    if rest > 0 {
        let rest = counted(rest as u64, "more line");
        let _ = writeln!(out, "... and {rest} (-v shows all)");
    }
    rest
}

fn cells(((user, mailbox), code, (count, kept)): &Row<'_>, named: usize) -> [String; 5] {
    let which: Vec<_> = kept.iter().take(named).map(told).collect();
    let etc = if (which.len() as u64) < *count {
        "; ..."
    } else {
        ""
    };
    [
        escape(user.as_bytes()),
        mailbox.clone(),
        (*code).to_owned(),
        count.to_string(),
        format!("{}{etc}", which.join("; ")),
    ]
}

fn group<'h>(
    (place, codes): (
        &'h (String, String),
        &'h std::collections::BTreeMap<&'static str, Kept<Difference>>,
    ),
) -> (usize, Vec<Row<'h>>) {
    let mut rows: Vec<Row<'h>> = codes
        .iter()
        .map(|(code, kept)| (place, *code, kept))
        .collect();
    rows.sort_by_key(|(_, code, _)| rank(code));
    let worst = rows.first().map_or(usize::MAX, |(_, code, _)| rank(code));
    (worst, rows)
}

/// The message, and what each side has, in a few words.
fn told(difference: &Difference) -> String {
    let uid = difference.place.uid.map(|uid| format!("uid {uid}"));
    let (one, other) = (brief(&difference.source), brief(&difference.destination));
    let values = match (one.as_str(), other.as_str()) {
        ("", "") => String::new(),
        (one, "") => one.to_owned(),
        ("", other) => other.to_owned(),
        (one, other) => format!("{one} -> {other}"),
    };
    match (uid, values.is_empty()) {
        (Some(uid), true) => uid,
        (Some(uid), false) => format!("{uid}: {values}"),
        (None, _) => values,
    }
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null | Value::Bool(true) => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join(" "),
        Value::Object(map) => {
            let known = map.iter().filter(|(_, value)| !value.is_null());
            let shown = known.map(|(key, value)| match key.as_str() {
                "content" | "digest" => brief(value).chars().take(8).collect(),
                "size" => format!("{} bytes", brief(value)),
                "mailbox" => brief(value),
                key => format!("{key} {}", brief(value)),
            });
            shown.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    if text.chars().count() > LONGEST {
        let cut: String = text.chars().take(LONGEST).collect();
        return format!("{cut}...");
    }
    text
}
