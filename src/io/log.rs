use crate::log::{LogLine, Tail};
use std::path::Path;
pub struct Log;
impl Log {
    pub fn start(_: ()) -> Result<Self, crate::io::state_dir::StartFault> {
        Ok(Log)
    }
    pub fn say(&self, _: u64, _: &'static str, t: &str) {
        eprintln!("{t}")
    }
    pub fn write(&self, l: LogLine) {
        eprintln!("{l:?}")
    }
    pub fn close(self) {}
}
pub fn tail(_: &Path, _: Option<u64>, _: usize, _: usize) -> std::io::Result<Tail> {
    Ok(Tail::default())
}
