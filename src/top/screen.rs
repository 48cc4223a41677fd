//! [`Screen`]: the terminal while `bue top` has it. It is given back when the value is dropped: at the end, after an error, and when
//! a signal ends the command. After a panic it is given back before the message is printed.

use std::io::{self, Stdout, Write, stdout};
use std::{panic, thread};

use bue_model::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::termion::cursor::Show;
use ratatui::termion::raw::{IntoRawMode, RawTerminal};
use ratatui::termion::screen::{ToAlternateScreen, ToMainScreen};

use crate::process::command_error::CommandError;
use crate::top::draw::draw;
use crate::top::state::TopState;

/// The terminal in raw mode, on its alternate screen.
pub(crate) struct Screen(Terminal<TermionBackend<RawTerminal<Stdout>>>);

impl Screen {
    /// Takes the terminal.
    pub(crate) fn enter() -> io::Result<Self> {
        let mut raw = stdout().into_raw_mode()?;
        leave_before_panic_messages();
        write!(raw, "{ToAlternateScreen}")?;
        Terminal::new(TermionBackend::new(raw)).map(Self)
    }

    /// Draws what has changed. Also after the size of the terminal has.
    pub(crate) fn draw(&mut self, state: &TopState, now: Timestamp) -> Result<(), CommandError> {
        self.0.draw(|frame| draw(frame, state, now)).map(drop).map_err(CommandError::from_stdout)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // the hook has done it: a second time would move the cursor back over the message
        if !thread::panicking() {
            leave(self.0.backend_mut());
        }
    }
}

/// Shows the main screen, with what was on it before. If the terminal has gone away, there is nothing to restore.
fn leave(out: &mut impl Write) {
    let _ = write!(out, "{ToMainScreen}{Show}").and_then(|()| out.flush());
}

/// What is printed on the alternate screen vanishes with it.
fn leave_before_panic_messages() {
    let print_message = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        leave(&mut stdout());
        print_message(panic);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_shows_the_main_screen_and_the_cursor() {
        let mut out = Vec::new();
        leave(&mut out);
        assert_eq!(out, b"\x1b[?1049l\x1b[?25h");
    }
}
