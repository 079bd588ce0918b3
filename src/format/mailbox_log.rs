//! `dovecot.mailbox.log`: what a server did to whole mailboxes.
//!
//! ```text
//! +0  what: 1 mailbox deleted, 2 directory deleted, 3 renamed, ...
//! +4  GUID of the mailbox, 16 bytes
//! +20 when, big-endian
//! ```
//! Source: Dovecot 2.3, `src/lib-storage/mailbox-log.c` (`struct mailbox_log_record`).

use std::collections::BTreeSet;

use super::mailbox_list::FILES;
use crate::disk::Dir;
use crate::model::MailboxGuid;

const LOGS: [&str; 2] = ["dovecot.mailbox.log.2", "dovecot.mailbox.log"];
/// A server begins another one at 4096 bytes.
const MOST: u64 = 1 << 20;
const RECORD: usize = 24;
const DELETED: u8 = 1;

/// Mailboxes that a server deleted; `dir` is the account's root, or where `INDEX=` says. `None` where no server
/// keeps such records: then it is not known.
pub fn deleted(dir: &Dir) -> Option<BTreeSet<MailboxGuid>> {
    let read = |name: &&str| dir.read_if_there(name, MOST).ok().flatten();
    let logs: Vec<_> = LOGS.iter().filter_map(read).collect();
    is_of_a_server(dir).then(|| logs.iter().flat_map(|log| guids(log)).collect())
}

/// True where a server keeps its list of mailboxes, or the log of them: in the account's root, or where `INDEX=` says.
pub fn is_of_a_server(dir: &Dir) -> bool {
    let mut names = FILES.iter().chain(&LOGS);
    names.any(|name| dir.stat(name).is_ok())
}

fn guids(log: &[u8]) -> impl Iterator<Item = MailboxGuid> {
    let records = log.chunks_exact(RECORD);
    let deleted = records.filter(|record| record[0] == DELETED);
    deleted.filter_map(|record| MailboxGuid::new(*record[4..].first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_records_of_deleted_mailboxes_count() {
        let record = |what: u8, guid: u8| [&[what, 0, 0, 0][..], &[guid; 16], &[0; 4]].concat();
        let log = [
            record(1, 7),
            record(3, 8),
            record(2, 9),
            record(1, 10)[..23].to_vec(),
        ]
        .concat();
        let told: Vec<_> = guids(&log).collect();
        assert_eq!(told, [MailboxGuid::new([7; 16]).unwrap()]);
    }
}
