//! The on-disk formats, one room each.

pub mod dovecot_index;
