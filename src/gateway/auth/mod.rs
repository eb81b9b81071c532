//! Who may come in and what they may do: pure rules over what the handshake said.
//!
//! Time comes as milliseconds and connections as ids; nothing here reads a clock, a socket
//! or a file, so each rule is a function that a test can call.

pub mod address;
pub mod admission;
pub mod approval;
pub mod code;
pub mod ed25519;
pub mod limiter;
pub mod locality;
pub mod origin;
pub mod pairing;
pub mod proof;
pub mod replay;
pub mod scope;
pub mod secret;
pub mod tailnet;
