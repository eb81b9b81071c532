//! A WebSocket server on the gateway's own loop, for conformance tests and measurements.
//!
//!     wire-echo PORT echo|broadcast|events
//!
//! Listens on 127.0.0.1 (port 0 takes a free one) and prints `READY <port>`. SIGTERM ends it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clawdia::io::app::Settings;
use clawdia::io::reactor::Reactor;
use clawdia::io::signals::Signals;
use clawdia::io::socket::{Listener, PeerAddr};
use clawdia::io::sys::raise_descriptor_limit;
use clawdia_tools::echo::{Echo, LIMITS, Mode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (port, mode) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [port, "echo"] => (port.parse(), Mode::Echo),
        [port, "broadcast"] => (port.parse(), Mode::Broadcast),
        [port, "events"] => (port.parse(), Mode::Events),
        _ => {
            eprintln!("usage: wire-echo PORT echo|broadcast|events");
            return ExitCode::from(64);
        }
    };
    let Ok(port) = port else {
        eprintln!("wire-echo: not a port");
        return ExitCode::from(64);
    };
    match serve(port, mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wire-echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16, mode: Mode) -> io::Result<()> {
    raise_descriptor_limit();
    let listener = Listener::bind_tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    if let PeerAddr::Tcp(addr) = listener.local_addr()? {
        println!("READY {}", addr.port());
        io::stdout().flush()?;
    }
    let mut reactor = Reactor::new(vec![listener], Settings::open(LIMITS))?;
    reactor.watch(Signals::watch()?)?;
    reactor.run(&mut Echo::new(mode))
}
