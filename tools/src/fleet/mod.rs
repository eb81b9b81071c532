//! A fleet on one thread: thousands of nodes that are connected and silent, operators who call
//! them, and nodes that come and go.
//!
//! Read next: [`link`] (one connection), [`crowd`] (all of them, and the loop), [`ledger`] (which
//! call was answered by whom, and when), [`measure`] (what it costs the gateway).

pub mod crowd;
pub mod ledger;
pub mod link;
pub mod measure;
