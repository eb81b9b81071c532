//! Tailscale beside the loop: a thread that publishes the gateway and takes it back, and one for
//! each question about a person. Nothing here holds the loop up, and everything has a deadline.

mod program;
mod whois;

use crate::limits::{TAILSCALE_EXIT_MS, TAILSCALE_MS, TAILSCALE_RETRY_MS, WHOIS_AT_ONCE_MAX};
use crate::tailnet::person::Person;
use crate::tailnet::serve::{Route, Standing};
use crate::tailnet::{Tailnet, node};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use program::Program;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is to be done about the tailnet.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The daemon's socket, where it is not the usual one.
    pub socket: Option<PathBuf>,
    /// Find out this machine's name.
    pub look: bool,
    /// Publish the gateway.
    pub publish: Option<Publish>,
}

/// How the gateway is published.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where it listens, such as `http://127.0.0.1:18789`; or why nothing can be published.
    pub target: Result<String, String>,
    /// To the whole internet.
    pub funnel: bool,
    /// Take it back at the end.
    pub reset_on_exit: bool,
}

/// What was found out.
pub enum Answer {
    Tailnet(Tailnet),
    /// Who is behind the address that was asked about; None where nobody is, or nobody says.
    Person {
        ticket: u64,
        person: Option<Person>,
    },
}

/// The loop's end of all that.
pub struct Keeper {
    socket: PathBuf,
    answers: Receiver<Answer>,
    found: Sender<Answer>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// One for each question that is not answered; more are not asked at a time.
    asking: Arc<()>,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Keeper {
    /// Starts the thread, if there is anything to do for it.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub fn start(wish: Wish, wake: Arc<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let (found, answers) = unbounded();
        let socket = wish.socket.clone();
        let mut keeper = Self {
            socket: socket.unwrap_or_else(|| whois::SOCKET.into()),
            answers,
            found,
            wake,
            asking: Arc::new(()),
            thread: None,
        };
        if wish.look || wish.publish.is_some() {
            let (stop, stopped) = bounded(1);
            let (found, wake) = (keeper.found.clone(), keeper.wake.clone());
            let tell = move |tailnet| {
                // A loop that has ended wants to know nothing more.
                let _ = found.send(Answer::Tailnet(tailnet));
                wake();
            };
            let thread = std::thread::Builder::new()
                .name("tailnet".into())
                .stack_size(256 * 1024)
                .spawn(move || Work::new(wish).run(tell, &stopped))?;
            keeper.thread = Some((stop, thread));
        }
        Ok(keeper)
    }

    /// Asks who is behind an address; the answer comes at once where too many are asked about.
    pub fn whois(&self, ticket: u64, ip: IpAddr) -> Option<Answer> {
        let unknown = Answer::Person {
            ticket,
            person: None,
        };
        if Arc::strong_count(&self.asking) > WHOIS_AT_ONCE_MAX {
            return Some(unknown);
        }
        let (socket, asking) = (self.socket.clone(), self.asking.clone());
        let (found, wake) = (self.found.clone(), self.wake.clone());
        let asked = std::thread::Builder::new()
            .name("whois".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                let person = whois::ask(&socket, ip);
                drop(asking);
                let _ = found.send(Answer::Person { ticket, person });
                wake();
            });
        asked.is_err().then_some(unknown)
    }

    /// The next answer, if there is one.
    pub fn try_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Ends the thread; it takes the route back first where that is wished for.
    pub fn stop(self) {
        if let Some((stop, thread)) = self.thread {
            drop(stop);
            // A panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

/// What the thread does.
struct Work {
    program: Program,
    publish: Option<Publish>,
    /// Set once it is verified to stand.
    route: Option<Route>,
}

impl Work {
    fn new(wish: Wish) -> Self {
        Self {
            program: Program {
                socket: wish.socket,
            },
            publish: wish.publish,
            route: None,
        }
    }

    /// Tries until it stands, tells each outcome, and takes it back at the end.
    fn run(mut self, tell: impl Fn(Tailnet), stopped: &Receiver<()>) {
        let mut wait_ms = TAILSCALE_RETRY_MS.0;
        loop {
            let mut tailnet = Tailnet::default();
            let went = self.establish(&mut tailnet, stopped);
            let stands = went.is_ok();
            tailnet.fault = went.err();
            tell(tailnet);
            if stands {
                // Nothing is ever sent: the end of the channel is what is waited for.
                let _ = stopped.recv();
                break;
            }
            match stopped.recv_timeout(Duration::from_millis(wait_ms)) {
                Err(RecvTimeoutError::Timeout) => {
                    wait_ms = (wait_ms * 2).min(TAILSCALE_RETRY_MS.1);
                }
                _ => break,
            }
        }
        let resets = self.publish.as_ref().is_some_and(|it| it.reset_on_exit);
        if let (true, Some(route)) = (resets, &self.route) {
            let deadline = Instant::now() + Duration::from_millis(TAILSCALE_EXIT_MS);
            // The process ends: whoever looks at the tailnet sees what stands.
            let _ = self.withdraw(route, deadline);
        }
    }

    fn establish(&mut self, found: &mut Tailnet, stopped: &Receiver<()>) -> Result<(), String> {
        let run = |words: &[String]| {
            let deadline = Instant::now() + Duration::from_millis(TAILSCALE_MS);
            self.program.run(words, deadline, Some(stopped))
        };
        let name = node::name(&run(&words("status --json --peers=false"))?)?;
        found.name = Some(name.clone());
        let Some(publish) = &self.publish else {
            return Ok(());
        };
        let route = Route {
            name,
            target: publish.target.clone()?,
            funnel: publish.funnel,
        };
        let look = || route.standing(&run(&words("serve status --json"))?);
        let standing = match look()? {
            Standing::Absent | Standing::OpenOtherwise => {
                run(&route.publish())?;
                look()?
            }
            settled => settled,
        };
        match standing {
            Standing::Ours => {
                found.url = Some(route.url());
                self.route = Some(route);
                Ok(())
            }
            Standing::Foreign(fault) => Err(fault),
            Standing::Absent => Err("`tailscale serve` said yes and did nothing".to_owned()),
            Standing::OpenOtherwise if route.funnel => {
                Err("`tailscale funnel` said yes, and no funnel leads here".to_owned())
            }
            // What was meant for the tailnet must not stand open to all.
            Standing::OpenOtherwise => {
                run(&route.withdraw())?;
                Err("taken back: a funnel led to it, and `tailscale serve` did not end that".into())
            }
        }
    }

    fn withdraw(&self, route: &Route, deadline: Instant) -> Result<(), String> {
        let run = |words: &[String]| self.program.run(words, deadline, None);
        let is_there = |standing| matches!(standing, Standing::Ours | Standing::OpenOtherwise);
        if is_there(route.standing(&run(&words("serve status --json"))?)?) {
            run(&route.withdraw())?;
        }
        Ok(())
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_asked_about_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("tailscaled.sock");
        // A daemon that takes connections and says nothing.
        let daemon = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let wish = Wish {
            socket: Some(socket),
            look: false,
            publish: None,
        };
        let keeper = Keeper::start(wish, Arc::new(|| {})).unwrap();
        let ip: IpAddr = "100.64.0.7".parse().unwrap();
        for ticket in 0..WHOIS_AT_ONCE_MAX as u64 {
            assert!(keeper.whois(ticket, ip).is_none(), "{ticket}");
        }
        let refused = keeper.whois(99, ip);
        assert!(matches!(
            refused,
            Some(Answer::Person {
                ticket: 99,
                person: None
            })
        ));
        drop(daemon);
    }
}
