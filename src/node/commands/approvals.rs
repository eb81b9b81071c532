//! What may be executed on this node: a file that its owner edits, and gateways read and write.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::approvals::{ApprovalsFile, Snapshot};
use crate::client::{files, random};
use crate::io::{atomic, file_lock};
use crate::node::invoke::Fault;

/// Where the file is.
#[derive(Clone, Debug)]
pub struct ApprovalsPath(PathBuf);

impl ApprovalsPath {
    /// The file in the node's folder.
    pub fn new(dir: &Path) -> Self {
        Self(dir.join("exec-approvals.json"))
    }

    /// What is stored. No file means that nothing may run.
    ///
    /// # Errors
    ///
    /// A file that is not understood: nothing may run, and it stays as it is.
    pub fn load(&self) -> Result<Snapshot, Fault> {
        let path = self.0.display();
        let text = files::read_private(&self.0)
            .map_err(|error| Fault::unavailable(format!("cannot read {path}: {error}")))?;
        Snapshot::new(path.to_string(), text).map_err(|fault| {
            Fault::unavailable(format!(
                "nothing may run here: {path} on the node cannot be used: {fault}"
            ))
        })
    }

    /// `system.execApprovals.get`
    pub fn get(&self) -> Result<Value, Fault> {
        Ok(self.load()?.payload())
    }

    /// `system.execApprovals.set {file, baseHash}`
    pub fn set(&self, params: &Value) -> Result<Value, Fault> {
        if !params["file"].is_object() {
            return Err(Fault::invalid("exec approvals file required"));
        }
        let next = ApprovalsFile::parse(&params["file"].to_string())
            .map_err(|fault| Fault::invalid(format!("the exec approvals file: {fault}")))?;
        if let Some(key) = next.unknown_key() {
            let text =
                format!("the exec approvals file has the key {key}, which limits nothing here");
            return Err(Fault::invalid(text));
        }
        let base = params["baseHash"].as_str();
        let stored = self.change(|snapshot| {
            let checked = snapshot.check_base(base);
            checked
                .map_err(|fault| Fault::invalid(format!("{}; reload and retry", fault.text())))?;
            let mut failed = None;
            let next = snapshot.replaced(next, || new_id(&mut failed));
            failed.map_or(Ok(next), Err)
        })?;
        Ok(stored.payload())
    }

    /// Stores what `edit` makes of what is stored, while no other process of ours does so.
    pub fn change(
        &self,
        edit: impl FnOnce(&Snapshot) -> Result<Snapshot, Fault>,
    ) -> Result<Snapshot, Fault> {
        let fault = |error: std::io::Error| {
            Fault::unavailable(format!("cannot store {}: {error}", self.0.display()))
        };
        let _lock = file_lock::lock(&self.0.with_extension("lock")).map_err(fault)?;
        let next = edit(&self.load()?)?;
        let text = next.text.as_deref().unwrap_or_default();
        atomic::replace(&self.0, text.as_bytes()).map_err(fault)?;
        Ok(next)
    }
}

impl std::fmt::Display for ApprovalsPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

/// An id for an entry; a failure is noted, and what has such an id is not stored.
pub fn new_id(failed: &mut Option<Fault>) -> String {
    random::uuid().unwrap_or_else(|error| {
        *failed = Some(Fault::unavailable(error.message));
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_is_changed_from_what_was_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = ApprovalsPath::new(dir.path());
        let empty = path.get().unwrap();
        assert_eq!(
            (&empty["exists"], empty["hash"].as_str().unwrap().len()),
            (&json!(false), 64)
        );
        let file = json!({"version":1,"defaults":{"security":"full","ask":"off"},"agents":{}});
        let set = path.set(&json!({"file": file})).unwrap();
        assert_eq!(set["file"]["defaults"]["security"], "full");
        assert_eq!(path.get().unwrap(), set);
        for base in [json!({}), json!({"baseHash":"x"})] {
            let mut params = json!({"file": file});
            params["baseHash"] = base["baseHash"].clone();
            let fault = path.set(&params).unwrap_err();
            assert!(fault.message.ends_with("reload and retry"), "{fault:?}");
        }
        let again = path.set(&json!({"file": file, "baseHash": set["hash"]}));
        assert!(again.is_ok());
    }

    #[test]
    fn a_damaged_file_denies_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = ApprovalsPath::new(dir.path());
        std::fs::write(&path.0, "{").unwrap();
        assert!(path.load().is_err());
        let file = json!({"version":1,"defaults":{},"agents":{}});
        assert!(path.set(&json!({"file": file})).is_err());
        assert_eq!(std::fs::read_to_string(&path.0).unwrap(), "{");
        let odd = json!({"version":1,"defaults":{"argsMustBe":"x"}});
        let other = ApprovalsPath::new(&dir.path().join("none"));
        assert_eq!(
            other.set(&json!({"file": odd})).unwrap_err().code,
            "INVALID_REQUEST"
        );
    }
}
