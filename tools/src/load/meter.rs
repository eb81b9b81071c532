//! What a load cost the server, and who of both had time to sleep: where the server did not, its figures are its
//! own, and where it did while the generator was busy, they are the generator's.

use std::io;
use std::time::Instant;

use crate::figures::Table;
use crate::process::{own_cpu_us, process_cpu_us, schedule_us};

/// A load that has begun.
pub struct Meter {
    begun: Instant,
    server: Option<Server>,
    own_cpu_us: f64,
    own_waited_us: u64,
}

/// What the server had used when the load began, or has used by now.
#[derive(Clone, Copy)]
struct Server {
    pid: u32,
    cpu_us: u64,
    /// Of the thread with the loop: it ran, or waited for the core.
    awake_us: u64,
}

/// What a load cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Microseconds that it took.
    pub wall_us: f64,
    /// Microseconds of processor time of all threads of the server, if its process is known.
    pub server_us: Option<f64>,
    /// Share of the time in which the server's loop had nothing to do, percent.
    pub server_asleep: Option<f64>,
    /// The same of who made the load.
    pub own_asleep: f64,
}

impl Meter {
    /// Begins; `pid` is the server's process.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn begin(pid: Option<u32>) -> io::Result<Self> {
        Ok(Self {
            server: pid.map(Server::now).transpose()?,
            own_cpu_us: own_cpu_us(),
            own_waited_us: own_waited_us()?,
            begun: Instant::now(),
        })
    }

    /// Ends.
    ///
    /// # Errors
    ///
    /// When the server is gone.
    pub fn end(self) -> io::Result<Cost> {
        let wall_us = self.begun.elapsed().as_secs_f64() * 1e6;
        let waited_us = own_waited_us()? - self.own_waited_us;
        let own_us = own_cpu_us() - self.own_cpu_us + waited_us as f64;
        let used = match self.server {
            None => None,
            Some(before) => Some((before, Server::now(before.pid)?)),
        };
        Ok(Cost {
            wall_us,
            server_us: used.map(|(before, now)| (now.cpu_us - before.cpu_us) as f64),
            server_asleep: used
                .map(|(before, now)| asleep((now.awake_us - before.awake_us) as f64, wall_us)),
            own_asleep: asleep(own_us, wall_us),
        })
    }
}

impl Server {
    fn now(pid: u32) -> io::Result<Self> {
        let (ran, waited) = schedule_us(format!("/proc/{pid}/schedstat"))?;
        Ok(Self {
            pid,
            cpu_us: process_cpu_us(pid)?,
            awake_us: ran + waited,
        })
    }
}

impl Cost {
    /// Tells what one of `units` cost, which `what` names.
    pub fn tell(&self, table: &mut Table, what: &str, units: usize) {
        let each = |us: f64| us / units as f64;
        table.tell(
            format!("{what}: a second"),
            units as f64 / self.wall_us * 1e6,
            "",
        );
        table.tell(format!("{what}: time"), each(self.wall_us), "us");
        if let Some(us) = self.server_us {
            table.tell(format!("{what}: CPU of the server"), each(us), "us");
        }
        if let Some(share) = self.server_asleep {
            table.tell("the server's loop was asleep", share, "%");
        }
        table.tell("the generator was asleep", self.own_asleep, "%");
    }
}

/// What is left of a time, in percent. What the scheduler counts may run ahead of the clock by a tick.
fn asleep(awake_us: f64, wall_us: f64) -> f64 {
    (100.0 * (1.0 - awake_us / wall_us)).max(0.0)
}

/// Microseconds that this thread wanted a core and had none: other programs had it.
fn own_waited_us() -> io::Result<u64> {
    schedule_us("/proc/thread-self/schedstat").map(|(_, waited)| waited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn who_sleeps_is_asleep_and_who_works_is_not() {
        let meter = Meter::begin(None).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let slept = meter.end().unwrap();
        let meter = Meter::begin(None).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let worked = meter.end().unwrap();
        assert!(slept.own_asleep > 80.0, "{slept:?}");
        assert!(worked.own_asleep < 40.0, "{worked:?}");
    }

    #[test]
    fn another_process_that_sleeps_costs_nothing() {
        let mut other = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let meter = Meter::begin(Some(other.id())).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let cost = meter.end().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(cost.server_us.unwrap() < cost.wall_us / 2.0, "{cost:?}");
        assert!(cost.server_asleep.unwrap() > 50.0, "{cost:?}");
    }
}
