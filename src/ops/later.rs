//! What is said of an account before it shows whether anybody is to hear it.

use std::sync::{Mutex, PoisonError};

use super::teller::Teller;
use crate::report::{Event, Finding, MailboxLine, Observer};

/// Keeps what it hears.
#[derive(Debug, Default)]
pub struct Later(Mutex<Vec<Said>>);

#[derive(Debug)]
enum Said {
    Found(Box<Finding>),
    Done(MailboxLine),
    Copied { messages: u64, bytes: u64 },
}

impl Observer for Later {
    fn on(&self, event: Event<'_>) {
        let said = match event {
            Event::Found(finding) => Said::Found(Box::new(finding.clone())),
            Event::MailboxDone(line) => Said::Done(line.clone()),
            Event::Copied { messages, bytes } => Said::Copied { messages, bytes },
            _ => return,
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(said);
    }
}

impl Later {
    /// Passes it on, in its order.
    pub fn tell(self, teller: &Teller<'_>) {
        let all = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for said in all {
            match said {
                Said::Found(finding) => teller.found(*finding),
                Said::Done(line) => teller.watch().on(Event::MailboxDone(&line)),
                Said::Copied { messages, bytes } => {
                    teller.watch().on(Event::Copied { messages, bytes });
                }
            }
        }
    }
}
