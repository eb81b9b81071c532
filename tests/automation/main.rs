//! What begins without a person: plain HTTP requests, webhooks, scheduled jobs,
//! heartbeats.

mod api;
mod cron;
mod heartbeat;
mod hooks;
