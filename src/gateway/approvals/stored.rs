//! The gateway's own approvals file, kept with its state.

use crate::approvals::{ApprovalsFile, FileFault, Snapshot};
use crate::gateway::Gateway;
use crate::gateway::commit::Key;
use crate::now::Now;
use crate::state::Record;

const SETTING: &str = "exec.approvals";
/// What keeps two changes apart.
pub const LOCK: Key = Key::Setting(SETTING);

impl Gateway {
    /// What is stored now.
    ///
    /// # Errors
    ///
    /// It is damaged, and must not be taken for empty.
    pub(in crate::gateway) fn approvals_snapshot(&self) -> Result<Snapshot, FileFault> {
        let text = match self.state.setting(SETTING) {
            Some(text) => text.to_string(),
            // Nothing stored is a file that allows nothing, so that the first change too has to
            // say what it was made from.
            None => ApprovalsFile::default().to_text(),
        };
        Snapshot::new(format!("{}#{SETTING}", self.database_path()), Some(text))
    }

    /// Stores the file in place of the one that `snapshot` is of; `then` gets the new one.
    pub(in crate::gateway) fn store_approvals(
        &mut self,
        snapshot: &Snapshot,
        file: ApprovalsFile,
        then: impl FnOnce(&mut Gateway, Now, Result<Snapshot, String>) + Send + 'static,
    ) {
        let next = snapshot.replaced(file, || self.uuid());
        let record = Record::SettingPut {
            key: SETTING.into(),
            value: next.text.as_deref().unwrap_or_default().into(),
        };
        self.commit(vec![LOCK], vec![record], move |gateway, now, result| {
            then(gateway, now, result.map(|()| next));
        });
    }
}
