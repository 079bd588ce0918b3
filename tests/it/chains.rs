//! A generated account, converted along any chain of formats, comes back equal in everything that the
//! formats can hold.

mod generated;

use std::path::Path;
use std::sync::Arc;

use mailtally::disk::{Dir, Disk, Real};
use mailtally::format::{OpenOptions, room};
use mailtally::model::Codec;
use mailtally::ops::{Teller, convert, together::Together, users::Place, workers::Workers};
use mailtally::report::{Status, UserLine};
use mailtally::store::{Compress, Form};
use proptest::prelude::*;

use crate::harness::maildir::scratch;
use crate::harness::store::{Mailbox, Store};
use generated::Held;

/// A format, and the form of a store in it.
#[derive(Debug, Clone, Copy)]
struct Link {
    format: &'static str,
    form: Form,
}

impl Link {
    /// The keys of its location.
    fn keys(&self) -> &'static str {
        if self.form.fs_layout { "LAYOUT=fs" } else { "" }
    }

    fn open(&self) -> OpenOptions {
        OpenOptions {
            now: 1_800_000_000,
            ..OpenOptions::of(&self.form)
        }
    }

    /// Saved dates and CONDSTORE's counter have a place in it.
    fn holds_all(&self) -> bool {
        room(self.format).unwrap().holds.saved_dates
    }
}

fn link() -> impl Strategy<Value = Link> {
    let compress = prop_oneof![
        Just(Compress::None),
        Just(Compress::Keep),
        Just(Compress::With(Codec::Zstd)),
        Just(Compress::With(Codec::Gz)),
    ];
    let rotate = prop_oneof![Just(10 << 20), Just(1000_u64), Just(300_000)];
    let format = prop_oneof![Just("maildir"), Just("sdbox"), Just("mdbox")];
    (format, any::<bool>(), compress, rotate).prop_map(|(format, fs, compress, rotate_size)| Link {
        format,
        form: Form {
            fs_layout: fs && format == "maildir",
            compress,
            rotate_size,
        },
    })
}

/// Converts the store in `from` to a new one in `to`.
fn convert(from: (&Link, &Path), to: (&Link, &Path)) -> UserLine {
    let disk: Arc<dyn Disk> = Arc::new(Real);
    let destination = Place::named(to.1.to_owned(), &disk);
    let open = from.0.open();
    let job = convert::Job {
        user: "",
        from: room(from.0.format).unwrap(),
        source: Dir::open(from.1, Arc::clone(&disk)).unwrap(),
        open: &open,
        to: room(to.0.format).unwrap(),
        destination: &destination,
        together: &Together::default(),
    };
    let options = convert::Options {
        now: 1_800_000_000,
        form: to.0.form,
        ..convert::Options::default()
    };
    let workers = Workers::new(2).unwrap();
    convert::account(job, &options, &Teller::new("", &()), &workers).unwrap()
}

/// What a format on the way had no place for. Which messages are recent is told by the first of them:
/// any number between that and the message before says the same.
fn forget(mailbox: &mut Mailbox, holds_all: bool) {
    let mut uids = mailbox.messages.keys();
    let first = uids.find(|uid| **uid >= mailbox.first_recent);
    mailbox.first_recent = first.copied().unwrap_or(mailbox.uidnext);
    if !holds_all {
        for message in mailbox.messages.values_mut() {
            message.saved = None;
        }
    }
}

/// `PROPTEST_CASES`, or few: each one is many stores.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.map_or(64, |cases| {
        cases.parse().expect("PROPTEST_CASES is a number")
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_account_comes_back_equal_over_any_chain_of_formats(
        account in generated::account(),
        chain in proptest::collection::vec(link(), 2..5),
    ) {
        let temp = scratch();
        let place = |nth: usize| temp.path().join(format!("{nth}"));
        account.write(chain[0].format, &chain[0].form, &place(0));
        let mut all_dates = true;
        for (nth, pair) in chain.windows(2).enumerate() {
            let line = convert((&pair[0], &place(nth)), (&pair[1], &place(nth + 1)));
            prop_assert_eq!(line.status, Status::Verified, "{:?}", pair);
            all_dates &= !pair[0].holds_all();
            let clipped = all_dates && pair[1].holds_all() && account.has_odd_dates();
            let same = line.digest.destination.as_ref() == Some(&line.digest.source);
            prop_assert_eq!(same, !clipped, "{:?}", pair);
        }
        let last = chain.len() - 1;
        let read = Store::of(chain[last].format, &place(last), chain[last].keys());
        let held = Held {
            all: chain.iter().all(Link::holds_all),
            all_dates: !chain.iter().any(Link::holds_all),
        };
        let mut mailboxes = read.mailboxes;
        mailboxes.retain(|_, mailbox| mailbox.selectable);
        for (name, expected) in account.expected(held) {
            let mut mailbox = mailboxes.remove(&name).expect("the mailbox is there");
            forget(&mut mailbox, held.all);
            prop_assert_eq!(mailbox, expected, "{}", name);
        }
        prop_assert!(mailboxes.is_empty(), "{:?}", mailboxes.keys());
        prop_assert_eq!(read.subscriptions, account.subscriptions());
    }
}
