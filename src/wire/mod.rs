//! The wire: HTTP heads, WebSocket frames, JSON envelopes. Pure functions over bytes.

pub mod close;
pub mod emit;
pub mod envelope;
pub mod frame;
pub mod http;
pub mod json;
pub mod mask;
pub mod message;
pub mod place;
pub mod proxy;
pub mod respond;
pub mod upgrade;
pub mod utf8;
