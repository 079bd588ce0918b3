//! Move mail stores safely: read, convert and prove mail accounts, offline.
#![doc = ""]
#![warn(rust_2018_idioms)]

pub mod bytes;
pub mod digest;
pub mod disk;
pub mod error;
pub mod format;
pub mod model;
pub mod report;

pub use error::{Error, Result};
