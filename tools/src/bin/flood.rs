//! Floods a gateway with connections that want nothing, and measures how who behaves fares.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use argh::FromArgs;
use clawdia::wire::frame::Opcode;
use clawdia_tools::client::{connect, masked_frame};
use clawdia_tools::gateway::{Home, Running};
use clawdia_tools::process::{highest_resident_bytes, resident_bytes};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A well-behaved handshake takes at most this long, 99 times of 100, on a slow machine as well. Whoever had
/// to wait until those are given up who say nothing would take longer.
const P99_MAX: Duration = Duration::from_secs(5);
/// What a flood may make the process grow by.
const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longer than the gateway's own deadline for a handshake.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Descriptors of this process besides those of the flood.
const OWN_DESCRIPTORS: u64 = 256;

/// Flood a gateway with half-open connections, slow heads and guesses, and check that a
/// well-behaved client still gets in within seconds, that memory stays bounded and that nothing
/// stays behind. Ends with 1 where that does not hold.
#[derive(FromArgs)]
struct Args {
    /// half-open connections (5000)
    #[argh(option, default = "5000")]
    half_open: usize,
    /// connections that send a byte of their head at a time (1000)
    #[argh(option, default = "1000")]
    slow: usize,
    /// wrong guesses (5000)
    #[argh(option, default = "5000")]
    guesses: usize,
    /// well-behaved handshakes during each flood (200)
    #[argh(option, default = "200")]
    handshakes: usize,
    /// the program (target/release/clawdia)
    #[argh(positional, default = "PathBuf::from(\"target/release/clawdia\")")]
    program: PathBuf,
}

fn main() -> ExitCode {
    clawdia_tools::ended("flood", run(&argh::from_env()))
}

fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let most = raise_descriptors();
    let half_open = args.half_open.min(most);
    let home = Home::new(&args.program)?;
    let gateway = home.start()?;
    let token = home.token()?;
    let siege = Siege {
        addr: SocketAddr::from(([127, 0, 0, 1], gateway.port)),
        resting_descriptors: descriptors(&gateway)?,
        resting_bytes: resident_bytes(gateway.pid())?,
        gateway,
        token,
        handshakes: args.handshakes,
    };
    let mut good = siege.measure("nothing else", || Ok(()))?;
    let mut held = Vec::new();
    good &= siege.measure(&format!("{half_open} half-open connections"), || {
        held = siege.hold(half_open, b"")?;
        Ok(())
    })?;
    drop(std::mem::take(&mut held));
    good &= siege.settled()?;
    good &= siege.measure(&format!("{} slow heads", args.slow), || {
        held = siege.hold(args.slow.min(most), b"GET / HTTP/1.1\r\nHost: ")?;
        Ok(())
    })?;
    for stream in &mut held {
        // One that was given up takes no more, which is what this is about.
        let _ = stream.write_all(b"1");
    }
    drop(held);
    good &= siege.settled()?;
    good &= siege.measure(&format!("{} guesses", args.guesses), || {
        siege.guess(args.guesses)
    })?;
    good &= siege.settled()?;
    let status = siege.gateway.stop()?;
    println!("it ended with {status}");
    Ok(good && status.success())
}

struct Siege {
    gateway: Running,
    addr: SocketAddr,
    token: String,
    handshakes: usize,
    resting_descriptors: usize,
    resting_bytes: u64,
}

impl Siege {
    /// Handshakes while `flood` goes on in a thread of its own, and after it.
    fn measure(
        &self,
        what: &str,
        flood: impl FnOnce() -> io::Result<()> + Send,
    ) -> io::Result<bool> {
        let took = thread::scope(|scope| {
            let flooding = scope.spawn(flood);
            let took: io::Result<Vec<Duration>> =
                (0..self.handshakes).map(|_| self.handshake()).collect();
            flooding
                .join()
                .map_err(|_| io::Error::other("the flood broke"))??;
            took
        });
        let mut took = took?;
        // And now that all of it is there.
        for _ in 0..self.handshakes {
            took.push(self.handshake()?);
        }
        took.sort_unstable();
        let p99 = took[(took.len() * 99 / 100).min(took.len() - 1)];
        let grown = highest_resident_bytes(self.gateway.pid())?.saturating_sub(self.resting_bytes);
        let good = p99 < P99_MAX && grown < GROWTH_BYTES_MAX;
        println!(
            "{what}: {} handshakes, p50 {:.1} ms, p99 {:.1} ms; grown by {} KiB{}",
            took.len(),
            ms(took[took.len() / 2]),
            ms(p99),
            grown / 1024,
            if good { "" } else { "  FAILED" },
        );
        Ok(good)
    }

    fn handshake(&self) -> io::Result<Duration> {
        let began = Instant::now();
        let mut stream = connect(self.addr)?;
        let params = format!(
            r#"{{"type":"req","id":"1","method":"connect","params":{{"minProtocol":3,"maxProtocol":3,
            "client":{{"id":"flood","version":"1","platform":"linux","mode":"test"}},
            "role":"operator","scopes":[],"auth":{{"token":"{}"}}}}}}"#,
            self.token
        );
        stream.write_all(&masked_frame(Opcode::Text, params.as_bytes()))?;
        let mut heard = Vec::new();
        let mut some = [0; 4096];
        while !heard.windows(8).any(|it| it == b"hello-ok") {
            match stream.read(&mut some)? {
                0 => return Err(io::Error::other("the gateway did not let us in")),
                len => heard.extend_from_slice(&some[..len]),
            }
        }
        Ok(began.elapsed())
    }

    /// Connections that have said no more than `start`. The gateway may give some of them up.
    fn hold(&self, count: usize, start: &[u8]) -> io::Result<Vec<TcpStream>> {
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = TcpStream::connect(self.addr)?;
            stream.set_nonblocking(true)?;
            let _ = stream.write_all(start);
            held.push(stream);
        }
        Ok(held)
    }

    /// Wrong secrets, as from another machine.
    fn guess(&self, count: usize) -> io::Result<()> {
        let mut locked = 0;
        for _ in 0..count {
            let mut stream = TcpStream::connect(self.addr)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            stream.write_all(
                b"POST /v1/responses HTTP/1.1\r\nHost: 192.0.2.2\r\nContent-Length: 9\r\n\
                  Authorization: Bearer wrong\r\n\r\n",
            )?;
            let mut status = [0; 12];
            stream.read_exact(&mut status)?;
            locked += usize::from(status.ends_with(b"429"));
        }
        println!("  {locked} of {count} guesses met a lock");
        match locked + 10 >= count {
            true => Ok(()),
            false => Err(io::Error::other("guesses were not locked out")),
        }
    }

    /// Whether every place comes back.
    fn settled(&self) -> io::Result<bool> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let now = descriptors(&self.gateway)?;
            if now <= self.resting_descriptors {
                return Ok(true);
            }
            if Instant::now() > deadline {
                let left = now - self.resting_descriptors;
                println!("  {left} descriptors are still held  FAILED");
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn descriptors(gateway: &Running) -> io::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", gateway.pid()))?.count())
}

/// How many connections this process can hold.
fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let left = now.unwrap_or(u64::MAX).saturating_sub(OWN_DESCRIPTORS);
    usize::try_from(left).unwrap_or(usize::MAX)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
