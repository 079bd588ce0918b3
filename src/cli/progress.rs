//! Progress on standard error: a bar on a terminal, elsewhere a line a minute.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailtally::report::Event;

use super::global::{Global, When};
use super::render::bytes;
use super::terminal;

const EVERY: Duration = Duration::from_mins(1);

/// Shows how far a run is.
pub struct Progress {
    shape: Shape,
    /// What is carried is read back too.
    proves: bool,
    state: Mutex<State>,
}

enum Shape {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

struct State {
    started: Instant,
    said: Instant,
    users: u64,
    users_started: u64,
    users_done: u64,
    /// In the accounts that were started.
    expected: u64,
    messages: u64,
    proved: u64,
    bytes: u64,
}

impl Progress {
    /// As the options and the terminal say.
    pub fn new(global: &Global, command: &str) -> Self {
        let terminal = stderr().is_terminal();
        let shape = match global.progress {
            When::Never => Shape::Nothing,
            When::Auto if global.quiet => Shape::Nothing,
            _ if terminal => Shape::Bar(bar()),
            _ => Shape::Lines,
        };
        let now = Instant::now();
        Self {
            shape,
            proves: command == "convert",
            state: Mutex::new(State {
                started: now,
                said: now,
                users: 0,
                users_started: 0,
                users_done: 0,
                expected: 0,
                messages: 0,
                proved: 0,
                bytes: 0,
            }),
        }
    }

    /// False where nothing is to be shown.
    pub fn is_shown(&self) -> bool {
        !matches!(self.shape, Shape::Nothing)
    }

    /// Counts what happens, and shows it now and then.
    pub fn on(&self, event: &Event<'_>) {
        if !self.is_shown() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned { users, .. } => state.users = *users,
            Event::UserStarted { messages, .. } => {
                state.users_started += 1;
                state.expected += messages;
            }
            Event::Copied { messages, bytes } => {
                state.messages += messages;
                state.bytes += bytes;
            }
            Event::Proved { messages } => state.proved += messages,
            Event::UserDone(_) => state.users_done += 1,
            _ => return,
        }
        match &self.shape {
            Shape::Bar(bar) => {
                bar.set_length(1000);
                bar.set_position(state.thousandths(self.proves));
                bar.set_message(state.text(self.proves));
            }
            Shape::Lines if state.said.elapsed() >= EVERY => {
                state.said = Instant::now();
                terminal::complain(&format!("{}\n", state.text(self.proves)));
            }
            _ => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Shape::Bar(bar) = &self.shape {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{bar:24} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

impl State {
    /// How much of the work is done: messages of the accounts begun, and the accounts to come.
    fn thousandths(&self, proves: bool) -> u64 {
        let (done, all) = if proves {
            (self.messages + self.proved, self.expected * 2)
        } else {
            (self.messages, self.expected)
        };
        let begun = (done.min(all) * 1000).checked_div(all).unwrap_or(0);
        (begun * self.users_started)
            .checked_div(self.users)
            .unwrap_or(0)
    }

    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    fn text(&self, proves: bool) -> String {
        let elapsed = self.started.elapsed();
        let seconds = elapsed.as_secs_f64().max(0.001);
        let (messages, mb) = (
            self.messages as f64 / seconds,
            self.bytes as f64 / seconds / 1e6,
        );
        let mut text = format!(
            "{}/{} users, {} messages, {}, {messages:.0} messages/s, {mb:.1} MB/s",
            self.users_done,
            self.users,
            self.messages,
            bytes(self.bytes)
        );
        let done = self.thousandths(proves).min(1000);
        let left = (elapsed.as_secs() * (1000 - done)).checked_div(done);
        if let Some(left) = left {
            text.push_str(", ");
            text.push_str(&clock(left));
            text.push_str(" left");
        }
        text
    }
}

fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_accounts_to_come_is_part_of_the_whole() {
        let now = Instant::now();
        let state = State {
            started: now,
            said: now,
            users: 4,
            users_started: 2,
            users_done: 1,
            expected: 1000,
            messages: 800,
            proved: 200,
            bytes: 0,
        };
        assert_eq!(state.thousandths(true), 250);
        assert_eq!(state.thousandths(false), 400);
        assert_eq!(clock(3 * 3600 + 62), "3:01:02");
    }
}
