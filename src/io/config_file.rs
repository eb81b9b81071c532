use crate::config::{document::Document, paths::Paths};
pub fn read(p: &Paths) -> std::io::Result<Document> {
    for c in &p.config_candidates {
        match std::fs::read_to_string(c) {
            Ok(t) => return Ok(Document::new(c.display().to_string(), t)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Document::absent(
        p.config_candidates[0].display().to_string(),
    ))
}
#[derive(Debug)]
pub enum WriteFault {
    Changed,
    Other(String),
}
impl std::fmt::Display for WriteFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
pub fn write(_: &Paths, _: &str, _: &str) -> Result<(), WriteFault> {
    Err(WriteFault::Changed)
}
