//! A write of the configuration decided before anything is written.

use super::change::changes;
use super::document::{Document, Loaded};
use super::edit::rewrite;
use super::fault::{Fault, Place};
use super::paths::Lookup;
use super::redact::restore_text;
use super::select::merge_patch;
use super::syntax::{Tree, parse_any};
use super::table::Reload;
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_SHRINK_BYTES_MIN};
use serde_json::{Value, json};

/// What a client wants written.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    pub kind: WriteKind,
    /// JSON5 text: the whole document, or what a patch changes.
    pub raw: &'a str,
    /// The hash of the document that the client saw.
    pub base_hash: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// `config.set`: the whole document.
    Set,
    /// `config.apply`: the whole document, then a restart where one is needed.
    Apply,
    /// `config.patch`: merged into the document, null takes away.
    Patch,
}

/// A write that may be done: the new document, already known to be valid.
#[derive(Clone, Debug)]
pub struct Plan {
    pub document: Document,
    pub loaded: Loaded,
}

impl Plan {
    /// The bytes to write.
    pub fn text(&self) -> &str {
        self.document.text().unwrap_or_default()
    }

    /// The paths of changes against `before` that take effect only at the next start.
    pub fn at_next_start(&self, before: &Document, env: Lookup<'_>) -> Vec<String> {
        let Ok(old) = before.load(env) else {
            return Vec::new();
        };
        changes(&old.values, &self.loaded.values)
            .into_iter()
            .filter(|change| change.reload == Reload::Restart)
            .map(|change| change.path)
            .collect()
    }
}

/// Why a write is not done. All are the client's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    HashMissing,
    HashStale,
    TooLong,
    Syntax(Fault),
    PatchNotAnObject,
    /// The document on disk is itself not valid.
    BaseInvalid(Vec<Fault>),
    Invalid(Vec<Fault>),
    ModeLost,
    /// Bytes of values before and after.
    Shrunk(usize, usize),
}

impl Refusal {
    /// The error's message.
    pub fn message(&self) -> String {
        match self {
            Self::HashMissing => "config base hash required; re-run config.get and retry".into(),
            Self::HashStale => "config changed since last load; re-run config.get and retry".into(),
            Self::TooLong => format!("config is longer than {CONFIG_BYTES_MAX} bytes"),
            Self::Syntax(fault) => {
                let Place { line, column } = fault.place.unwrap_or(Place { line: 1, column: 1 });
                format!("SyntaxError: JSON5: {} at {line}:{column}", fault.message())
            }
            Self::PatchNotAnObject => "config.patch raw must be an object".into(),
            Self::BaseInvalid(_) => "invalid config; fix before patching".into(),
            Self::Invalid(_) => "invalid config".into(),
            Self::ModeLost => {
                "config would lose gateway.mode; keep it in the document that is sent".into()
            }
            Self::Shrunk(from, to) => format!(
                "config would shrink from {from} to {to} bytes of values; more than half at a time \
                 is only done by editing the file"
            ),
        }
    }

    /// The error's details: `{issues: [{path, message, line?, column?}]}`.
    pub fn details(&self) -> Option<Value> {
        match self {
            Self::Invalid(faults) | Self::BaseInvalid(faults) => {
                Some(json!({ "issues": issues(faults) }))
            }
            _ => None,
        }
    }
}

/// Faults as clients read them.
pub fn issues(faults: &[Fault]) -> Vec<Value> {
    faults
        .iter()
        .map(|fault| {
            let mut issue = json!({ "path": fault.path, "message": fault.message() });
            if let Some(Place { line, column }) = fault.place {
                issue["line"] = line.into();
                issue["column"] = column.into();
            }
            issue
        })
        .collect()
}

/// Decides what a write makes of a document, without touching it.
///
/// Hidden secrets in the request are put back, comments survive where the request has none of
/// its own, and keys that the program does not know stay.
///
/// # Errors
/// Why the write must not be done.
pub fn plan_write(
    document: &Document,
    request: WriteRequest<'_>,
    env: Lookup<'_>,
) -> Result<Plan, Refusal> {
    check_hash(document, request.base_hash)?;
    if request.raw.len() > CONFIG_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let old = match (document.text(), document.tree()) {
        (Some(text), Ok(tree)) => Some((text, tree)),
        _ => None,
    };
    let sent_tree = parse_any(request.raw).map_err(Refusal::Syntax)?;
    let sent = restore_text(request.raw, &sent_tree, old).map_err(Refusal::Invalid)?;
    let sent_tree = parse_any(&sent).map_err(Refusal::Syntax)?;
    let text = match request.kind {
        WriteKind::Patch => patched(document, &sent_tree)?,
        WriteKind::Set | WriteKind::Apply => replaced(old, sent, &sent_tree),
    };
    if text.len() > CONFIG_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let new = Document::new(document.path(), text);
    let loaded = new.load(env).map_err(Refusal::Invalid)?;
    check_loss(&document.value(), &new.value())?;
    Ok(Plan {
        document: new,
        loaded,
    })
}

fn check_hash(document: &Document, base_hash: Option<&str>) -> Result<(), Refusal> {
    if document.text().is_none() {
        return Ok(());
    }
    match base_hash.map(str::trim).filter(|hash| !hash.is_empty()) {
        None => Err(Refusal::HashMissing),
        Some(hash) if hash != document.hash() => Err(Refusal::HashStale),
        Some(_) => Ok(()),
    }
}

fn patched(document: &Document, patch: &Tree) -> Result<String, Refusal> {
    let patch = patch.root.to_value();
    if !patch.is_object() {
        return Err(Refusal::PatchNotAnObject);
    }
    let base = document
        .tree()
        .map_err(|fault| Refusal::BaseInvalid(vec![fault.clone()]))?;
    let mut value = base.root.to_value();
    merge_patch(&mut value, &patch);
    match document.text() {
        Some(text) => Ok(rewrite(text, base, &value)),
        None => Ok(format!("{}\n", rewrite("{}", base, &value))),
    }
}

/// A text with comments of its own says all that is to be; one without comes from a program that
/// never saw them.
fn replaced(old: Option<(&str, &Tree)>, sent: String, sent_tree: &Tree) -> String {
    match old {
        Some((old_text, old_tree))
            if sent_tree.comments.is_empty() && !old_tree.comments.is_empty() =>
        {
            rewrite(old_text, old_tree, &sent_tree.root.to_value())
        }
        _ => sent,
    }
}

fn check_loss(old: &Value, new: &Value) -> Result<(), Refusal> {
    let mode = |value: &Value| value.pointer("/gateway/mode").is_some();
    if mode(old) && !mode(new) {
        return Err(Refusal::ModeLost);
    }
    let (from, to) = (old.to_string().len(), new.to_string().len());
    if from >= CONFIG_SHRINK_BYTES_MIN && to < from / 2 {
        return Err(Refusal::Shrunk(from, to));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::payload::get_payload;
    use super::super::redact::SENTINEL;
    use super::*;

    const TEXT: &str = "{\n  // mine\n  gateway: { mode: 'local', auth: { token: 'hunter2' } },\n  odd: { kept: 1 }, // odd\n}\n";

    fn document() -> Document {
        Document::new("/c.json", TEXT.to_owned())
    }

    fn plan(kind: WriteKind, raw: &str) -> Result<String, Refusal> {
        let document = document();
        let base_hash = Some(document.hash());
        plan_write(
            &document,
            WriteRequest {
                kind,
                raw,
                base_hash,
            },
            &|_| None,
        )
        .map(|plan| plan.text().to_owned())
    }

    #[test]
    fn what_was_only_looked_at_is_written_back_byte_by_byte() {
        let payload = get_payload(&document(), &|_| None);
        let raw = payload["raw"].as_str().unwrap();
        assert!(raw.contains(SENTINEL) && !raw.contains("hunter2"));
        for kind in [WriteKind::Set, WriteKind::Apply] {
            assert_eq!(plan(kind, raw).as_deref(), Ok(TEXT));
            assert_eq!(
                plan(kind, &payload["parsed"].to_string()).as_deref(),
                Ok(TEXT)
            );
        }
        assert_eq!(
            plan(WriteKind::Patch, &payload["parsed"].to_string()).as_deref(),
            Ok(TEXT)
        );
    }

    #[test]
    fn a_program_that_knows_no_comments_changes_only_what_it_changes() {
        let raw = format!(
            "{{\"gateway\":{{\"mode\":\"local\",\"auth\":{{\"token\":\"{SENTINEL}\"}},\"port\":1}},\"odd\":{{\"kept\":1}}}}"
        );
        let expected = TEXT.replace("token: 'hunter2' } }", "token: 'hunter2' }, port: 1 }");
        assert_eq!(plan(WriteKind::Apply, &raw), Ok(expected));
    }

    #[test]
    fn a_patch_keeps_comments_and_unknown_keys() {
        let text = plan(WriteKind::Patch, "{gateway: {port: 5}, odd: null}").unwrap();
        assert_eq!(
            text,
            "{\n  // mine\n  gateway: { mode: 'local', auth: { token: 'hunter2' }, port: 5 },\n  // odd\n}\n"
        );
        let text = plan(WriteKind::Patch, "{gateway: {port: 5}}").unwrap();
        assert!(text.contains("odd: { kept: 1 }, // odd"));
    }

    #[test]
    fn two_writers_with_one_base_make_one_conflict() {
        let first = document();
        let request = WriteRequest {
            kind: WriteKind::Patch,
            raw: "{gateway: {port: 5}}",
            base_hash: Some(first.hash()),
        };
        let written = plan_write(&first, request, &|_| None).unwrap().document;
        assert_eq!(
            plan_write(&written, request, &|_| None).unwrap_err(),
            Refusal::HashStale
        );
        let without = WriteRequest {
            base_hash: None,
            ..request
        };
        assert_eq!(
            plan_write(&written, without, &|_| None).unwrap_err(),
            Refusal::HashMissing
        );
        let absent = Document::absent("/c.json");
        let plan = plan_write(&absent, without, &|_| None).unwrap();
        assert_eq!(
            plan.text(),
            "{\n  \"gateway\": {\n    \"port\": 5\n  }\n}\n"
        );
    }

    #[test]
    fn a_write_that_would_lose_much_is_refused() {
        assert_eq!(plan(WriteKind::Set, "{}"), Err(Refusal::ModeLost));
        assert_eq!(
            plan(WriteKind::Patch, "{gateway: {mode: null}}"),
            Err(Refusal::ModeLost)
        );
        let long = format!(
            "{{gateway: {{mode: 'local'}}, tools: {{x: '{}'}}}}",
            "x".repeat(300)
        );
        let document = Document::new("/c.json", long);
        let request = WriteRequest {
            kind: WriteKind::Set,
            raw: "{gateway: {mode: 'local'}}",
            base_hash: Some(document.hash()),
        };
        let refusal = plan_write(&document, request, &|_| None).unwrap_err();
        assert!(matches!(refusal, Refusal::Shrunk(_, 28)), "{refusal:?}");
    }

    #[test]
    fn what_is_not_valid_is_refused_with_all_its_faults() {
        let refusal = plan(WriteKind::Patch, "{gateway: {port: 0, x: 1}}").unwrap_err();
        assert_eq!(refusal.message(), "invalid config");
        let details = refusal.details().unwrap();
        assert_eq!(details["issues"].as_array().unwrap().len(), 2);
        assert_eq!(details["issues"][0]["path"], "gateway.port");
        assert_eq!(plan(WriteKind::Patch, "[]"), Err(Refusal::PatchNotAnObject));
        assert!(matches!(
            plan(WriteKind::Set, "[]"),
            Err(Refusal::Invalid(_))
        ));
        let message = plan(WriteKind::Set, "nope").unwrap_err().message();
        assert!(
            message.starts_with("SyntaxError: JSON5: ") && message.ends_with(" at 1:1"),
            "{message}"
        );
        assert_eq!(
            plan(WriteKind::Set, &" ".repeat(CONFIG_BYTES_MAX + 1)),
            Err(Refusal::TooLong)
        );
    }

    #[test]
    fn a_stand_in_is_never_stored() {
        let raw = format!("{{gateway: {{mode: 'local', auth: {{password: '{SENTINEL}'}}}}}}");
        assert!(matches!(
            plan(WriteKind::Patch, &raw),
            Err(Refusal::Invalid(_))
        ));
        let raw = format!("{{gateway: {{auth: {{token: '{SENTINEL}'}}, port: 2}}}}");
        assert!(
            plan(WriteKind::Patch, &raw)
                .unwrap()
                .contains("token: 'hunter2'")
        );
    }

    #[test]
    fn references_are_never_resolved_in_what_is_written() {
        let env = |name: &str| (name == "T").then(|| "hunter2".to_owned());
        let document = Document::new("/c.json", "{ gateway: { auth: { token: '${T}' } } }".into());
        let request = WriteRequest {
            kind: WriteKind::Patch,
            raw: "{gateway: {port: 5}}",
            base_hash: Some(document.hash()),
        };
        let plan = plan_write(&document, request, &env).unwrap();
        assert_eq!(
            plan.text(),
            "{ gateway: { auth: { token: '${T}' }, port: 5 } }"
        );
        let shown = get_payload(&plan.document, &env);
        assert_eq!(shown["config"]["gateway"]["auth"]["token"], "${T}");
        assert!(!shown.to_string().contains("hunter2"));
    }

    /// The thread that writes the file has a small stack.
    #[test]
    fn the_deepest_write_fits_a_small_stack() {
        let nested = |end: &str| {
            let levels = crate::limits::JSON_DEPTH_MAX - 2;
            let (open, close) = ("{a:".repeat(levels), "}".repeat(levels));
            format!("{{gateway: {{mode: 'local'}}, channels: {open}{end}{close}}} // mine\n")
        };
        let work = move || {
            let document = Document::new("/c.json", nested("{token: 'x'}"));
            let base_hash = Some(document.hash());
            for kind in [WriteKind::Set, WriteKind::Patch] {
                let raw = &nested("{b: 2}");
                let raw = raw.trim_end().trim_end_matches("// mine");
                let request = WriteRequest {
                    kind,
                    raw,
                    base_hash,
                };
                let plan = plan_write(&document, request, &|_| None).expect(raw);
                get_payload(&plan.document, &|_| None);
            }
        };
        let thread = std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(work);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn a_damaged_base_is_not_patched_but_may_be_replaced() {
        let document = Document::new("/c.json", "{ gateway: ".into());
        let request = |kind, raw| WriteRequest {
            kind,
            raw,
            base_hash: Some(document.hash()),
        };
        let patch = plan_write(&document, request(WriteKind::Patch, "{}"), &|_| None);
        assert_eq!(
            patch.unwrap_err().message(),
            "invalid config; fix before patching"
        );
        assert!(
            plan_write(
                &document,
                request(WriteKind::Set, "{gateway: {port: 1}}"),
                &|_| None
            )
            .is_ok()
        );
    }
}
