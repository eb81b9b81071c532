//! Kills a gateway while nodes work for it, and counts how often each call acted.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use argh::FromArgs;
use clawdia::client::GatewayUrl;
use clawdia::client::identity::Identity;
use clawdia::driver::Seeded;
use clawdia_tools::gateway::{Home, Running};
use clawdia_tools::kill9::Access;
use clawdia_tools::kill9_nodes::caller::{Caller, Told};
use clawdia_tools::kill9_nodes::host::NodeHost;
use clawdia_tools::kill9_nodes::plain::PlainNode;

/// Clients that call at the same time.
const CALLERS: u64 = 3;
/// The longest time between a start and the kill.
const LIFE_MS: u64 = 1_200;
/// The last life ends when everything is told, and has failed after this time.
const LAST_LIFE: Duration = Duration::from_secs(120);

/// Kill a gateway with SIGKILL while calls of nodes are queued and running, start it again, and check that
/// each acted once on our node host, and never twice on a node without a journal. Ends with 1 where not.
#[derive(FromArgs)]
struct Args {
    /// kill so many times (200)
    #[argh(option, default = "200")]
    kills: u64,
    /// what the random choices come from (the time)
    #[argh(option)]
    seed: Option<u64>,
    /// the program (target/release/clawdia)
    #[argh(positional, default = "PathBuf::from(\"target/release/clawdia\")")]
    program: PathBuf,
}

fn main() -> ExitCode {
    clawdia_tools::ended("kill9-nodes", run(&argh::from_env()))
}

fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let seed = args.seed.unwrap_or_else(seed_of_the_time);
    println!("seed {seed}");
    let begun = Instant::now();
    let mut siege = Siege::new(args, seed)?;
    while siege.kills < args.kills && siege.faults().is_empty() {
        siege.one_life()?;
    }
    siege.last_life()?;
    siege.report(begun.elapsed())
}

fn seed_of_the_time() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_millis() as u64)
}

/// The gateway's home, its nodes and its callers.
struct Siege {
    home: Home,
    /// The same in every life: nodes know no other.
    port: u16,
    random: Seeded,
    host: NodeHost,
    plain: PlainNode,
    callers: Vec<Caller>,
    life: u32,
    kills: u64,
}

impl Siege {
    fn new(args: &Args, seed: u64) -> Result<Self, Box<dyn Error>> {
        let home = Home::new(&args.program)?;
        let first = home.start()?;
        let (port, url, secret) = (first.port, first.url(), home.token()?);
        let mut random = Seeded(seed);
        let mut host = NodeHost::new(&args.program, port, &home.state().join("gateway-token"))?;
        host.start()?;
        let keys = home.path().join("keys");
        let plain = PlainNode::start(&keys.join("plain"), url, &secret, random.fork())?;
        let mut callers = Vec::new();
        for number in 0..CALLERS {
            let name = format!("c{number}");
            let identity = Identity::load_or_create(&keys.join(&name))?;
            callers.push(Caller::new(name, identity, random.fork()));
        }
        let mut siege = Self {
            home,
            port,
            random,
            host,
            plain,
            callers,
            life: 0,
            kills: 0,
        };
        siege.pair(first)?;
        Ok(siege)
    }

    /// Both nodes have to be known before somebody can call them while they are away.
    fn pair(&mut self, gateway: Running) -> Result<(), Box<dyn Error>> {
        let access = self.access(gateway.url())?;
        let identity = Identity::load_or_create(&self.home.path().join("keys/observer"))?;
        let mut client = access.enter(&identity)?;
        let until = Instant::now() + LAST_LIFE;
        loop {
            let deadline = Instant::now() + LAST_LIFE;
            let listed = client.call("node.list", &serde_json::json!({}), deadline)?;
            let rows = listed["nodes"].as_array().map_or(0, Vec::len);
            if rows == 2 {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("the nodes do not come: {}", self.host.log()).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn nodes(&self) -> Result<[String; 2], Box<dyn Error>> {
        Ok([self.host.device_id()?, self.plain.device_id.clone()])
    }

    fn access(&self, url: GatewayUrl) -> Result<Access, Box<dyn Error>> {
        let secret = self.home.token()?;
        Ok(Access::new(url, &secret, self.home.path(), self.life, 0))
    }

    /// Start, call, kill.
    fn one_life(&mut self) -> Result<(), Box<dyn Error>> {
        let gateway = self.home.start_on(self.port)?;
        let access = self.access(gateway.url())?;
        let nodes = self.nodes()?;
        let life_ms = self.random.below(LIFE_MS + 1);
        thread::scope(|scope| {
            for caller in &mut self.callers {
                scope.spawn(|| caller.call(&access, &nodes, true));
            }
            thread::sleep(Duration::from_millis(life_ms));
            access.will_be_killed();
            gateway.kill();
        });
        self.kills += 1;
        self.life += 1;
        Ok(())
    }

    /// Start, ask until everything is told, and an orderly end.
    fn last_life(&mut self) -> Result<(), Box<dyn Error>> {
        let gateway = self.home.start_on(self.port)?;
        let access = self.access(gateway.url())?;
        let nodes = self.nodes()?;
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        thread::scope(|scope| {
            for caller in &mut self.callers {
                let (access, nodes, done) = (&access, &nodes, done.clone());
                scope.spawn(move || {
                    caller.call(access, nodes, false);
                    drop(done);
                });
            }
            drop(done);
            // Who hears nothing for so long never will.
            if is_done.recv_timeout(LAST_LIFE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                access.will_be_killed();
            }
            gateway.kill();
        });
        Ok(())
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.callers.iter().flat_map(|caller| &caller.faults);
        faults.cloned().collect()
    }

    /// Prints what happened; false where something was not as promised.
    fn report(self, took: Duration) -> Result<bool, Box<dyn Error>> {
        let mut faults = self.faults();
        let acted = [
            self.host.acted()?,
            self.plain
                .acted
                .lock()
                .map(|it| it.clone())
                .unwrap_or_default(),
        ];
        let mut done = [0_u64; 2];
        let mut unknown = [0_u64; 2];
        for call in self.callers.iter().flat_map(|caller| &caller.calls) {
            let times = acted[call.node].get(&call.key).copied().unwrap_or(0);
            let node = ["the node host", "the plain node"][call.node];
            match (&call.told, times) {
                (Told::Done, 1) => done[call.node] += 1,
                // Only a node without a journal leaves a doubt.
                (Told::Unknown, 0 | 1) if call.node == 1 => unknown[1] += 1,
                (told, times) => faults.push(format!(
                    "{} acted {times} times on {node}, and its caller was told {told:?}",
                    call.key
                )),
            }
        }
        println!(
            "{} kills in {} s: node host {} calls, each once; plain node {} once, {} unknown; {} faults",
            self.kills,
            took.as_secs(),
            done[0],
            done[1],
            unknown[1],
            faults.len(),
        );
        for fault in faults.iter().take(20) {
            println!("FAULT: {fault}");
        }
        if !faults.is_empty() {
            println!("the node host said last: {}", self.host.log());
            println!("the gateway's home is {}", self.home.keep().display());
        }
        Ok(faults.is_empty())
    }
}
