//! What may be executed: the rules that the gateway and the node host share.
//!
//! A command is taken apart ([`Command`]), held against the policy of one agent ([`Policy`], from
//! an [`ApprovalsFile`]), and either runs, has to be asked for, or is denied ([`Verdict`]). Where
//! anything is not understood the answer is never "allow".
//!
//! Pure: who calls it reads the file, finds programs on the disk and asks people.

mod binding;
mod command;
mod evaluate;
mod file;
mod pattern;
mod policy;
mod programs;
mod shell;
mod shown;
mod snapshot;

pub use binding::{Binding, env_hash};
pub use command::{Command, CommandFault, quote};
pub use evaluate::{Reason, Use, Verdict};
pub use file::{AgentApprovals, Allowed, ApprovalsFile, FileFault, Socket};
pub use policy::{Ask, Policy, Security};
pub use shown::shown;
pub use snapshot::{BaseFault, Snapshot};
