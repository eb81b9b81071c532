//! Calls of one method, by one operator.

use std::io;
use std::time::Instant;

use argh::FromArgs;
use serde_json::Value;

use super::place::Place;
use crate::figures::Table;
use crate::figures::traffic::{Asker, Invokes};
use crate::fleet::ledger::percentile;

/// calls of any method by one operator, one after the other or several under way
#[derive(FromArgs)]
#[argh(subcommand, name = "rpc")]
pub struct Rpc {
    /// the method, such as health or sessions.list; node.invoke brings a node of its own that answers
    #[argh(positional)]
    method: String,
    /// its parameters as JSON ({{}})
    #[argh(option, default = "String::from(\"{}\")")]
    params: String,
    /// calls under way (1)
    #[argh(option, default = "1")]
    in_flight: usize,
    /// calls in all (20000)
    #[argh(option, default = "20_000")]
    calls: usize,
}

impl Rpc {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When the first call is refused, or one is not answered.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        let gateway = place.gateway("{}")?;
        let what = (self.method.as_str(), self.calls);
        let mut waits = Vec::with_capacity(self.calls);
        let mut timed = |f: &mut dyn FnMut() -> io::Result<()>| -> io::Result<()> {
            let asked = Instant::now();
            f()?;
            waits.push(asked.elapsed().as_micros() as u32);
            Ok(())
        };
        if self.method == "node.invoke" {
            if self.in_flight > 1 {
                let why =
                    "calls of nodes go one after the other here: `load invoke` has many under way";
                return Err(io::Error::other(why));
            }
            let mut invokes = Invokes::join(gateway.port, &gateway.token)?;
            place.measure(table, &gateway, what, || {
                (0..self.calls).try_for_each(|_| timed(&mut || invokes.call(1)))
            })?;
        } else {
            let params: Value = serde_json::from_str(&self.params)
                .map_err(|error| io::Error::other(format!("--params: {error}")))?;
            let mut asker =
                Asker::join(gateway.door.clone(), &gateway.token, &self.method, &params)?;
            asker.check()?;
            place.measure(table, &gateway, what, || match self.in_flight {
                0 | 1 => (0..self.calls).try_for_each(|_| timed(&mut || asker.ask(1, 1))),
                many => asker.ask(many, self.calls),
            })?;
        }
        if !waits.is_empty() && !place.syscalls {
            table.tell("request to answer: p50", percentile(&mut waits, 50), "ms");
            table.tell("request to answer: p99", percentile(&mut waits, 99), "ms");
        }
        Ok(())
    }
}
