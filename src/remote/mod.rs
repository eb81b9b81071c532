//! Gateways on other machines, reached through `ssh`.
//!
//! Reading order: [`target`] says whom, [`words`] how `ssh` is called, [`fault`] what it means
//! when that fails; [`tunnel`] is one running `ssh`, [`supervisor`] keeps one open at [`pace`],
//! and [`record`] is what other processes of this profile see of it; [`ask`] asks a host about
//! its gateway, [`beacon`] is what gateways say of themselves to a network.

pub mod ask;
pub mod beacon;
pub mod fault;
pub mod pace;
pub mod record;
pub mod supervisor;
pub mod target;
pub mod tunnel;
pub mod words;
