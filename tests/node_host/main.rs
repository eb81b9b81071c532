//! The built node host against the built gateway.

#[path = "../support/mod.rs"]
mod support;

mod crashes;
mod life;
mod pairing;
mod relay;
mod runs;
mod voice;
mod world;
