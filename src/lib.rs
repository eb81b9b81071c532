//! Clawdia, a gateway for a personal AI agent.

pub mod agent;
pub mod approvals;
pub mod channels;
pub mod cli;
pub mod client;
pub mod config;
pub mod conn;
pub mod driver;
pub mod fuzz;
pub mod gateway;
pub mod host;
pub mod ids;
pub mod io;
pub mod limits;
pub mod log;
pub mod mcp;
pub mod node;
pub mod now;
pub mod outbox;
pub mod remote;
pub mod schedule;
pub mod service;
pub mod state;
pub mod tailnet;
pub mod ui;
pub mod wire;
