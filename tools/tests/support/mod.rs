//! The loop on a thread, behind it a program that does what the tests' messages say.
#![allow(dead_code)] // Each test program uses a part of it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clawdia::ids::ConnId;
use clawdia::io::app::{Admit, Answer, App, Closed, Command, Message, Settings};
use clawdia::io::reactor::Reactor;
use clawdia::io::signals::Signal;
use clawdia::io::socket::{Listener, PeerAddr};
use clawdia::now::Now;
use clawdia::outbox::{Outbox, Turn};
use clawdia::wire::frame::Opcode;
use clawdia::wire::http::{Head, Refusal};
use clawdia::wire::respond::write_response;
use clawdia_tools::client::{connect, masked_frame};
use clawdia_tools::echo::{Echo, Mode};

/// Longest body that the test program takes.
pub const BODY_MAX: usize = 100_000;
/// What the message `flood` is answered with.
pub const FLOOD_BYTES: usize = 300_000;

/// An echo server that also obeys.
pub struct Probe {
    echo: Echo,
    closed: Sender<Closed>,
    orders: Receiver<Command>,
    commands: VecDeque<Command>,
    accepted: Vec<ConnId>,
    /// From this many connections on, each new one takes the place of the first.
    connections_max: usize,
    later: Option<ConnId>,
    /// Called with every message before it is obeyed.
    pub on_text: fn(&[u8]),
    queued_most: Arc<AtomicUsize>,
}

impl Probe {
    fn answer(&mut self, conn: ConnId, keep: bool, body: &[u8]) {
        let mut response = Vec::new();
        write_response(&mut response, 200, keep, &[], body);
        if let Some((outbox, turn)) = self.echo.outbox(conn) {
            outbox.bytes(turn, &response);
        }
    }
}

impl App for Probe {
    fn on_accept(&mut self, now: Now, conn: ConnId, from: &PeerAddr) -> Admit {
        self.echo.on_accept(now, conn, from);
        self.accepted.push(conn);
        if self.accepted.len() > self.connections_max {
            return Admit::Evict(self.accepted.remove(0));
        }
        Admit::Yes
    }

    fn on_upgrade(&mut self, now: Now, conn: ConnId, head: &Head<'_>) -> Result<(), Refusal> {
        self.echo.on_upgrade(now, conn, head)
    }

    fn on_open(&mut self, now: Now, conn: ConnId) {
        self.echo.on_open(now, conn);
    }

    fn on_request_head(&mut self, _: Now, _: ConnId, head: &Head<'_>) -> Result<usize, Refusal> {
        if head.target == "/secret" {
            return Err(Refusal::new(401, "no"));
        }
        let len = usize::try_from(head.content_len()?).unwrap_or(usize::MAX);
        match len <= BODY_MAX {
            true => Ok(len),
            false => Err(Refusal::new(413, "body too long")),
        }
    }

    fn on_request(&mut self, _: Now, conn: ConnId, head: &Head<'_>, body: &[u8]) -> Answer {
        if head.target == "/later" {
            self.later = Some(conn);
            return Answer::Later;
        }
        let keep = head.keeps_alive();
        self.answer(conn, keep, body);
        Answer::Whole { keep }
    }

    fn on_message(&mut self, now: Now, conn: ConnId, message: Message<'_>) {
        (self.on_text)(message.bytes());
        match message.bytes() {
            b"promote" => self.commands.push_back(Command::Promote(conn)),
            b"close" => {
                let reason = "as asked".to_owned();
                self.commands.push_back(Command::Close {
                    conn,
                    code: 4001,
                    reason,
                });
            }
            b"flood" => {
                if let Some((outbox, turn)) = self.echo.outbox(conn) {
                    outbox.frame(turn, Opcode::Binary as u8, &vec![0; FLOOD_BYTES]);
                }
                return;
            }
            b"panic" => panic!("the program's own"),
            _ => {}
        }
        self.echo.on_message(now, conn, message);
    }

    fn on_closed(&mut self, now: Now, conn: ConnId, why: Closed) -> Outbox {
        self.accepted.retain(|id| *id != conn);
        // A test that has seen enough has dropped the other end.
        let _ = self.closed.send(why);
        self.echo.on_closed(now, conn, why)
    }

    fn outbox(&mut self, conn: ConnId) -> Option<(&mut Outbox, &mut Turn)> {
        self.echo.outbox(conn)
    }

    fn queued_len(&self, conn: ConnId) -> usize {
        self.echo.queued_len(conn)
    }

    fn turn(&mut self) -> &mut Turn {
        self.echo.turn()
    }

    fn poll_dirty(&mut self) -> Option<(ConnId, &mut Outbox, &mut Turn)> {
        let queued = self.echo.turn().queued_total();
        self.queued_most.fetch_max(queued, Ordering::Relaxed);
        self.echo.poll_dirty()
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn collect(&mut self, _: Now) -> bool {
        while let Ok(order) = self.orders.try_recv() {
            if order == Command::StopAccepting {
                // Stands for a worker's answer to the request that waits.
                if let Some(conn) = self.later.take() {
                    self.answer(conn, true, b"late");
                    self.commands
                        .push_back(Command::Answered { conn, keep: true });
                }
            } else {
                self.commands.push_back(order);
            }
        }
        false
    }

    fn expire(&mut self, _: Now) {}

    fn next_deadline_ms(&self) -> Option<u64> {
        None
    }

    fn on_signal(&mut self, _: Now, _: Signal) {}
}

/// A loop that serves on a free port until it is dropped.
pub struct Server {
    pub addr: SocketAddr,
    pub closed: Receiver<Closed>,
    queued_most: Arc<AtomicUsize>,
    orders: Sender<Command>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

/// How a test's server differs from an echo server.
pub struct Options {
    pub settings: Settings,
    pub connections_max: usize,
    pub on_text: fn(&[u8]),
}

impl Default for Options {
    fn default() -> Self {
        let settings = Settings::open(clawdia_tools::echo::LIMITS);
        Self {
            settings,
            connections_max: usize::MAX,
            on_text: |_| {},
        }
    }
}

impl Server {
    pub fn start(options: Options) -> Self {
        let listener = Listener::bind_tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let PeerAddr::Tcp(addr) = listener.local_addr().unwrap() else {
            panic!("not an address")
        };
        let mut reactor = Reactor::new(vec![listener], options.settings).unwrap();
        let waker = reactor.waker();
        let (closed_sender, closed) = channel();
        let (orders, orders_receiver) = channel();
        let queued_most = Arc::new(AtomicUsize::new(0));
        let mut probe = Probe {
            echo: Echo::new(Mode::Echo),
            closed: closed_sender,
            orders: orders_receiver,
            commands: VecDeque::new(),
            accepted: Vec::new(),
            connections_max: options.connections_max,
            later: None,
            on_text: options.on_text,
            queued_most: Arc::clone(&queued_most),
        };
        let thread = std::thread::spawn(move || reactor.run(&mut probe).unwrap());
        Self {
            addr,
            closed,
            queued_most,
            orders,
            waker,
            thread: Some(thread),
        }
    }

    pub fn order(&self, command: Command) {
        self.orders.send(command).unwrap();
        self.waker.wake().unwrap();
    }

    /// The most bytes that ever waited in all outboxes together.
    pub fn queued_most(&self) -> usize {
        self.queued_most.load(Ordering::Relaxed)
    }

    /// Why the next connection ended.
    pub fn next_closed(&self) -> Closed {
        self.closed.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    pub fn open(&self) -> Client {
        Client(connect(self.addr).unwrap())
    }

    /// A socket on which nothing was said yet.
    pub fn dial(&self) -> Client {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Client(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A loop that panicked, as one test wants, is no longer there to be stopped.
        let _ = self.orders.send(Command::Stop);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client that reads when the test says so.
pub struct Client(pub TcpStream);

impl Client {
    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.0.write_all(&masked_frame(opcode, payload)).unwrap();
    }

    /// The next frame's opcode and payload.
    pub fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head)?;
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                self.0.read_exact(&mut len)?;
                usize::from(u16::from_be_bytes(len))
            }
            127 => {
                let mut len = [0; 8];
                self.0.read_exact(&mut len)?;
                u64::from_be_bytes(len) as usize
            }
            len => usize::from(len),
        };
        let mut payload = vec![0; len];
        self.0.read_exact(&mut payload)?;
        Ok((head[0] & 0x0f, payload))
    }

    /// Sends a text and expects it back.
    pub fn echo(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes());
        assert_eq!(self.frame().unwrap(), (1, text.as_bytes().to_vec()));
    }

    /// The next frame is a close frame; its code and reason.
    pub fn close_frame(&mut self) -> (u16, String) {
        let (opcode, payload) = self.frame().unwrap();
        assert_eq!(opcode, 8);
        let reason = String::from_utf8(payload[2..].to_vec()).unwrap();
        (u16::from_be_bytes([payload[0], payload[1]]), reason)
    }

    /// Everything until the server ends the connection in an orderly way.
    pub fn read_out(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// As much as `end` is at the end of.
    pub fn until(&mut self, end: &[u8]) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(end) {
            self.0.read_exact(&mut byte).unwrap();
            bytes.push(byte[0]);
        }
        String::from_utf8(bytes).unwrap()
    }
}

/// Fails a test that would otherwise wait for ever.
pub fn patience() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
