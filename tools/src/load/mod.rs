//! Load on servers of this machine, a mode a file: each makes its traffic and says what it cost the server.
//!
//! Read next: [`place`] (which server), [`meter`] (what it cost, and who of both was the slower), [`clients`]
//! (connections on the wire layer), then the modes.

pub mod broadcast;
pub mod clients;
pub mod connect;
pub mod echo;
pub mod growth;
pub mod idle;
pub mod invoke;
pub mod meter;
pub mod place;
pub mod rpc;
pub mod sessions;
pub mod storm;
pub mod syscalls;

pub use clients::{Clients, Load, idle_bytes};
