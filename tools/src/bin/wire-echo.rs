//! A WebSocket server on the gateway's own loop, for conformance tests and measurements.
//!
//!     wire-echo PORT echo|broadcast|events [--tls FILE]
//!
//! Listens on 127.0.0.1 (port 0 takes a free one) and prints `READY <port>`. SIGTERM ends it. With
//! `--tls` it speaks TLS with the key and certificate in FILE, which are made where there are none.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clawdia::io::app::Settings;
use clawdia::io::clock;
use clawdia::io::reactor::Reactor;
use clawdia::io::signals::Signals;
use clawdia::io::socket::{Listener, PeerAddr};
use clawdia::io::sys::raise_descriptor_limit;
use clawdia::io::tls::Acceptor;
use clawdia::io::tls::certificate::Place;
use clawdia::io::tls::server::Maker;
use clawdia_tools::echo::{Echo, LIMITS, Mode};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (words, tls) = match words[..] {
        [port, mode] => ([port, mode], None),
        [port, mode, "--tls", file] => ([port, mode], Some(PathBuf::from(file))),
        _ => ([""; 2], None),
    };
    let (port, mode) = match words {
        [port, "echo"] => (port.parse(), Mode::Echo),
        [port, "broadcast"] => (port.parse(), Mode::Broadcast),
        [port, "events"] => (port.parse(), Mode::Events),
        _ => {
            eprintln!("usage: wire-echo PORT echo|broadcast|events [--tls FILE]");
            return ExitCode::from(64);
        }
    };
    let Ok(port) = port else {
        eprintln!("wire-echo: not a port");
        return ExitCode::from(64);
    };
    match serve(port, mode, tls) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wire-echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16, mode: Mode, tls: Option<PathBuf>) -> io::Result<()> {
    raise_descriptor_limit();
    let acceptor = tls.map(acceptor).transpose()?;
    let listener = Listener::bind_tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    if let PeerAddr::Tcp(addr) = listener.local_addr()? {
        println!("READY {}", addr.port());
        io::stdout().flush()?;
    }
    let mut reactor = Reactor::new(vec![listener], Settings::open(LIMITS))?;
    if let Some(acceptor) = acceptor {
        reactor.secure(acceptor);
    }
    reactor.watch(Signals::watch()?)?;
    reactor.run(&mut Echo::new(mode))
}

fn acceptor(file: PathBuf) -> io::Result<Acceptor> {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let pair = Place::Own(file).load_or_create(&names, clock::now());
    let maker = Maker::new().map_err(io::Error::other)?;
    maker
        .acceptor(&pair.map_err(io::Error::other)?)
        .map_err(io::Error::other)
}
