//! What Tailscale tells and is told, as pure functions: this machine's name ([`node`]), our route
//! to the gateway ([`serve`]), who is behind an address ([`person`]), which ones are a tailnet's ([`address`]).
//!
//! `io/tailnet` runs the program and asks the daemon; the gateway's core decides who gets in.

pub mod address;
pub mod node;
pub mod person;
pub mod serve;

/// What a gateway knows about its tailnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tailnet {
    /// This machine's MagicDNS name, without the last dot.
    pub name: Option<String>,
    /// The address by which the gateway is published, once that was verified.
    pub url: Option<String>,
    /// Why it is not, or why nothing is known.
    pub fault: Option<String>,
}
