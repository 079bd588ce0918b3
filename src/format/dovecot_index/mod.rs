//! Dovecot's index, log and cache files.
