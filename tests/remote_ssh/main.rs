//! Gateways behind `ssh`, with a stand-in for that program: what it is called with, and what becomes
//! of tunnels when it dies, falls silent or is left behind.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod many;
mod secrets;
mod stand_in;
mod supervision;
mod targets;
mod tls;
mod typed;
