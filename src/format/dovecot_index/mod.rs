//! Dovecot's index: what a mailbox holds, without its mail.
//! ```text
//! dovecot.index         one state            dovecot.index.log (.log.2 is the one before)
//! +-------------------------------+          +-----------------------------------------+
//! | base header, 120 bytes        |   then   | header, 40 bytes                        |
//! | extension header, name, data  | -------> | size, kind, body   a change             |
//! | ... more extensions           |  replay  | size, kind, body   the next change      |
//! +-------------------------------+          | ... to the end, which may be half there |
//! | uid, flags, extension fields  |          +-----------------------------------------+
//! | ... one record a message      |                            |
//! +-------------------------------+                            v
//!                          [`load`] gives an [`Index`]: columns, one entry a message
//!                                                              |  `cache` column: offsets into
//! dovecot.index.cache                                          v
//! +----------------------------------------------------------------------+
//! | header, 32 bytes; field header: names, sizes and types of the fields |
//! | record: prev_offset, size, then (field number, value) ...            | [`Cache`]
//! +----------------------------------------------------------------------+
//! ```
//! The log is where a server writes first; the index is a summary made now and then. A mailbox may
//! have both, or only a log, and the same files hold the map of an mdbox (`dovecot.map.index`).
//!
//! Where the index is lost, the log still changes messages that are known from elsewhere ([`load_over`]); where
//! only its header is damaged, its records are used if the room finds that they hold up ([`load_checked`]).
//!
//! [`MailboxIndex`] writes that of a mailbox, as all formats have it; under it [`IndexWriter`] writes a whole index
//! and a log that is nothing but its header, [`CacheWriter`] writes a cache of fixed fields.
//! [`correct_usage`] adds one change to a log.
//!
//! Source: Dovecot 2.4, `src/lib-index/mail-index.h`, `mail-transaction-log.h`,
//! `mail-cache-private.h`.
//!
//! Not supported: files of big-endian machines, reported as `index.broken`; the modseq of a single
//! message after the index was written (the mailbox's highest is kept).

mod base;
mod cache;
mod complete;
mod correct;
mod damaged;
mod files;
mod generation;
mod index;
mod keywords;
mod layout;
mod load;
mod log;
mod mailbox;
mod refused;
mod replay;
mod salvage;
mod write;
mod write_cache;

pub use cache::Cache;
pub use correct::correct_usage;
pub use files::{CACHE, INDEX, LOG, OLD, mended_by_a_new_index};
pub use generation::Generation;
pub use index::{Extension, Index, Origin, Part};
pub use keywords::keywords_header;
pub use load::{HoldsUp, load, load_checked};
pub use mailbox::{
    DATE_RECEIVED, DATE_SAVE, HAVE_POP3_UIDLS, MailboxHeader, MailboxIndex, Own, header_of, seconds,
};
pub use salvage::load_over;
pub use write::{ExtId, Head, IndexWriter};
pub use write_cache::{CacheWriter, FixedField};

#[cfg(test)]
mod tests;
