//! Standard error, for a person: lines that stay, and below them, on a terminal, how far the run is.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use terminal_size::{Height, Width, terminal_size_of};
use tokio::time::Instant;

/// Where nobody watches, the state is told so often.
const IN_A_LOG: Duration = Duration::from_secs(60);
/// Lines that stay: ten thousand connections may die in the same second.
const MOST: usize = 100;

/// The screen.
pub struct Screen {
    is_terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Lines of the state that are on the terminal now.
    drawn: usize,
    /// Lines that stay.
    said: usize,
    /// When the state was last told in a log.
    told: Option<Instant>,
}

impl Default for Screen {
    fn default() -> Self {
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { is_terminal: io::stderr().is_terminal() && !is_dumb, state: Mutex::default() }
    }
}

impl Screen {
    /// Writes a line that stays.
    pub fn say(&self, line: &str) {
        self.with(|state| {
            state.said += 1;
            let line = match state.said {
                ..=MOST => line,
                n if n == MOST + 1 => "More of this is not told one by one.",
                _ => return,
            };
            write(&format!("{}{line}\n", state.erased()));
        });
    }

    /// Shows how far things are, the most important line first.
    pub fn show(&self, lines: &[String], now: Instant) {
        self.with(|state| {
            if self.is_terminal {
                let size = terminal_size_of(io::stderr()).unwrap_or((Width(80), Height(24)));
                write(&state.frame(lines, size));
            } else if state.told.is_none_or(|told| now >= told + IN_A_LOG) {
                state.told = Some(now);
                write(&format!("{}\n", lines.first().map_or("", String::as_str)));
            }
        });
    }

    /// Takes the state away.
    pub fn clear(&self) {
        self.with(|state| write(&state.erased()));
    }

    fn with(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    /// Replaces what was drawn, within the terminal: what wraps or scrolls can't be erased.
    fn frame(
        &mut self,
        lines: &[String],
        (Width(width), Height(height)): (Width, Height),
    ) -> String {
        let mut text = self.erased();
        // The cursor needs a line below.
        for line in lines.iter().take(usize::from(height).saturating_sub(1)) {
            text.extend(line.chars().take(usize::from(width)));
            text.push('\n');
            self.drawn += 1;
        }
        text
    }

    /// Erases what was drawn: so many lines up, then all that is below (ECMA-48, CUU and ED).
    fn erased(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            n => format!("\r\x1b[{n}A\x1b[J"),
        }
    }
}

/// That nobody reads is no reason to stop measuring.
fn write(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_stays_within_the_terminal_and_takes_the_last_one_away() {
        let mut state = State::default();
        let lines = ["0:01 of 1:00", "  idle  5 alive", "  beat  5 alive"].map(str::to_owned);
        let small = (Width(9), Height(3));
        assert_eq!(state.frame(&lines, small), "0:01 of 1\n  idle  5\n");
        assert_eq!(state.frame(&lines[..1], small), "\r\x1b[2A\x1b[J0:01 of 1\n");
        assert_eq!(state.erased(), "\r\x1b[1A\x1b[J");
        assert_eq!(state.erased(), "");
    }
}
