//! The threads of channels' accounts: blocking calls, one after the other on each.
//!
//! An account has up to four threads, started when they are needed: one waits for news, one sends, one
//! loads files, one does what may be late (signs of writing, probes). Each takes orders from a bounded
//! queue and answers each with one report, whatever its channel does. Closing an account cuts
//! its calls.

use crate::agent::CancelToken;
use crate::channels::{self, Done, Fault, Job, Line, Order, Report};
use crate::config::types::ChannelAccount;
use crate::limits::{CHANNEL_ORDERS_MAX, CHANNEL_STACK_BYTES};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The loop's end of all accounts.
pub struct Channels {
    accounts: BTreeMap<u64, Account>,
    out: Sender<Report>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

struct Account {
    account: Arc<ChannelAccount>,
    lanes: [Option<Lane>; LANES],
}

/// Which thread does a job.
const LANES: usize = 4;
const POLLS: usize = 0;
const SENDS: usize = 1;
const ASIDE: usize = 2;
const FETCHES: usize = 3;

struct Lane {
    jobs: Sender<(u64, Job)>,
    cancel: CancelToken,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Channels {
    /// Without an account. Reports go to `out`; `wake` is called after each.
    pub fn new(out: Sender<Report>, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self {
            accounts: BTreeMap::new(),
            out,
            wake,
        }
    }

    /// Does what the core asks for; a report that comes of it at once. Never blocks.
    pub fn perform(&mut self, order: Order) -> Option<Report> {
        match order {
            Order::Open { slot, account } => {
                let lanes = [const { None }; LANES];
                self.accounts.insert(slot, Account { account, lanes });
                None
            }
            Order::Renew { slot } => {
                self.accounts.get_mut(&slot)?.lanes[POLLS] = None;
                None
            }
            Order::Close { slot } => {
                self.accounts.remove(&slot);
                None
            }
            Order::Call { slot, ticket, job } => {
                let account = self.accounts.get_mut(&slot)?;
                let fault = match account.give(slot, ticket, job, &self.out, &self.wake) {
                    Ok(()) => return None,
                    Err(text) => Fault::Later(text.to_owned()),
                };
                Some(Report {
                    slot,
                    ticket,
                    result: Err(fault),
                })
            }
        }
    }
}

impl Account {
    fn give(
        &mut self,
        slot: u64,
        ticket: u64,
        job: Job,
        out: &Sender<Report>,
        wake: &Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), &'static str> {
        let at = match job {
            Job::Poll { .. } | Job::Hook => POLLS,
            Job::Send(_) | Job::Edit { .. } => SENDS,
            Job::Fetch { .. } => FETCHES,
            Job::Identify | Job::Typing(_) => ASIDE,
        };
        if self.lanes[at].is_none() {
            let lane = Lane::start(slot, &self.account, out.clone(), wake.clone());
            self.lanes[at] = Some(lane.ok_or("the system has no thread for the channel")?);
        }
        let lane = self.lanes[at].as_ref().ok_or("no thread")?;
        lane.jobs
            .try_send((ticket, job))
            .map_err(|fault| match fault {
                TrySendError::Full(_) => "too many calls of the channel wait",
                TrySendError::Disconnected(_) => "the channel's thread is gone",
            })
    }
}

impl Lane {
    fn start(
        slot: u64,
        account: &Arc<ChannelAccount>,
        out: Sender<Report>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Option<Self> {
        let kind = channels::find(&account.channel)?;
        let cancel = CancelToken::new();
        let (jobs, orders) = bounded(CHANNEL_ORDERS_MAX);
        let account = account.clone();
        let token = cancel.clone();
        let thread = std::thread::Builder::new()
            .name(format!("channel-{slot}"))
            .stack_size(CHANNEL_STACK_BYTES)
            .spawn(move || {
                let line = (kind.open)(account, token.clone());
                work(line, &orders, |ticket, result| {
                    let report = Report {
                        slot,
                        ticket,
                        result,
                    };
                    // A closed account has nobody who waits.
                    let is_taken = !token.is_cancelled() && out.send(report).is_ok();
                    wake();
                    is_taken
                });
            });
        thread.ok().map(|_| Self { jobs, cancel })
    }
}

/// A thread's life: orders until nobody gives any.
fn work(
    mut line: Box<dyn Line>,
    orders: &Receiver<(u64, Job)>,
    tell: impl Fn(u64, Result<Done, Fault>) -> bool,
) {
    for (ticket, job) in orders {
        let attempt = AssertUnwindSafe(|| execute(&mut *line, job));
        let result = catch_unwind(attempt).unwrap_or_else(|_| {
            let text = "the channel failed by a fault of the gateway itself";
            Err(Fault::Unknown(text.to_owned()))
        });
        if !tell(ticket, result) {
            return;
        }
    }
}

fn execute(line: &mut dyn Line, job: Job) -> Result<Done, Fault> {
    Ok(match job {
        Job::Identify => Done::Bot(line.identify()?),
        Job::Poll { bot, after } => Done::Updates(line.poll(&bot, after)?),
        Job::Hook => {
            line.hook()?;
            Done::Nothing
        }
        Job::Send(message) => Done::Sent(line.send(&message)?),
        Job::Edit {
            message_id,
            message,
        } => {
            line.edit(&message_id, &message)?;
            Done::Sent(message_id)
        }
        Job::Fetch { file, bytes_max } => Done::File(line.fetch(&file, bytes_max)?),
        Job::Typing(place) => {
            line.typing(&place)?;
            Done::Nothing
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::{Bot, FileRef, Outbound, Place, Update};

    struct Panics;

    impl Line for Panics {
        fn identify(&mut self) -> Result<Bot, Fault> {
            panic!("of the test");
        }

        fn poll(&mut self, _: &Bot, _: Option<u64>) -> Result<Vec<Update>, Fault> {
            Ok(Vec::new())
        }

        fn hook(&mut self) -> Result<(), Fault> {
            Ok(())
        }

        fn send(&mut self, _: &Outbound) -> Result<Arc<str>, Fault> {
            Ok("1".into())
        }

        fn edit(&mut self, _: &str, _: &Outbound) -> Result<(), Fault> {
            Ok(())
        }

        fn fetch(&mut self, _: &FileRef, _: u64) -> Result<Arc<[u8]>, Fault> {
            Ok(Arc::default())
        }

        fn typing(&mut self, _: &Place) -> Result<(), Fault> {
            Ok(())
        }
    }

    #[test]
    fn a_call_that_panics_is_in_doubt_and_the_next_is_done() {
        let (jobs, orders) = bounded(4);
        jobs.send((1, Job::Identify)).unwrap();
        let poll = Job::Poll {
            bot: Bot::default(),
            after: None,
        };
        jobs.send((2, poll)).unwrap();
        drop(jobs);
        let told = std::cell::RefCell::new(Vec::new());
        work(Box::new(Panics), &orders, |ticket, result| {
            told.borrow_mut().push((ticket, result));
            true
        });
        let told = told.into_inner();
        assert!(matches!(&told[0], (1, Err(Fault::Unknown(_)))));
        assert_eq!(told[1], (2, Ok(Done::Updates(Vec::new()))));
    }
}
