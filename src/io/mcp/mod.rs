//! The threads of servers of tools: one a server, which begins it, listens, and begins it again
//! when it ended. Closing a server, and the end of the gateway, end its program and cut its
//! requests.

mod http;
mod lines;
mod stdio;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::config::types::McpServer;
use crate::limits::{
    ANSWERS_PER_TURN_MAX, MCP_ORDERS_MAX, MCP_RESTART_MS, MCP_STACK_BYTES, MCP_STEADY_MS,
};
use crate::mcp::{Call, Dialog, Event, News, Order, Report};

/// The loop's end of all servers.
pub struct Servers {
    open: BTreeMap<u64, Handle>,
    out: Sender<Report>,
    reports: Receiver<Report>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// Each thread holds a sender; disconnected means that all have ended.
    ended: (Sender<()>, Receiver<()>),
}

/// Dropping it ends the server.
struct Handle {
    commands: Sender<Command>,
    /// A byte means that there is a command, its end that there will be none.
    bell: UnixStream,
}

/// What a server's thread is told.
enum Command {
    Call { ticket: u64, call: Call },
    Cancel { ticket: u64 },
}

/// A server's thread's end.
struct Inbox {
    commands: Receiver<Command>,
    bell: UnixStream,
}

/// Who hears what there is to tell of one server.
type Tell<'a> = &'a dyn Fn(News);

/// How a connection with a server came to its end.
enum Life {
    /// It is used no more.
    Closed,
    /// It ended; why, for people.
    Ended(String),
}

impl Servers {
    /// No server yet. `wake` is called after each report.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (out, reports) = bounded(ANSWERS_PER_TURN_MAX);
        Self {
            open: BTreeMap::new(),
            out,
            reports,
            wake,
            ended: bounded(0),
        }
    }

    /// Something about a server, if there is any.
    pub fn try_report(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// Does what the core asks for; a report that comes of it at once. Never blocks.
    pub fn perform(&mut self, order: Order) -> Option<Report> {
        let (slot, news) = match order {
            Order::Open { slot, name, server } => {
                (slot, self.open(slot, &name, server).err().map(down))
            }
            Order::Close { slot } => {
                self.open.remove(&slot);
                (slot, None)
            }
            Order::Call { slot, ticket, call } => {
                let given = self.give(slot, Command::Call { ticket, call });
                let fault = || Err("too many calls of this server wait".to_owned());
                let news = || News::Done {
                    ticket,
                    result: fault(),
                };
                (slot, (!given).then(news))
            }
            Order::Cancel { slot, ticket } => {
                // One that finds no place is answered to nobody.
                self.give(slot, Command::Cancel { ticket });
                (slot, None)
            }
        };
        news.map(|news| Report { slot, news })
    }

    fn open(&mut self, slot: u64, name: &str, server: Arc<McpServer>) -> std::io::Result<()> {
        let (commands, orders) = bounded(MCP_ORDERS_MAX);
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        let inbox = Inbox {
            commands: orders,
            bell: heard,
        };
        let (out, wake, ended) = (self.out.clone(), self.wake.clone(), self.ended.0.clone());
        let life = move || {
            let tell = move |news| {
                // A loop that is gone wants to know nothing.
                let _ = out.send(Report { slot, news });
                wake();
            };
            keep(&server, &inbox, &tell);
            drop(ended);
        };
        spawn(&format!("mcp-{name}"), life)?;
        self.open.insert(slot, Handle { commands, bell });
        Ok(())
    }

    fn give(&mut self, slot: u64, command: Command) -> bool {
        let Some(handle) = self.open.get_mut(&slot) else {
            return false;
        };
        let given = handle.commands.try_send(command).is_ok();
        // A bell that is full rings already.
        let _ = handle.bell.write(&[0]);
        given
    }

    /// Ends all servers and waits for it, at most `time`.
    pub fn stop(self, time: Duration) {
        let Self {
            open,
            reports,
            ended,
            ..
        } = self;
        // What nobody hears any more must not hold a thread up.
        drop(reports);
        drop(open);
        let (held, all) = ended;
        drop(held);
        // Nobody sends: it is over when all threads are, or when the time is.
        let _ = all.recv_deadline(Instant::now() + time);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name(name.chars().take(15).collect())
        .stack_size(MCP_STACK_BYTES)
        .spawn(work)
        .map(drop)
}

fn down(fault: impl ToString) -> News {
    News::Down {
        fault: fault.to_string(),
        again_ms: 0,
    }
}

/// A server's whole time: again and again, ever less often while it does not work.
fn keep(server: &McpServer, inbox: &Inbox, tell: Tell<'_>) {
    let (first_ms, longest_ms) = MCP_RESTART_MS;
    let mut again_ms = first_ms;
    loop {
        let began = Instant::now();
        let live = AssertUnwindSafe(|| match &server.url {
            Some(url) => http::live(url, server, inbox, tell),
            None => stdio::live(server, inbox, tell),
        });
        let life = catch_unwind(live).unwrap_or_else(|_| {
            Life::Ended("it failed by a fault of the gateway itself".to_owned())
        });
        let Life::Ended(fault) = life else {
            return;
        };
        if began.elapsed() >= Duration::from_millis(MCP_STEADY_MS) {
            again_ms = first_ms;
        }
        tell(News::Down { fault, again_ms });
        if !inbox.rest(Duration::from_millis(again_ms), tell) {
            return;
        }
        again_ms = (again_ms * 2).min(longest_ms);
    }
}

impl Inbox {
    /// Waits; whether the server is still used. Nobody is called meanwhile.
    fn rest(&self, time: Duration, tell: Tell<'_>) -> bool {
        let until = Instant::now() + time;
        loop {
            match self.commands.recv_deadline(until) {
                Ok(Command::Call { ticket, .. }) => tell(News::Done {
                    ticket,
                    result: Err("the server does not run".to_owned()),
                }),
                Ok(Command::Cancel { .. }) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}

impl Command {
    fn tell(self, dialog: &mut Dialog) {
        match self {
            Self::Call { ticket, call } => dialog.call(ticket, call),
            Self::Cancel { ticket } => dialog.cancel(ticket),
        }
    }
}
