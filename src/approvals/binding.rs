//! What a decision is bound to.

use ring::digest::{Context, SHA256};

/// A command with all of its circumstances. Two are the same only if every part is, to the byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The words that are executed; empty where only `text` is known.
    pub argv: Vec<String>,
    /// The command as a person was shown it.
    pub text: String,
    pub cwd: Option<String>,
    /// See [`env_hash`].
    pub env_hash: Option<[u8; 32]>,
    pub agent_id: Option<String>,
    pub session_key: Option<String>,
    pub node_id: Option<String>,
}

impl Binding {
    /// SHA-256 over every part and its length, so that no two bindings share it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut part = |bytes: Option<&[u8]>| {
            // A part that is absent differs from an empty one.
            let len = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
            context.update(&len.to_le_bytes());
            context.update(bytes.unwrap_or_default());
        };
        part(Some(&(self.argv.len() as u64).to_le_bytes()));
        self.argv
            .iter()
            .for_each(|word| part(Some(word.as_bytes())));
        part(Some(self.text.as_bytes()));
        part(self.env_hash.as_ref().map(|hash| hash.as_slice()));
        for text in [&self.cwd, &self.agent_id, &self.session_key, &self.node_id] {
            part(text.as_deref().map(str::as_bytes));
        }
        digest(context)
    }
}

/// SHA-256 of the variables that a command is given besides its host's own, whatever their order;
/// None where there are none.
pub fn env_hash<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<[u8; 32]> {
    let mut sorted: Vec<_> = variables.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    sorted.sort_unstable();
    let mut context = Context::new(&SHA256);
    for text in sorted.iter().flat_map(|(name, value)| [name, value]) {
        context.update(&(text.len() as u64).to_le_bytes());
        context.update(text.as_bytes());
    }
    Some(digest(context))
}

fn digest(context: Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_is_another_binding() {
        let text = |text: &str| Some(text.to_owned());
        let base = Binding {
            argv: vec!["ls".into(), "-l".into()],
            text: "ls -l".into(),
            cwd: text("/tmp"),
            env_hash: env_hash([("A", "1")]),
            agent_id: text("main"),
            session_key: text("agent:main:main"),
            node_id: text("n"),
        };
        let mut changed = vec![base.clone(); 11];
        changed[0].argv = vec!["ls -l".into()];
        changed[1].argv.push(String::new());
        changed[2].text.push(' ');
        changed[3].cwd = text("/tmp/");
        changed[4].cwd = None;
        changed[5].env_hash = env_hash([("A", "2")]);
        changed[6].env_hash = None;
        changed[7].agent_id = text("other");
        changed[8].session_key = text("");
        changed[9].node_id = None;
        changed[10].node_id = text("m");
        let mut prints: Vec<_> = changed.iter().map(Binding::fingerprint).collect();
        prints.push(base.fingerprint());
        assert_eq!(base.fingerprint(), base.clone().fingerprint());
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), 12);
    }

    #[test]
    fn the_environment_counts_without_its_order() {
        let hash = env_hash([("A", "1"), ("B", "2")]);
        assert_eq!(hash, env_hash([("B", "2"), ("A", "1")]));
        assert_ne!(hash, env_hash([("A", "1B"), ("", "2")]));
        assert_ne!(hash, env_hash([("A", "2"), ("B", "1")]));
        assert_eq!(env_hash([]), None);
    }
}
