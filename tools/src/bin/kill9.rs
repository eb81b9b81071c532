//! Kills a gateway under load again and again, and holds what is left against what it promised.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use argh::FromArgs;
use clawdia::client::identity::Identity;
use clawdia::driver::Seeded;
use clawdia_tools::gateway::Home;
use clawdia_tools::kill9::Access;
use clawdia_tools::kill9::keeper::Keeper;
use clawdia_tools::kill9::talker::Talker;
use clawdia_tools::kill9::verify::Verifier;

/// Clients that send messages at the same time.
const TALKERS: u64 = 3;
/// The longest time that the load lasts before the kill.
const LIFE_MS: u64 = 400;
/// One start in so many is killed as well, within this time.
const KILLED_STARTS: (u64, u64) = (8, 40);

/// Kill a gateway with SIGKILL while clients use it, start it again, and check that whatever it
/// acknowledged is there, once. Ends with 1 where it is not.
#[derive(FromArgs)]
struct Args {
    /// go on for so many seconds
    #[argh(option)]
    seconds: Option<u64>,
    /// kill so many times (200)
    #[argh(option)]
    kills: Option<u64>,
    /// what the random choices come from (the time)
    #[argh(option)]
    seed: Option<u64>,
    /// the program (target/release/clawdia)
    #[argh(positional, default = "PathBuf::from(\"target/release/clawdia\")")]
    program: PathBuf,
}

fn main() -> ExitCode {
    clawdia_tools::ended("kill9", run(&argh::from_env()))
}

fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let seed = args.seed.unwrap_or_else(seed_of_the_time);
    println!("seed {seed}");
    let begun = Instant::now();
    let goes_on = |kills: u64| match (args.kills, args.seconds) {
        (Some(most), _) => kills < most,
        (None, Some(seconds)) => begun.elapsed() < Duration::from_secs(seconds),
        (None, None) => kills < 200,
    };
    let mut siege = Siege::new(Home::new(&args.program)?, seed)?;
    while siege.faults.is_empty() && goes_on(siege.kills) {
        siege.one_life()?;
    }
    if siege.faults.is_empty() {
        siege.last_life()?;
    }
    Ok(siege.report(begun.elapsed()))
}

fn seed_of_the_time() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_millis() as u64)
}

/// The gateway's home and all clients, over its lives.
struct Siege {
    home: Home,
    random: Seeded,
    talkers: Vec<Talker>,
    keeper: Keeper,
    observer: Identity,
    life: u32,
    shared: u64,
    kills: u64,
    verified: u64,
    faults: Vec<String>,
}

impl Siege {
    fn new(home: Home, seed: u64) -> Result<Self, Box<dyn Error>> {
        let mut random = Seeded(seed);
        let keys = home.path().join("keys");
        let key = |name: &str| Identity::load_or_create(&keys.join(name));
        let mut talkers = Vec::new();
        for number in 0..TALKERS {
            let name = format!("t{number}");
            let identity = key(&name)?;
            talkers.push(Talker::new(name, identity, random.fork(), number == 0));
        }
        Ok(Self {
            talkers,
            keeper: Keeper::new(&keys, random.fork()),
            observer: key("observer")?,
            home,
            random,
            life: 0,
            shared: 0,
            kills: 0,
            verified: 0,
            faults: Vec::new(),
        })
    }

    /// Start, look, load, kill.
    fn one_life(&mut self) -> Result<(), Box<dyn Error>> {
        if self.random.below(KILLED_STARTS.0) == 0 {
            let mut child = self.home.spawn()?;
            thread::sleep(Duration::from_millis(self.random.below(KILLED_STARTS.1)));
            child.kill()?;
            child.wait()?;
            self.kills += 1;
        }
        let gateway = self.home.start()?;
        let access = self.access(&gateway.url())?;
        self.look(&access, Verifier::look)?;
        if !self.faults.is_empty() {
            return Ok(());
        }
        let life_ms = self.random.below(LIFE_MS + 1);
        thread::scope(|scope| {
            for talker in &mut self.talkers {
                scope.spawn(|| talker.talk(&access));
            }
            scope.spawn(|| self.keeper.keep(&access));
            thread::sleep(Duration::from_millis(life_ms));
            access.will_be_killed();
            gateway.kill();
        });
        self.kills += 1;
        self.life += 1;
        self.shared = access.shared.into_inner();
        self.gather_faults();
        Ok(())
    }

    /// Start, look at everything, and an orderly end.
    fn last_life(&mut self) -> Result<(), Box<dyn Error>> {
        let gateway = self.home.start()?;
        let access = self.access(&gateway.url())?;
        self.look(&access, Verifier::look)?;
        self.look(&access, Verifier::look_at_all)?;
        let status = gateway.stop()?;
        if !status.success() {
            self.faults
                .push(format!("asked to end, it ended with {status}"));
        }
        Ok(())
    }

    fn access(&self, url: &clawdia::client::GatewayUrl) -> Result<Access, Box<dyn Error>> {
        let secret = self.home.token()?;
        let dir = self.home.path();
        Ok(Access::new(
            url.clone(),
            &secret,
            dir,
            self.life,
            self.shared,
        ))
    }

    fn look<'a>(
        &mut self,
        access: &'a Access,
        how: impl FnOnce(
            &mut Verifier<'a>,
            &mut [Talker],
            &mut Keeper,
        ) -> Result<(), clawdia::client::ClientError>,
    ) -> Result<(), Box<dyn Error>> {
        let mut verifier = Verifier::new(access, &self.observer, self.random.fork())?;
        if let Err(error) = how(&mut verifier, &mut self.talkers, &mut self.keeper) {
            self.faults
                .push(format!("while looking: {error} ({:?})", error.kind));
        }
        self.verified += verifier.verified;
        self.faults.append(&mut verifier.faults);
        self.gather_faults();
        Ok(())
    }

    fn gather_faults(&mut self) {
        for talker in &mut self.talkers {
            self.faults.append(&mut talker.faults);
        }
        self.faults.append(&mut self.keeper.faults);
    }

    /// Prints what happened; false where something was not as promised.
    fn report(self, took: Duration) -> bool {
        let talked: u64 = self.talkers.iter().map(|talker| talker.acknowledged).sum();
        let sent: usize = self
            .talkers
            .iter()
            .map(|talker| talker.messages.len())
            .sum();
        println!(
            "{} kills in {} s: {sent} messages and {} devices, {} answers acknowledged, {} checks, {} faults",
            self.kills,
            took.as_secs(),
            self.keeper.devices.len(),
            talked + self.keeper.acknowledged,
            self.verified,
            self.faults.len(),
        );
        if self.faults.is_empty() {
            return true;
        }
        for fault in &self.faults {
            println!("FAULT in life {}: {fault}", self.life);
        }
        println!("the gateway's home is {}", self.home.keep().display());
        false
    }
}
