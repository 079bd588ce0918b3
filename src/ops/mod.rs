//! What the tool does, with any source and any destination.

mod altered;
mod carry;
pub mod convert;
pub mod inspect;
mod later;
mod left_behind;
mod load;
mod loss;
pub mod manifest;
mod needed;
mod notes;
mod permits;
mod plan_keywords;
mod plan_names;
mod prove;
pub mod quota;
pub mod repair;
mod scripts;
pub mod sha256;
mod staging;
mod teller;
pub mod together;
pub mod users;
pub mod verify;
pub mod workers;

pub use teller::Teller;

/// A time as records show it.
pub fn rfc3339(time: i64) -> String {
    jiff::Timestamp::from_second(time).map_or_else(|_| time.to_string(), |time| time.to_string())
}
