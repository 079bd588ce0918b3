//! What real mail stores hold, case by case: nothing stops an account, loses a message or goes unsaid.

mod files; // links, strays, unfinished deliveries
mod folders; // names, layouts, subscriptions
mod index; // what Dovecot's index knows beside the file names
mod measured; // R1 to R10: where Dovecot's own converter was measured
mod messages; // sizes, damage, compression, dates
mod uidlist; // UIDs and what tells them
