//! The wire: HTTP heads, WebSocket frames, JSON envelopes. Pure functions over bytes.

pub mod emit;
pub mod envelope;
pub mod json;
