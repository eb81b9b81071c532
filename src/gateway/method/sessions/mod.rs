//! `sessions.*`: the list of chat sessions and what may be changed about one.

mod lifecycle;
mod list;
mod patch;
mod preview;
mod resolve;
mod rows;

pub use lifecycle::{compact, delete, reset};
pub use list::list;
pub use patch::patch;
pub use preview::preview;
pub use resolve::resolve;
