//! The least that an echo or broadcast server can do on this machine, to compare with.
//!
//!     wire-floor PORT echo|broadcast
//!
//! It trusts its peers: every request is an upgrade, every frame is whole, short, masked and good text.
//! No limits, no fragments, no state; one read and one write a turn. Never to be exposed to anyone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use clawdia::wire::emit;
use clawdia::wire::frame::{self, Opcode};
use clawdia::wire::mask::unmask;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct Floor {
    poll: Poll,
    peers: Vec<Option<TcpStream>>,
    /// Places of `peers` that are empty.
    free: Vec<usize>,
    broadcasts: bool,
    input: Vec<u8>,
    output: Vec<u8>,
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (port, broadcasts) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [port, mode @ ("echo" | "broadcast")] => (port.parse(), mode == "broadcast"),
        _ => return Err(io::Error::other("usage: wire-floor PORT echo|broadcast")),
    };
    clawdia::io::sys::raise_descriptor_limit();
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.map_err(io::Error::other)?));
    let mut listener = TcpListener::bind(addr)?;
    println!("READY {}", listener.local_addr()?.port());
    io::stdout().flush()?;
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut floor = Floor {
        poll,
        peers: Vec::new(),
        free: Vec::new(),
        broadcasts,
        input: vec![0; 64 * 1024],
        output: Vec::new(),
    };
    let mut events = Events::with_capacity(1_024);
    loop {
        floor.poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener)?,
                Token(index) if event.is_readable() => floor.serve(index),
                _ => {}
            }
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true)?;
            let at = self.free.pop().unwrap_or(self.peers.len());
            self.poll
                .registry()
                .register(&mut stream, Token(at), Interest::READABLE)?;
            match self.peers.get_mut(at) {
                Some(place) => *place = Some(stream),
                None => self.peers.push(Some(stream)),
            }
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) {
        // Whatever goes wrong, the peer is gone; that is all there is to it.
        if self.answer(index).is_err() && self.peers[index].take().is_some() {
            self.free.push(index);
        }
    }

    fn answer(&mut self, index: usize) -> io::Result<()> {
        let Some(stream) = &mut self.peers[index] else {
            return Ok(());
        };
        let len = match stream.read(&mut self.input) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            read => read?,
        };
        self.output.clear();
        if self.input[0] == b'G' {
            return stream.write_all(SWITCHING);
        }
        let mut rest = &mut self.input[..len];
        let mut closes = false;
        while let Ok(Some(head)) = frame::decode(rest) {
            let (whole, behind) = rest.split_at_mut(head.head_len + head.payload_len as usize);
            let payload = &mut whole[head.head_len..];
            closes |= head.opcode == Opcode::Close;
            if !unmask(payload, head.mask) && !closes && std::str::from_utf8(payload).is_err() {
                return Err(io::Error::other("no text"));
            }
            emit::frame(&mut self.output, head.opcode as u8, payload);
            rest = behind;
        }
        if closes {
            stream.write_all(&self.output)?;
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if self.broadcasts {
            for peer in self.peers.iter_mut().flatten() {
                peer.write_all(&self.output)?;
            }
            return Ok(());
        }
        stream.write_all(&self.output)
    }
}
