//! Servers of tools: the built program, a scripted model, real servers that are part of this
//! test, on pipes and behind an address.

#[path = "../support/mod.rs"]
mod support;

mod address;
mod program;
mod server;
