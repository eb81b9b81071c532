//! What touches the world: sockets, disk, threads, signals, clock, entropy.

mod accept;
pub mod app;
pub mod atomic;
pub mod backup;
pub mod clock;
pub mod config_file;
pub mod config_watch;
mod converse;
pub mod entropy;
pub mod file_lock;
pub mod interfaces;
mod leaving;
pub mod lock;
pub mod log;
mod peers;
pub mod reactor;
pub mod secret;
pub mod server;
pub mod signals;
pub mod socket;
pub mod socket_file;
pub mod state_dir;
pub mod static_files;
pub mod store;
pub mod sys;
mod timers;
pub mod workers;
