//! When the device is waited for.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mailtally::Result;
use mailtally::disk::{Action, Disk, Step};
use mailtally::ops::workers::Workers;
use mailtally::report::UserLine;

use super::steps::{account, beside, convert, convert_beside, place};
use crate::harness::failing::EIO;
use crate::harness::maildir::{Maildir, name};

/// Waits for what must come; false where it does not within half a minute.
fn comes(it: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !it() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(1));
    }
    it()
}

/// A disk that writes down when an account is synced, and when its state is begun: the proof does that.
#[derive(Debug, Default)]
struct Order {
    seen: Mutex<Vec<&'static str>>,
    /// The proof is kept waiting for a sync.
    state_waits: bool,
    first_sync_fails: bool,
}

impl Order {
    fn seen(&self) -> Vec<&'static str> {
        self.seen.lock().unwrap().clone()
    }

    fn see(&self, what: &'static str) {
        self.seen.lock().unwrap().push(what);
    }
}

impl Disk for Order {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        match (step.action, step.name) {
            (Action::Sync, b"") if step.dir.ends_with(".store.mailtally-new") => {
                self.see("sync");
                if self.first_sync_fails {
                    return Err(io::Error::from_raw_os_error(EIO));
                }
            }
            (Action::Create, b"mailtally.state") => {
                comes(|| !self.state_waits || self.seen().contains(&"sync"));
                self.see("state");
            }
            (Action::Rename, b"store") => self.see("rename"),
            _ => {}
        }
        Ok(())
    }
}

/// An account that takes the device some time.
fn large() -> Maildir {
    account().message("", &format!("{}:2,S", name(30)), vec![b'x'; 9 << 20])
}

fn convert_on(order: &Arc<Order>, from: &Maildir, to: &Path) -> Result<UserLine> {
    let disk: Arc<dyn Disk> = order.clone();
    convert(from, "maildir", to, &disk)
}

#[test]
fn a_large_account_is_on_its_way_to_the_device_while_it_is_read_back() {
    let from = large();
    let order = Arc::new(Order {
        state_waits: true,
        ..Order::default()
    });
    convert_on(&order, &from, &place(&from)).unwrap();
    assert_eq!(order.seen(), ["sync", "state", "sync", "rename"]);
}

#[test]
fn a_small_one_is_synced_once() {
    let from = account();
    let order = Arc::new(Order::default());
    convert_on(&order, &from, &place(&from)).unwrap();
    assert_eq!(order.seen(), ["state", "sync", "rename"]);
}

#[test]
fn what_the_first_sync_of_a_large_one_says_ends_the_run_and_nothing_is_left() {
    let from = large();
    let order = Arc::new(Order {
        first_sync_fails: true,
        ..Order::default()
    });
    let to = place(&from);
    let error = convert_on(&order, &from, &to).unwrap_err();
    assert!(error.chain().contains("cannot sync"), "{}", error.chain());
    assert!(!order.seen().contains(&"rename"));
    assert_eq!(beside(&to), [""; 0]);
}

/// A disk on which no sync ends before four accounts are being synced.
#[derive(Debug, Default)]
struct Slow(AtomicUsize);

impl Disk for Slow {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        let account = step.dir.to_string_lossy().ends_with(".mailtally-new");
        if account && step.action == Action::Sync {
            self.0.fetch_add(1, Ordering::SeqCst);
            if !comes(|| self.0.load(Ordering::SeqCst) == 4) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

#[test]
fn accounts_that_only_wait_for_the_device_hold_no_other_up() {
    let from = account();
    let to = place(&from);
    let disk: Arc<dyn Disk> = Arc::new(Slow::default());
    let workers = Workers::new(1).unwrap();
    let results = workers.each(&["a", "b", "c", "d"], |user| {
        convert_beside(&workers, &from, "maildir", &to.with_file_name(user), &disk)
    });
    let errors: Vec<_> = results.iter().filter_map(|it| it.as_ref().err()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
