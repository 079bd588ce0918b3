//! Two of three that tell the UIDVALIDITY of a mailbox outvote the third.
//!
//! ```text
//! dovecot-uidlist       a server goes by it: where it is wrong, clients load all messages again
//! dovecot.index         one of another UIDVALIDITY a server throws away, with all that only it knows
//! dovecot.list.index    the server's list of mailboxes
//! ```
//! The list speaks only for the mailbox with the GUID that the uidlist has: in mixed copies it is another. Where the
//! uidlist has none, it must have all UIDs of the index.

use super::opening::Opening;
use super::uidlist::{Row, Uidlist};
use crate::format::dovecot_index::{INDEX, Index};
use crate::format::mailbox_list::LIST;
use crate::model::UidValidity;
use crate::report::catalogue::{MAILDIR_INDEX_UIDVALIDITY, UIDLIST_UIDVALIDITY};

impl Opening<'_, '_> {
    /// Where uidlist and index differ and the server's list agrees with one of them, the other is put right.
    pub(super) fn outvote(&mut self, list: &mut Uidlist, index: &mut Index, list_name: &str) {
        let indexed = index.uid_validity;
        let Some(told) = list.uidvalidity.filter(|told| *told != indexed) else {
            return;
        };
        let Some(listed) = self.listed_uidvalidity(list, index) else {
            return;
        };
        if listed == indexed {
            let detail = format!("UIDVALIDITY {told}; {INDEX} and {LIST} tell {listed}");
            let path = self.in_folder(list_name);
            self.tell_at(&UIDLIST_UIDVALIDITY, path, detail);
            list.uidvalidity = Some(listed);
        } else if listed == told && lists_all_of(list, index) {
            let detail = format!("UIDVALIDITY {indexed}; {list_name} and {LIST} tell {listed}");
            let path = self.in_folder(INDEX);
            self.tell_at(&MAILDIR_INDEX_UIDVALIDITY, path, detail);
            index.uid_validity = listed;
        }
    }

    fn listed_uidvalidity(&self, list: &Uidlist, index: &Index) -> Option<u32> {
        let listed = self.store.listed(self.folder);
        let is_same = match list.guid {
            Some(guid) => listed.guid == Some(guid),
            None => lists_all_of(list, index),
        };
        let uidvalidity = listed.uidvalidity.filter(|_| is_same);
        uidvalidity.map(UidValidity::get)
    }
}

/// An index of another mailbox has other UIDs.
pub(super) fn lists_all_of(list: &Uidlist, index: &Index) -> bool {
    let is_listed = |uid: &u32| {
        let found = list.rows.binary_search_by_key(uid, |row: &Row| row.uid);
        found.is_ok()
    };
    !index.uids.is_empty() && index.uids.iter().all(is_listed)
}
