//! What touches the world: sockets, disk, threads, signals, clock, entropy.

pub mod atomic;
pub mod lock;
pub mod secret;
pub mod state_dir;
pub mod store;
