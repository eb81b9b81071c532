//! Programs of ours as services of the machine: what systemd is told, and asking it to act.

pub mod environment;
pub mod systemd;
pub mod unit;

pub use unit::Unit;
