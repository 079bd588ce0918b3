//! Converted accounts, opened by the real Dovecot.
