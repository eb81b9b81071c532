//! The configuration: a JSON5 file that people edit.
//!
//! Everything here is pure: text, values and answers, no files, clock or environment but
//! through arguments. `io::config_file` reads and writes the file.

pub mod cidr;
pub mod secret;
pub mod types;

pub use cidr::Cidr;
pub use secret::Secret;
pub use types::*;
