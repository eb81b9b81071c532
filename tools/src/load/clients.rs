//! Load on one thread: many connections, each with some messages under way.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clawdia::outbox::{Outbox, Turn};
use clawdia::wire::frame::Opcode;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::{connect, masked_frame, server_frame};
use crate::echo::event_frame;
use crate::process::resident_bytes;

/// Longest wait for a socket: the deadline is looked at so often.
const POLL_MAX: Duration = Duration::from_millis(500);

/// What to send, and when to give up.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub addr: SocketAddr,
    pub connections: usize,
    pub in_flight: usize,
    pub payload_bytes: usize,
    pub deadline: Instant,
    /// Each message comes back inside an event; otherwise as it is.
    pub events: bool,
}

/// Open connections and what was counted on them.
pub struct Clients {
    load: Load,
    poll: Poll,
    clients: Vec<Client>,
    request: Vec<u8>,
    reply: Vec<u8>,
    /// Microseconds from each publication to each of its deliveries.
    pub waits: Vec<u32>,
}

struct Client {
    stream: TcpStream,
    /// Bytes of replies that came.
    received: u64,
    /// Bytes of requests that the kernel has not taken yet.
    unsent: Vec<u8>,
}

impl Clients {
    /// Connects and upgrades all of them.
    ///
    /// # Errors
    ///
    /// When one of them is refused.
    pub fn connect(load: Load) -> io::Result<Self> {
        let payload = vec![b'a'; load.payload_bytes];
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            let stream = connect(load.addr)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(
                &mut stream,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            clients.push(Client {
                stream,
                received: 0,
                unsent: Vec::new(),
            });
        }
        let request = masked_frame(Opcode::Text, &payload);
        let reply = if load.events {
            event_reply(&payload)
        } else {
            server_frame(Opcode::Text, &payload)
        };
        Ok(Self {
            load,
            poll,
            clients,
            request,
            reply,
            waits: Vec::new(),
        })
    }

    /// Every connection sends its share of so many messages and waits for each one to come back.
    ///
    /// # Errors
    ///
    /// When a connection breaks, a reply is not what was sent, or time is up.
    pub fn echo(&mut self, messages: usize) -> io::Result<()> {
        let Load {
            in_flight,
            connections,
            ..
        } = self.load;
        let share = messages / connections;
        let mut sent = vec![0; connections];
        for (index, sent) in sent.iter_mut().enumerate() {
            *sent = in_flight.min(share);
            self.clients[index].send(&self.request, *sent)?;
        }
        let before: Vec<u64> = self.clients.iter().map(|client| client.received).collect();
        let reply_len = self.reply.len() as u64;
        let mut socket = Socket::default();
        let mut open = connections * usize::from(share > 0);
        while open > 0 {
            self.turn(&mut socket, POLL_MAX, |clients, request, index| {
                let came = ((clients[index].received - before[index]) / reply_len) as usize;
                let wanted = (came + in_flight).min(share) - sent[index];
                sent[index] += wanted;
                clients[index].send(request, wanted)?;
                let whole = clients[index].received - before[index] == share as u64 * reply_len;
                open -= usize::from(whole);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The first connection sends so many messages, each of which comes back on all of them: so many a second, or
    /// as many as are to be under way. How long each delivery took is added to `waits`.
    ///
    /// # Errors
    ///
    /// As for [`Clients::echo`].
    pub fn broadcast(&mut self, messages: usize, rate: Option<u32>) -> io::Result<()> {
        let Load {
            in_flight,
            connections,
            ..
        } = self.load;
        let begun = Instant::now();
        let reply_len = self.reply.len() as u64;
        let before: Vec<u64> = self.clients.iter().map(|client| client.received).collect();
        let mut published: Vec<Instant> = Vec::with_capacity(messages);
        let mut delivered = vec![0; connections];
        let (mut deliveries, all) = (0, messages * connections);
        let mut waits = std::mem::take(&mut self.waits);
        waits.reserve(all);
        let mut socket = Socket::default();
        while deliveries < all {
            let (due, pause) = match rate {
                None => (deliveries / connections + in_flight, POLL_MAX),
                Some(rate) => due(rate, begun.elapsed()),
            };
            let wanted = due.min(messages).saturating_sub(published.len());
            published.extend(std::iter::repeat_n(Instant::now(), wanted));
            self.clients[0].send(&self.request, wanted)?;
            self.turn(&mut socket, pause, |clients, _, index| {
                let came = ((clients[index].received - before[index]) / reply_len) as usize;
                let now = Instant::now();
                let taken = published.get(delivered[index]..came).ok_or_else(unasked)?;
                waits.extend(taken.iter().map(|at| (now - *at).as_micros() as u32));
                deliveries += taken.len();
                delivered[index] = came;
                Ok(())
            })?;
        }
        self.waits = waits;
        Ok(())
    }

    /// Waits for replies, once, and gives each connection that has some to `on_bytes`.
    fn turn(
        &mut self,
        socket: &mut Socket,
        timeout: Duration,
        mut on_bytes: impl FnMut(&mut [Client], &[u8], usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let Socket { events, buffer } = socket;
        self.poll.poll(events, Some(timeout))?;
        if Instant::now() > self.load.deadline {
            return Err(io::Error::other("time is up"));
        }
        for event in &*events {
            let index = event.token().0;
            self.clients[index].send(&[], 0)?;
            while let Some(len) = self.clients[index].receive(buffer, &self.reply)? {
                on_bytes(&mut self.clients, &self.request, index)?;
                if len < buffer.len() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What reading takes.
struct Socket {
    events: Events,
    buffer: Vec<u8>,
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            events: Events::with_capacity(1_024),
            buffer: vec![0; 1 << 20],
        }
    }
}

/// How many messages are due after a while, at so many a second, and how long it is until the next is.
fn due(rate: u32, elapsed: Duration) -> (usize, Duration) {
    let rate = u128::from(rate.max(1));
    let due = elapsed.as_nanos() * rate / 1_000_000_000 + 1;
    let next = Duration::from_nanos((due * 1_000_000_000 / rate) as u64);
    (due as usize, next.saturating_sub(elapsed).min(POLL_MAX))
}

fn unasked() -> io::Error {
    io::Error::other("more came than was published")
}

impl Client {
    fn send(&mut self, request: &[u8], times: usize) -> io::Result<()> {
        for _ in 0..times {
            self.unsent.extend_from_slice(request);
        }
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Counts what is there; `None` when nothing is.
    fn receive(&mut self, buffer: &mut [u8], reply: &[u8]) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(0) => Err(io::Error::other("the server closed a connection")),
            Ok(len) => {
                let at = (self.received % reply.len() as u64) as usize;
                // Of an event, the number behind the first half is the receiver's own.
                let head_len = len.min((reply.len() / 2).saturating_sub(at));
                if buffer[..head_len] != reply[at..at + head_len] {
                    return Err(io::Error::other("a reply is not what was sent"));
                }
                self.received += len as u64;
                Ok(Some(len))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn event_reply(payload: &[u8]) -> Vec<u8> {
    let mut turn = Turn::default();
    let mut outbox = Outbox::default();
    let frame = event_frame(&mut turn, &String::from_utf8_lossy(payload));
    outbox.shared(&mut turn, frame, 1);
    let mut reply = Vec::new();
    outbox.flush(&mut turn, |bytes: &[u8]| {
        reply.extend_from_slice(bytes);
        Some(bytes.len())
    });
    reply
}

/// Bytes of memory that each idle connection costs the server's process `pid`: once they are
/// open, and again after each of them has had a message sent back.
///
/// # Errors
///
/// When one of them is refused, or a message does not come back in time.
pub fn idle_bytes(load: Load, pid: u32) -> io::Result<(f64, f64)> {
    let each = |now: u64, before: u64| (now as f64 - before as f64) / load.connections as f64;
    // One connection and one message, so that what the server allocates once is there before.
    let once = Load {
        connections: 1,
        ..load
    };
    Clients::connect(once)?.echo(1)?;
    let empty = resident_bytes(pid)?;
    let mut clients = Clients::connect(load)?;
    let idle = resident_bytes(pid)?;
    clients.echo(load.connections)?;
    let after = resident_bytes(pid)?;
    Ok((each(idle, empty), each(after, empty)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_at_a_rate_is_due_one_by_one() {
        let ms = Duration::from_millis;
        assert_eq!(due(100, ms(0)), (1, ms(10)));
        assert_eq!(due(100, ms(9)), (1, ms(1)));
        assert_eq!(due(100, ms(10)), (2, ms(10)));
        assert_eq!(due(100, ms(1_005)), (101, ms(5)));
        assert_eq!(due(1, ms(100)).1, POLL_MAX);
    }
}
