//! What the servers to be compared with share: arguments, the port, and who is connected.
//!
//! Each is written as its library's own examples are, on one thread, without limits or state.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

/// A message on its way to every connection.
pub type Shared = Rc<[u8]>;

/// Everybody who is connected.
#[derive(Clone, Default)]
pub struct Hub {
    senders: Rc<RefCell<Vec<UnboundedSender<Shared>>>>,
}

impl Hub {
    /// One more; gives what is sent to everybody from now on.
    pub fn join(&self) -> UnboundedReceiver<Shared> {
        let (sender, receiver) = unbounded_channel();
        self.senders.borrow_mut().push(sender);
        receiver
    }

    /// To everybody; who has gone is forgotten.
    pub fn send(&self, message: &[u8]) {
        let shared: Shared = message.into();
        let is_there = |sender: &UnboundedSender<Shared>| sender.send(shared.clone()).is_ok();
        self.senders.borrow_mut().retain(is_there);
    }
}

/// What a server does with a message.
#[derive(Clone)]
pub enum Mode {
    /// Sends it back.
    Echo,
    /// Sends it to everybody.
    Broadcast(Hub),
}

/// Serves `PORT echo|broadcast` of the command line, each connection with `serve`.
///
/// # Errors
///
/// When the arguments are others, or the port is taken.
pub fn run<F>(serve: impl Fn(TcpStream, Mode) -> F) -> io::Result<()>
where
    F: Future + 'static,
{
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (port, mode) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [port, "echo"] => (port.parse(), Mode::Echo),
        [port, "broadcast"] => (port.parse(), Mode::Broadcast(Hub::default())),
        _ => return Err(io::Error::other("usage: PORT echo|broadcast")),
    };
    let port: u16 = port.map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        println!("READY {}", listener.local_addr()?.port());
        io::stdout().flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(serve(stream, mode.clone()));
        }
    })
}
