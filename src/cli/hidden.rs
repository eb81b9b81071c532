//! A secret that a person types at a terminal, which shows nothing of it.

use std::io::{BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::exit::Failure;
use crate::limits::TYPED_SECRET_BYTES_MAX;

/// Gives the terminal back as it was, whatever happens.
struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Asks, where there is a terminal on both sides; an empty line is no answer.
///
/// # Errors
///
/// The terminal fails, or the person stops it.
pub fn ask(question: &str) -> Result<Option<String>, Failure> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Ok(None);
    }
    let fault = |error: std::io::Error| Failure::failed(format!("the terminal: {error}"));
    let former = tcgetattr(&stdin).map_err(|error| fault(error.into()))?;
    let mut silent = former.clone();
    // Signals too: a person who stops it must not be left with a terminal that shows nothing.
    silent
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    let restore = Restore(former);
    tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(|error| fault(error.into()))?;
    write!(stderr, "{question}").map_err(fault)?;
    stderr.flush().map_err(fault)?;
    let typed = read(stdin.lock());
    drop(restore);
    writeln!(stderr).map_err(fault)?;
    typed
}

/// Bytes as a terminal sends them without a line discipline, until Enter.
fn read(keys: impl BufRead) -> Result<Option<String>, Failure> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const BACKSPACES: [u8; 2] = [8, 127];
    let mut typed = Vec::new();
    for key in keys.bytes() {
        match key? {
            b'\r' | b'\n' | CTRL_D => break,
            CTRL_C => return Err(Failure::failed("nothing was typed")),
            key if BACKSPACES.contains(&key) => drop(typed.pop()),
            key if typed.len() < TYPED_SECRET_BYTES_MAX => typed.push(key),
            _ => {}
        }
    }
    let typed = String::from_utf8_lossy(&typed).trim().to_owned();
    Ok((!typed.is_empty()).then_some(typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_line() {
        let of = |keys: &[u8]| read(keys).unwrap();
        assert_eq!(of(b"ab\x7fc\rd").as_deref(), Some("ac"));
        assert_eq!(of(b"\x7f\n"), None);
        assert_eq!(of(b"ab\x04").as_deref(), Some("ab"));
        assert!(read(&b"ab\x03c\n"[..]).is_err());
        assert_eq!(of(&[b'x'; 100_000]).unwrap().len(), TYPED_SECRET_BYTES_MAX);
    }
}
