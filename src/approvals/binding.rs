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
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_counts_without_its_order() {
        let hash = env_hash([("A", "1"), ("B", "2")]);
        assert_eq!(hash, env_hash([("B", "2"), ("A", "1")]));
        assert_ne!(hash, env_hash([("A", "1B"), ("", "2")]));
        assert_ne!(hash, env_hash([("A", "2"), ("B", "1")]));
        assert_eq!(env_hash([]), None);
    }
}
