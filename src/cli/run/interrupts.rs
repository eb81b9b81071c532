//! Ctrl-C of a person at a terminal, beside what is typed there.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::SIGINT;
use signal_hook::low_level::pipe;

/// From its making on Ctrl-C ends the process no more.
pub struct Interrupts {
    heard: UnixStream,
    /// Readable once something was typed, or Ctrl-C was.
    both: OwnedFd,
}

impl Interrupts {
    /// Listens for it; None where the system cannot say both at once.
    ///
    /// # Errors
    ///
    /// The system has no descriptor for it.
    #[cfg(target_os = "linux")]
    pub fn watch() -> io::Result<Option<Self>> {
        use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create};
        let (heard, rings) = UnixStream::pair()?;
        heard.set_nonblocking(true)?;
        rings.set_nonblocking(true)?;
        let both = create(CreateFlags::CLOEXEC)?;
        add(&both, io::stdin(), EventData::new_u64(0), EventFlags::IN)?;
        add(&both, &heard, EventData::new_u64(1), EventFlags::IN)?;
        pipe::register(SIGINT, rings)?;
        Ok(Some(Self { heard, both }))
    }

    #[cfg(not(target_os = "linux"))]
    pub fn watch() -> io::Result<Option<Self>> {
        Ok(None)
    }

    /// To be waited for.
    pub fn or_input(&self) -> BorrowedFd<'_> {
        self.both.as_fd()
    }

    /// Whether it came since this was asked last.
    pub fn came(&self) -> bool {
        let mut heard = &self.heard;
        matches!(heard.read(&mut [0; 64]), Ok(len) if len > 0)
    }
}
