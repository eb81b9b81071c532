//! The file as clients read it, and the check that nobody changed it meanwhile.

use super::file::{ApprovalsFile, FileFault};
use serde_json::{Value, json};

/// What is stored, and whether anything is.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Where it is kept.
    pub path: String,
    /// As it is stored; None where nothing is yet.
    pub text: Option<String>,
    pub file: ApprovalsFile,
}

/// Why a change may not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseFault {
    /// The sender did not say what it had read.
    Required,
    /// It had read something else.
    Changed,
}

impl BaseFault {
    /// What is wrong, as the beginning of a sentence.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Required => "exec approvals base hash required",
            Self::Changed => "exec approvals changed since last load",
        }
    }
}

impl Snapshot {
    /// A snapshot of what is stored.
    ///
    /// # Errors
    ///
    /// What is stored is no approvals file.
    pub fn new(path: String, text: Option<String>) -> Result<Self, FileFault> {
        let file = match &text {
            Some(text) => ApprovalsFile::parse(text)?,
            None => ApprovalsFile::default(),
        };
        Ok(Self { path, text, file })
    }

    /// Hex SHA-256 of what is stored; of the empty text where nothing is.
    pub fn hash(&self) -> String {
        let text = self.text.as_deref().unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        hex.collect()
    }

    /// Whether a change that was made from the state with this hash may be stored.
    ///
    /// # Errors
    ///
    /// See [`BaseFault`].
    pub fn check_base(&self, base_hash: Option<&str>) -> Result<(), BaseFault> {
        let base = base_hash.map(str::trim).filter(|base| !base.is_empty());
        match base {
            _ if self.text.is_none() => Ok(()),
            None => Err(BaseFault::Required),
            Some(base) if base != self.hash() => Err(BaseFault::Changed),
            Some(_) => Ok(()),
        }
    }

    /// `{path, exists, hash, file}`, without the socket's token.
    pub fn payload(&self) -> Value {
        let mut file = self.file.clone();
        if let Some(socket) = &mut file.socket {
            socket.token = None;
        }
        file.socket = file.socket.filter(|socket| socket.path.is_some());
        json!({
            "path": self.path,
            "exists": self.text.is_some(),
            "hash": self.hash(),
            "file": file,
        })
    }

    /// The snapshot after `next` takes this one's place; what a client never sees stays.
    #[must_use]
    pub fn replaced(&self, mut next: ApprovalsFile, new_id: impl FnMut() -> String) -> Self {
        next.normalize(new_id);
        if let Some(own) = &self.file.socket {
            let socket = next.socket.get_or_insert_default();
            socket.path = socket.path.take().or_else(|| own.path.clone());
            socket.token = socket.token.take().or_else(|| own.token.clone());
        }
        Self {
            path: self.path.clone(),
            text: Some(next.to_text()),
            file: next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &str) -> Snapshot {
        Snapshot::new("/s/exec-approvals.json".into(), Some(text.into())).unwrap()
    }

    #[test]
    fn a_change_has_to_be_made_from_what_is_stored() {
        let empty = Snapshot::new("/p".into(), None).unwrap();
        assert_eq!(empty.check_base(None), Ok(()));
        let first = stored(r#"{"version":1}"#);
        assert_eq!(first.check_base(None), Err(BaseFault::Required));
        assert_eq!(first.check_base(Some(" ")), Err(BaseFault::Required));
        assert_eq!(first.check_base(Some(&first.hash())), Ok(()));
        let next = first.replaced(ApprovalsFile::default(), String::new);
        assert_eq!(
            next.check_base(Some(&first.hash())),
            Err(BaseFault::Changed)
        );
        assert_eq!(first.hash().len(), 64);
    }

    #[test]
    fn a_token_is_never_shown_and_never_lost() {
        let first = stored(r#"{"version":1,"socket":{"path":"/s","token":"hush"}}"#);
        assert!(!first.payload().to_string().contains("hush"));
        assert_eq!(first.payload()["file"]["socket"]["path"], "/s");
        let sent = ApprovalsFile::parse(r#"{"version":1,"socket":{"path":"/s"}}"#).unwrap();
        let next = first.replaced(sent, String::new);
        assert!(next.text.as_ref().unwrap().contains("hush"));
        let without = first.replaced(ApprovalsFile::default(), String::new);
        assert_eq!(without.file.socket, first.file.socket);
    }

    #[test]
    fn what_is_damaged_is_no_snapshot() {
        assert!(Snapshot::new("/p".into(), Some("{".into())).is_err());
    }
}
