//! One step of a run: a request to a model's provider.
//!
//! A run is a state machine in the core. What takes time is cut into steps; each is executed by
//! a worker thread (`io::workers`), blocking, and speaks to the core by messages alone:
//!
//! ```text
//! core   Effect(Step) ──> io::workers queue ──> worker: Provider::step(&Step, &mut dyn StepSink)
//! core   StepOutput   <── channel and wake  <── Started, Delta*, then Done or Failed
//! ```
//!
//! A step may end by asking for tools. The core executes them while no worker is held, and the
//! next step reads their results.
//!
//! Every step that the pool took ends in exactly one `Done` or `Failed`, also when it was
//! cancelled, timed out or panicked, so the core can free what the step held. What a cancelled
//! step still sends carries the [`RunTag`] of its time; the core drops what no longer fits.
//!
//! # Adding a provider
//!
//! Implement [`Provider`] and register it in [`Providers`] under the name that stands before
//! the slash of a model reference (`name/model`). `step` may block, under three rules: text goes
//! out through [`StepSink::delta`] as it arrives and an error from it is returned at once; a
//! socket gets a timeout from [`StepSink::remaining_ms`] and is given to
//! [`CancelToken::on_cancel`] so that an abort shuts it; waiting is done with
//! [`StepSink::pause`], which an abort ends. The built-in agent in [`builtin`] is one provider
//! among others and needs no network.

mod act;
pub mod builtin;
mod cancel;
mod endpoint;
mod facts;
mod key;
mod message;
mod provider;
pub mod remote;
mod step;

pub use act::{Act, Acted, Below, Browse, Ended, Find, Found, Order, Printed};
pub use cancel::CancelToken;
pub use endpoint::{Api, Endpoint};
pub use facts::{
    ChannelFact, DeviceFact, Facts, GatewayFacts, HealthFacts, Listed, PairingFact, PeerFact,
    RunFacts, SessionFact, SessionFacts, Zone,
};
pub use key::KeySource;
pub use message::{Answered, ChatMessage, Image, Speaker, ToolCall, ToolSpec};
pub use provider::{MODEL_APIS, ModelInfo, Provider, Providers, Reply, StepError, StepSink, Stop};
pub use remote::tls_config;
pub use step::{
    FailureKind, ModelRef, RunTag, Step, StepEvent, StepOutput, StopReason, Thinking, Usage,
    Verbosity,
};
