//! The configuration: a JSON5 file that people edit.
//!
//! Everything here is pure: text, values and answers, no files, clock or environment but
//! through arguments. `io::config_file` reads and writes the file.

pub mod change;
pub mod checks;
pub mod cidr;
pub mod control;
pub mod document;
mod ecosystem;
pub mod edit;
mod env;
pub mod fault;
mod kinds;
pub mod paths;
pub mod payload;
pub mod pin;
pub mod plan;
pub mod redact;
pub mod schema;
pub mod secret;
pub mod select;
pub mod suggest;
pub mod syntax;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
mod validate;

pub use cidr::Cidr;
pub use document::{Document, Loaded};
pub use fault::{Fault, Place};
pub use secret::Secret;
pub use types::*;
