//! The gateway's own approvals file, kept with its state.

use crate::approvals::{ApprovalsFile, FileFault, Policy, Snapshot};
use crate::gateway::Gateway;
use crate::gateway::commit::Key;
use crate::log::{Level, LogLine};
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

    /// What an agent may execute on the gateway's machine. Where that cannot be read: nothing.
    pub(in crate::gateway) fn exec_policy(&self, agent_id: &str) -> Policy {
        let snapshot = self.approvals_snapshot();
        snapshot.map_or_else(|_| Policy::default(), |it| it.file.policy(agent_id, None))
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

    /// Allows programs for good, as an operator's "always" says. Their paths come from the policy,
    /// which knows what must not be allowed so.
    pub(in crate::gateway) fn allow_always(&mut self, agent_id: &str, paths: Vec<String>) {
        if self.commits.is_reserved(&LOCK) {
            let agent_id = agent_id.to_owned();
            return self.commits.wait(Box::new(move |gateway, _| {
                gateway.allow_always(&agent_id, paths);
            }));
        }
        let Ok(snapshot) = self.approvals_snapshot() else {
            return;
        };
        let mut file = snapshot.file.clone();
        let now_ms = self.now.unix_ms;
        let mut added = false;
        for path in &paths {
            let id = self.uuid();
            added |= file.allow_always(agent_id, path, id, now_ms);
        }
        if !added {
            return;
        }
        let line = LogLine::new(now_ms, Level::Info, "gateway/approvals", "allowed for good");
        self.log_with(
            line.with("agent", agent_id)
                .with("programs", paths.join(" ")),
        );
        // A failure loosens nothing: the next command is asked for again.
        self.store_approvals(&snapshot, file, |_, _, _| {});
    }
}
