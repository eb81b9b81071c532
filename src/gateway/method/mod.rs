//! One file a group of methods; the table in [`super::methods`] names their functions.

pub mod agent;
pub mod approvals;
pub mod browser;
pub mod channels;
pub mod chat;
pub mod config;
pub mod contacts;
pub mod cron;
pub mod devices;
pub mod health;
pub mod history;
pub mod inject;
pub mod logs;
pub mod mcp;
pub mod models;
pub mod nodes;
pub mod send;
pub mod sessions;
pub mod system;
pub mod tables;
pub mod voice;
