//! Every pair of formats: one account through all nine, and to Dovecot it is the same account in each.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::FORMATS;
use crate::harness::dovecot::{Account, Server};
use crate::harness::maildir::scratch;
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;
use crate::harness::unpacked;

/// Stores of one account below a folder: `<from>` made of the sample, `<from>-<to>` made of that.
struct Stores {
    temp: tempfile::TempDir,
}

impl Stores {
    fn new() -> Self {
        let this = Self { temp: scratch() };
        let sample = unpacked("dovecot-2.3.19/maildir.tar.gz");
        for format in FORMATS {
            let source = format!("maildir:{}", sample.path().join("Maildir").display());
            this.convert(&source, &this.location(format, format));
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn location(&self, format: &str, name: &str) -> String {
        format!("{format}:{}", self.path(name).display())
    }

    fn convert(&self, source: &str, destination: &str) -> Ran {
        let run = Run::new(self.temp.path()).args(["convert", "--json", source, destination]);
        run.done().exits(0)
    }
}

/// What the library reads; where a Maildir was on the way, saved dates are those of files, and changes are
/// counted anew.
fn read(format: &str, root: &Path) -> Store {
    let mut store = Store::of(format, root, "");
    for mailbox in store.mailboxes.values_mut() {
        mailbox.highest_modseq = 1;
        for message in mailbox.messages.values_mut() {
            message.saved = None;
        }
    }
    store.mailboxes.retain(|_, mailbox| mailbox.selectable);
    store
}

#[test]
fn one_account_goes_through_all_nine_pairs_of_formats_and_stays_the_same() {
    let stores = Stores::new();
    let expected = read(FORMATS[0], &stores.path(FORMATS[0]));
    assert_eq!(expected.findings, [""; 0]);
    let mut digests = Vec::new();
    for from in FORMATS {
        assert_eq!(read(from, &stores.path(from)), expected, "{from}");
        for to in FORMATS {
            let name = format!("{from}-{to}");
            let (source, destination) = (stores.location(from, from), stores.location(to, &name));
            let ran = stores.convert(&source, &destination);
            assert_eq!(ran.user()["status"], json!("verified"));
            assert_eq!(read(to, &stores.path(&name)), expected, "{name}");
            digests.push(ran.summary()["digest"].clone());
            let again = stores.convert(&source, &destination);
            assert_eq!(again.user()["status"], json!("unchanged"), "{name}");
        }
    }
    let one = &digests[0];
    assert_eq!(one["source"], one["destination"]);
    assert!(digests.iter().all(|other| other == one), "{digests:?}");
}

#[test]
fn dovecot_sees_the_same_account_in_all_nine() {
    let Some(server) = Server::here("dovecot_sees_the_same_account_in_all_nine") else {
        return;
    };
    let stores = Stores::new();
    let told = |format: &str, name: &str| -> Account {
        let dovecot = server.serve(format, stores.path(name));
        let account = dovecot.account().without_saved_dates().without_modseqs();
        dovecot.assert_silent();
        account
    };
    let expected = told(FORMATS[0], FORMATS[0]);
    for from in FORMATS {
        for to in FORMATS {
            let name = format!("{from}-{to}");
            stores.convert(&stores.location(from, from), &stores.location(to, &name));
            let mut account = told(to, &name);
            // Names above others are shown or not, as the layout has directories for them.
            account.mailboxes.retain(|mailbox| mailbox.status.is_some());
            let mut expected = expected.clone();
            expected
                .mailboxes
                .retain(|mailbox| mailbox.status.is_some());
            assert_eq!(account, expected, "{name}");
        }
    }
}
