//! TLS on the served port, against the built program: what a client has to see before it says a
//! word, what a hostile one cannot do, and what a new certificate changes.

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod client;
mod hostile;
mod pins;
