//! What touches the world: sockets, disk, threads, signals, clock, entropy.

pub mod atomic;
