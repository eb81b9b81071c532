//! `${NAME}` in a text: a reference to an environment variable, resolved when it is used.

use super::paths::Lookup;
use serde_json::Value;

/// Puts the variables' values in. `$${NAME}` stands for the characters `${NAME}`; a name is upper
/// case letters, digits and `_`, anything else stays as it is.
///
/// # Errors
/// The names that are not set, or set to nothing, in order.
pub fn expand(text: &str, env: Lookup<'_>) -> Result<String, Vec<String>> {
    let mut out = String::with_capacity(text.len());
    let mut missing = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(dollar);
        out.push_str(before);
        if let Some(name) = from_dollar.strip_prefix('$').and_then(reference) {
            match env(name).filter(|value| !value.is_empty()) {
                Some(value) => out.push_str(&value),
                None => missing.push(name.to_owned()),
            }
            rest = &from_dollar[name.len() + "${}".len()..];
        } else if let Some(name) = from_dollar.strip_prefix("$$").and_then(reference) {
            let end = name.len() + "$${}".len();
            out.push_str(&from_dollar[1..end]);
            rest = &from_dollar[end..];
        } else {
            out.push('$');
            rest = &from_dollar[1..];
        }
    }
    out.push_str(rest);
    if missing.is_empty() {
        Ok(out)
    } else {
        Err(missing)
    }
}

/// Whether a text is nothing but references, so that it says where a secret is and not the secret.
pub fn is_reference(text: &str) -> bool {
    text.strip_prefix('$')
        .and_then(reference)
        .is_some_and(|name| name.len() + "${}".len() == text.len())
}

/// The variables that the document's own `env` section brings: `env.NAME` and `env.vars.NAME`.
pub fn of_document<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    let section = document.get("env")?;
    section
        .get("vars")
        .and_then(|vars| vars.get(name))
        .or_else(|| section.get(name))
        .and_then(Value::as_str)
}

/// The name in `{NAME}…`.
fn reference(text: &str) -> Option<&str> {
    let name = &text.strip_prefix('{')?[..text.find('}')? - 1];
    let first = name.bytes().next()?;
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (!first.is_ascii_digit() && name.bytes().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".into()),
            "B_2" => Some("two".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn references_are_resolved_and_all_else_stays() {
        let cases = [
            ("${A}", "one"),
            ("x${A}y${B_2}z", "xoneytwoz"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$A ${a} ${} ${1A} ${A", "$A ${a} ${} ${1A} ${A"),
            ("}${A}{", "}one{"),
            ("", ""),
            ("ü$", "ü$"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_named() {
        assert_eq!(
            expand("${NO}-${A}-${EMPTY}", &env),
            Err(vec!["NO".to_owned(), "EMPTY".to_owned()])
        );
    }

    #[test]
    fn a_reference_alone_is_no_secret() {
        assert!(is_reference("${A}"));
        assert!(!is_reference("x${A}"));
        assert!(!is_reference("${A}x"));
        assert!(!is_reference("$${A}"));
    }

    #[test]
    fn the_document_may_bring_variables() {
        let document = serde_json::json!({"env": {"A": "1", "vars": {"B": "2"}}});
        assert_eq!(of_document(&document, "A"), Some("1"));
        assert_eq!(of_document(&document, "B"), Some("2"));
        assert_eq!(of_document(&document, "vars"), None);
    }
}
