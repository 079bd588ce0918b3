//! Progress on standard error: a bar on a terminal, elsewhere a line a minute.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailtally::report::Event;

use super::global::{Global, When};
use super::render::bytes;

const EVERY: Duration = Duration::from_mins(1);

/// Shows how far a run is.
pub struct Progress {
    shape: Shape,
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
    users_done: u64,
    messages: u64,
    bytes: u64,
}

impl Progress {
    /// As the options and the terminal say.
    pub fn new(global: &Global) -> Self {
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
            state: Mutex::new(State {
                started: now,
                said: now,
                users: 0,
                users_done: 0,
                messages: 0,
                bytes: 0,
            }),
        }
    }

    /// Counts what happens, and shows it now and then.
    pub fn on(&self, event: &Event<'_>) {
        if matches!(self.shape, Shape::Nothing) {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned { users, .. } => state.users = *users,
            Event::Copied { messages, bytes } => {
                state.messages += messages;
                state.bytes += bytes;
            }
            Event::UserDone(_) => state.users_done += 1,
            _ => return,
        }
        match &self.shape {
            Shape::Bar(bar) => {
                bar.set_length(state.users.max(1));
                bar.set_position(state.users_done.min(state.users));
                bar.set_message(state.text());
            }
            Shape::Lines if state.said.elapsed() >= EVERY => {
                state.said = Instant::now();
                eprintln!(
                    "{}/{} users, {}",
                    state.users_done,
                    state.users,
                    state.text()
                );
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
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} users, {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

impl State {
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    fn text(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let (messages, mib) = (
            self.messages as f64 / seconds,
            self.bytes as f64 / seconds / 1e6,
        );
        let mut text = format!(
            "{} messages, {}, {messages:.0} messages/s, {mib:.1} MB/s",
            self.messages,
            bytes(self.bytes)
        );
        if let Some(left) = self.seconds_left(seconds) {
            text.push_str(", ");
            text.push_str(&clock(left));
            text.push_str(" left");
        }
        text
    }

    /// From the accounts that are done: only with several of them there is something to go by.
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    fn seconds_left(&self, seconds: f64) -> Option<u64> {
        if self.users_done == 0 || self.users <= self.users_done {
            return None;
        }
        let each = seconds / self.users_done as f64;
        let left = Duration::try_from_secs_f64(each * (self.users - self.users_done) as f64);
        left.ok().map(|left| left.as_secs())
    }
}

fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours}:{minutes:02}:{seconds:02}")
}
