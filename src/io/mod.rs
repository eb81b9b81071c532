//! What touches the world: sockets, disk, threads, signals, clock, entropy.

mod accept;
pub mod app;
pub mod atomic;
pub mod backup;
pub mod clock;
mod converse;
pub mod entropy;
mod leaving;
pub mod lock;
mod peers;
pub mod reactor;
pub mod secret;
pub mod signals;
pub mod socket;
pub mod state_dir;
pub mod store;
pub mod sys;
mod timers;
