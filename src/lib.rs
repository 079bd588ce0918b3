//! Move mail stores safely: read, convert and prove mail accounts, offline.
//!
//! Data flows one way: **source store -> model -> destination store**. Verifying is two sources side
//! by side: what was written is read back by the same code that reads any store.
//!
//! ```text
//!  cli --+--> ops ------.            cli     the command line; nothing else knows a terminal
//!        |     |        v            ops     what the tool does, with any Source and Destination
//!        |     |      store          store   the traits; knows no format
//!        |     v        ^ |          format  one room per on-disk format, each a `Room` to `ops`;
//!        '--> format/* -' |                  tally files and locations too
//!                         v
//!                       model        model   what mail is, in no format's words
//!
//!  bytes, disk, digest, error, report: tools for all of them; they know `model` and each other at most
//! ```
//!
//! Two doors stand under all of it. Every file is reached through a [`disk::Dir`], an open directory
//! beneath which names are opened without following links; and every step on a file system passes a
//! [`disk::Disk`], so that a test can cut or fail any of them.
//!
//! # Example
//!
//! Convert one account, and hear of nothing but the outcome:
//!
//! ```
//! use std::sync::Arc;
//! use mailtally::disk::{Dir, Disk, Real};
//! use mailtally::format::{OpenOptions, room};
//! use mailtally::ops::{Teller, convert, together::Together, users::Place, workers::Workers};
//! use mailtally::report::Status;
//!
//! # fn main() -> mailtally::Result<()> {
//! # let temp = tempfile::tempdir().unwrap();
//! # let maildir = temp.path().join("Maildir");
//! # for place in ["cur", "new", "tmp"] { std::fs::create_dir_all(maildir.join(place)).unwrap(); }
//! # std::fs::write(maildir.join("cur/1700000000.M1P1.host:2,S"), "Subject: a\n\nx\n").unwrap();
//! # let sdbox = temp.path().join("sdbox");
//! let disk: Arc<dyn Disk> = Arc::new(Real);
//! let destination = Place::named(sdbox, &disk);
//! let job = convert::Job {
//!     user: "",
//!     from: room("maildir").expect("a known format"),
//!     source: Dir::open(&maildir, Arc::clone(&disk))?,
//!     open: &OpenOptions::default(),
//!     to: room("sdbox").expect("a known format"),
//!     destination: &destination,
//!     together: &Together::default(),
//! };
//! let options = convert::Options { now: 1_800_000_000, ..Default::default() };
//! let line = convert::account(job, &options, &Teller::new("", &()), &Workers::new(2)?)?;
//! assert_eq!(line.status, Status::Verified);
//! assert_eq!(line.messages, 1);
//! # Ok(())
//! # }
//! ```
#![warn(rust_2018_idioms)]

pub mod bytes;
pub mod digest;
pub mod disk;
pub mod error;
pub mod format;
pub mod model;
pub mod ops;
pub mod report;
pub mod store;

pub use error::{Error, Result};
