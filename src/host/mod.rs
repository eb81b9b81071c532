//! What is done on this machine: commands, files below a workspace, pages of the web, requests to
//! its browser.
//!
//! All of it runs on threads of its own and may block; what may be done is decided elsewhere.

pub mod beneath;
pub mod browser;
pub mod environment;
pub mod files;
mod html;
pub mod media;
pub mod output;
pub mod process;
mod run;
pub mod web;

use crate::agent::{Act, Acted, CancelToken};

/// Does one thing to its end. `tell` hears what comes before that.
pub fn perform(act: &Act, cancel: &CancelToken, tell: &mut dyn FnMut(Acted)) -> Acted {
    let done = match act {
        Act::Find(find) => run::find(find).map(Acted::Found),
        Act::Run(order) => run::run(order, cancel, tell).map(Acted::Ended),
        Act::Read {
            at,
            first_line,
            lines_max,
        } => files::read(at, *first_line, *lines_max).map(Acted::Text),
        Act::Write { at, text } => files::write(at, text).map(Acted::Text),
        Act::Edit { at, old, new, all } => files::edit(at, old, new, *all).map(Acted::Text),
        Act::Notes { folder, names } => Ok(Acted::Notes(files::notes(folder, names))),
        Act::Keep { at, bytes } => media::keep(at, bytes).map(Acted::Text),
        Act::Check { at, bytes_max } => {
            media::check(at, *bytes_max).map(|()| Acted::Text(String::new()))
        }
        Act::Load { at, bytes_max } => media::load(at, *bytes_max).map(Acted::Bytes),
        Act::Web { url } => web::fetch(url, cancel).map(Acted::Text),
        Act::Browser(browse) => browser::browse(browse).map(Acted::Text),
    };
    done.unwrap_or_else(Acted::Failed)
}
