//! Calls of nodes under a gateway that is killed again and again, and a ledger of how often each
//! acted.
//!
//! Read next: [`caller`] (who calls, and what it was told), [`plain`] (a node that keeps no
//! journal), [`host`] (our node host, whose commands write into files).

pub mod caller;
pub mod host;
pub mod plain;
