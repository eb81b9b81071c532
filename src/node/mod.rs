//! The headless node host: it lends this machine's commands to a gateway.
//!
//! Read `host` first: it connects, serves and connects again. `desk` holds the calls, each on
//! a thread of its own that runs one of `commands`; `journal` keeps a call from acting twice.
//! `pace` decides when to try again, `wake` is how threads and signals reach the one that
//! waits, `facts` is what the gateway is told, `settings` what is kept.

mod commands;
mod desk;
mod facts;
mod flow;
mod host;
mod invoke;
mod journal;
mod pace;
mod said;
mod settings;
mod wake;

pub use commands::{BrowserControl, file_roots};
pub use host::{Ended, Options, Target, run, security};
pub use said::Said;
pub use settings::{GatewayPlace, Settings};
