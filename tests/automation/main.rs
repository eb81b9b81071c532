//! What begins without a person: plain HTTP requests, webhooks, scheduled jobs,
//! heartbeats.

mod api;
mod cron;
mod delivery;
mod heartbeat;
mod hooks;
mod tools;
mod webhook;
