//! The core: takes inputs, changes state, leaves effects and bytes in outboxes.

pub mod auth;
