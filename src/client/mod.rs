//! The blocking client that the command line and the node host share.
//!
//! One connection, one thread, a deadline on everything. Reading order: [`url`] says where,
//! [`secret`] with what, [`identity`] as whom; [`transport`], [`upgrade`], [`frame`] and [`ws`]
//! carry messages; [`handshake`] turns a socket into a [`Client`], and [`session`] calls methods.

pub mod backoff;
pub mod error;
pub mod files;
pub mod frame;
pub mod handshake;
pub mod identity;
pub mod party;
pub mod random;
pub mod secret;
pub mod session;
#[cfg(test)]
pub mod testing;
pub mod tls;
pub mod tokens;
pub mod transport;
pub mod upgrade;
pub mod url;
pub mod ws;

pub use error::{ClientError, ErrorKind, GatewayError};
pub use handshake::{ConnectOptions, connect, connect_as};
pub use party::Party;
pub use session::{Client, Event, Hello, Incoming};
pub use url::GatewayUrl;
