//! What `remote up` lends the gateway besides a tunnel: this machine as a node.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::super::exit::Failure;
use super::super::super::setup::Setup;
use super::super::tunnel::Plan;
use crate::io::sys;
use crate::limits::{NODE_CLOSE_MS, NODE_STOP_MS, TAKE_OVER_POLL_MS};

/// `clawdia node run` as a process of its own, which ends with this one.
pub struct Node(Child);

impl Node {
    /// Starts it. It finds the tunnel by its record and connects again by itself.
    pub fn start(plan: &Plan, setup: &Setup) -> Result<Self, Failure> {
        let globals = &setup.globals;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--ssh").arg(plan.far.login.target.to_string());
        if let Some(profile) = &setup.paths.profile {
            command.args(["--profile", profile]);
        }
        if let Some(file) = &globals.token_file {
            command.args(["--token-file", file]);
        }
        // Others may read the words of a command, not its environment.
        for (name, secret) in [
            ("CLAWDIA_GATEWAY_TOKEN", &globals.token),
            ("CLAWDIA_GATEWAY_PASSWORD", &globals.password),
        ] {
            if let Some(secret) = secret {
                command.env(name, secret);
            }
        }
        command
            .args(["node", "run"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        sys::die_with_this_thread(&mut command);
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Node {
    /// Asks it to end, then makes it.
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let deadline = Instant::now() + Duration::from_millis(NODE_STOP_MS + 2 * NODE_CLOSE_MS);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(TAKE_OVER_POLL_MS));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
