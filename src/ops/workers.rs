//! Accounts side by side, and the messages of a mailbox side by side in bounded batches.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rayon::ThreadPool;

use super::permits::Permits;
use crate::error::{Error, Result};

/// How many messages are on their way at once.
const BATCH: usize = 256;

/// The threads of a run.
#[derive(Debug)]
pub struct Workers {
    pool: ThreadPool,
    jobs: usize,
    accounts: Permits,
    /// Of threads that work on messages.
    cores: Permits,
    /// Set by a signal, or by an error that ends the run: looked at between batches.
    pub stop: Arc<AtomicBool>,
}

impl Workers {
    /// `jobs` cores for messages, and permits for one account more: what an account does between its
    /// messages must not keep a core waiting.
    pub fn new(jobs: usize) -> Result<Self> {
        let jobs = jobs.max(1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
        Ok(Self {
            pool: pool.map_err(|error| Error::Bug(error.to_string()))?,
            jobs,
            accounts: Permits::new(jobs + 1),
            cores: Permits::new(jobs),
            stop: Arc::default(),
        })
    }

    /// Fails once the run was asked to stop.
    pub fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Runs `work` on `0..count` side by side, and `take` on the results in order, batch by batch.
    pub fn in_batches<T: Send>(
        &self,
        count: usize,
        work: impl Fn(usize) -> T + Sync,
        mut take: impl FnMut(usize, T) -> Result<()>,
    ) -> Result<()> {
        let mut from = 0;
        while from < count {
            self.go_on()?;
            let to = count.min(from + BATCH);
            for (nth, result) in (from..to).zip(self.side_by_side(from..to, &work)) {
                take(nth, result)?;
            }
            from = to;
        }
        Ok(())
    }

    /// Runs `work` on a range of numbers side by side; the results are in order. What is held at once is
    /// the caller's choice.
    pub fn batch<T: Send>(
        &self,
        range: Range<usize>,
        work: impl Fn(usize) -> T + Sync,
    ) -> Result<Vec<T>> {
        self.go_on()?;
        Ok(self.side_by_side(range, &work))
    }

    /// Threads take the numbers in order: whoever has one can wait for those below it. The caller works
    /// itself, and cores that have nothing to do help until somebody else wants them: two threads at two
    /// accounts stand less in each other's way than two at one.
    fn side_by_side<T: Send>(
        &self,
        range: Range<usize>,
        work: &(impl Fn(usize) -> T + Sync),
    ) -> Vec<T> {
        let next = AtomicUsize::new(range.start);
        let results: Vec<Mutex<Option<T>>> = range.clone().map(|_| Mutex::default()).collect();
        let take_one = &|| {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let place = results.get(nth - range.start)?;
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(work(nth));
            Some(())
        };
        let _own = self.cores.take();
        self.pool.in_place_scope(|scope| {
            let idle = std::iter::from_fn(|| self.cores.take_if_free());
            for core in idle.take(range.len().saturating_sub(1)) {
                scope.spawn(move |_| {
                    let _core = core;
                    while !self.cores.wanted() && take_one().is_some() {}
                });
            }
            while take_one().is_some() {}
        });
        let done = results.into_iter();
        let done = done.map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner));
        done.map(|result| result.expect("BUG: every number is taken"))
            .collect()
    }

    /// Runs what only waits for the device: as long as it does, another account can be worked on.
    pub fn aside<T>(&self, wait: impl FnOnce() -> T) -> T {
        let _lent = self.accounts.lend();
        wait()
    }

    /// Runs `one` on every account, several at once. Our own panic is that account's failure.
    /// The results are in the order of the accounts, whatever the order of the work.
    pub fn each<A: Sync, T: Send>(
        &self,
        accounts: &[A],
        one: impl Fn(&A) -> Result<T> + Sync,
    ) -> Vec<Result<T>> {
        let next = Mutex::new(0..accounts.len());
        let results: Mutex<Vec<Option<Result<T>>>> =
            Mutex::new(accounts.iter().map(|_| None).collect());
        let work = || {
            loop {
                let _permit = self.accounts.take();
                let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(nth) = taken else { break };
                let result = self.go_on().and_then(|()| {
                    catch_unwind(AssertUnwindSafe(|| one(&accounts[nth])))
                        .unwrap_or_else(|panic| Err(Error::Bug(said(&*panic))))
                });
                results.lock().unwrap_or_else(PoisonError::into_inner)[nth] = Some(result);
            }
        };
        std::thread::scope(|scope| {
            // As many may be aside as have a permit.
            for _ in 0..accounts.len().min(2 * (self.jobs + 1)) {
                scope.spawn(work);
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let missing = || Err(Error::Bug("an account was not worked on".into()));
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(missing))
            .collect()
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn batches_are_taken_in_order() {
        let workers = Workers::new(3).unwrap();
        let mut taken = Vec::new();
        workers
            .in_batches(
                1000,
                |nth| nth * 2,
                |nth, twice| {
                    taken.push((nth, twice));
                    Ok(())
                },
            )
            .unwrap();
        assert!(
            taken
                .iter()
                .enumerate()
                .all(|(at, pair)| *pair == (at, at * 2))
        );
        assert_eq!(taken.len(), 1000);
    }

    #[test]
    fn one_accounts_panic_is_its_own_failure() {
        let workers = Workers::new(2).unwrap();
        let results = workers.each(&[1, 2, 3], |account| {
            assert!(*account != 2, "no");
            Ok(*account)
        });
        assert_eq!(results[0].as_ref().ok(), Some(&1));
        assert!(matches!(&results[1], Err(Error::Bug(said)) if said == "no"));
        assert_eq!(results[2].as_ref().ok(), Some(&3));
    }

    #[test]
    fn a_second_account_need_not_wait_for_the_end_of_the_batch_of_the_first() {
        let workers = Workers::new(2).unwrap();
        let (first, second) = <(AtomicBool, AtomicBool)>::default();
        let at = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        let results = workers.each(&[1, 2], |account| {
            if *account == 2 {
                assert!(comes(|| at(&first)));
                workers.batch(0..1, |_| second.store(true, Ordering::SeqCst))?;
                return Ok(());
            }
            let seen = workers.batch(0..10_000, |_| {
                first.store(true, Ordering::SeqCst);
                if !at(&second) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                at(&second)
            })?;
            let before = seen.into_iter().filter(|second| !second).count();
            assert!(before < 5_000, "{before} messages of the first came before");
            Ok(())
        });
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }

    #[test]
    fn an_account_that_waits_for_the_device_leaves_its_place_to_another() {
        let workers = Workers::new(1).unwrap();
        let (at_work, most, aside) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
        let results = workers.each(&[1, 2, 3, 4], |_| {
            most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            at_work.fetch_sub(1, Ordering::SeqCst);
            workers.aside(|| {
                aside.fetch_add(1, Ordering::SeqCst);
                Ok(comes(|| aside.load(Ordering::SeqCst) == 4))
            })
        });
        assert!(results.into_iter().all(|all_aside| all_aside.unwrap()));
        assert!(most.into_inner() <= 2, "places for the thread and one more");
    }

    /// Waits for what must come; false where it does not within half a minute.
    fn comes(it: impl Fn() -> bool) -> bool {
        let begun = Instant::now();
        while !it() && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        it()
    }

    #[test]
    fn a_stop_is_heard_between_accounts_and_batches() {
        let workers = Workers::new(1).unwrap();
        workers.stop.store(true, Ordering::Relaxed);
        assert!(matches!(
            workers.each(&[1], |n| Ok(*n))[0],
            Err(Error::Interrupted)
        ));
        let never = workers.in_batches(1, |_| (), |_, ()| Ok(()));
        assert!(matches!(never, Err(Error::Interrupted)));
    }
}
