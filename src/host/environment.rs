//! The variables that a command gets, and where its programs are found.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where programs are without any setting.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables by which a caller could make an allowed program run something else.
const REFUSED: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "ENV",
    "GCONV_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSOPEN",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];
const REFUSED_PREFIXES: &[&str] = &[
    "LD_",
    "DYLD_",
    "BASH_FUNC_",
    "GIT_CONFIG_KEY",
    "GIT_CONFIG_VALUE",
];

/// What the node was started with and no command shall see.
const KEPT_BACK_PREFIXES: &[&str] = &["CLAWDIA_", "CLAWDBOT_", "MOLTBOT_", "OPENCLAW_"];
const KEPT_BACK_ENDS: &[&str] = &["TOKEN", "PASSWORD", "SECRET", "KEY"];
/// What secrets are called, whosever they are.
const SECRET_ENDS: &[&str] = &[
    "KEY",
    "KEYS",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "CREDENTIALS",
];
/// Of the supervisor, for this process alone.
const SUPERVISORS: &[&str] = &[
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// The variables of one command.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// Those of this process, without its secrets.
    pub fn of_this_process() -> Self {
        let is_kept_back = |name: &str| {
            let is_secret = KEPT_BACK_PREFIXES.iter().any(|it| name.starts_with(it))
                && KEPT_BACK_ENDS.iter().any(|it| name.ends_with(it));
            is_secret || SUPERVISORS.contains(&name)
        };
        let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os()
            .filter(|(name, _)| !name.to_str().is_some_and(is_kept_back))
            .collect();
        let path = variables.entry("PATH".into()).or_default();
        if path.is_empty() {
            *path = PATH_DEFAULT.into();
        }
        Self { variables }
    }

    /// Without any variable that is called like a secret: of a gateway these are the keys of its
    /// models and channels.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.variables.retain(|name, _| {
            let name = name.to_string_lossy().to_ascii_uppercase();
            !SECRET_ENDS.iter().any(|end| name.ends_with(end))
        });
        self
    }

    /// With what a caller asks for besides.
    ///
    /// # Errors
    ///
    /// A name that no variable has, or one that nobody may set from afar. `PATH` may only be
    /// extended in front.
    pub fn with(mut self, asked: &Value) -> Result<Self, String> {
        let asked = match asked {
            Value::Null => return Ok(self),
            Value::Object(asked) => asked,
            _ => return Err("env is no object".into()),
        };
        for (name, value) in asked {
            let (name, value) = (name.trim(), value.as_str());
            let value = value.ok_or_else(|| format!("env.{name} is no text"))?;
            self.check(name, value)?;
            self.variables.insert(name.into(), value.into());
        }
        Ok(self)
    }

    /// With a variable that the machine's owner wrote into the configuration: any.
    ///
    /// # Errors
    ///
    /// A name or value that no variable has.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("env has no variable {name:?}"));
        }
        self.variables.insert(name.into(), value.into());
        Ok(())
    }

    fn check(&self, name: &str, value: &str) -> Result<(), String> {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("env has no variable {name:?}"));
        }
        let upper = name.to_ascii_uppercase();
        if REFUSED.contains(&upper.as_str())
            || REFUSED_PREFIXES
                .iter()
                .any(|prefix| upper.starts_with(prefix))
        {
            return Err(format!("env.{name} may not be set from afar"));
        }
        if upper == "PATH" {
            let own = self.path();
            let extends = value.strip_suffix(own.as_str());
            if name != "PATH"
                || !extends.is_some_and(|front| front.is_empty() || front.ends_with(':'))
            {
                return Err("env.PATH may only put folders before its own".into());
            }
        }
        Ok(())
    }

    /// The folders in which programs are looked for.
    pub fn path(&self) -> String {
        let path = self.variables.get(std::ffi::OsStr::new("PATH"));
        path.map_or_else(String::new, |path| path.to_string_lossy().into_owned())
    }

    /// Gives them to a command, and no others.
    pub fn apply(&self, command: &mut Command) {
        command.env_clear().envs(&self.variables);
    }

    /// The program that `name` means in `cwd`, as the execution finds it: an absolute path, with
    /// no `.` or `..` in it.
    pub fn find(&self, name: &str, cwd: &Path) -> Option<PathBuf> {
        if name.is_empty() || name.contains('\0') {
            return None;
        }
        let found = if name.contains('/') {
            let path = cwd.join(name);
            match is_plain(&path) {
                true => path,
                false => path.canonicalize().ok()?,
            }
        } else {
            let path = self.path();
            let folders = path.split(':').filter(|folder| is_plain(Path::new(folder)));
            return folders
                .map(|folder| Path::new(folder).join(name))
                .find(|path| is_program(path));
        };
        is_program(&found).then_some(found)
    }
}

/// Folders of programs that are links, and where each leads. Only what the system's owner alone can change is looked
/// at: whoever could turn a link elsewhere could make one program of another.
pub fn linked_folders() -> Vec<(String, String)> {
    use std::os::unix::fs::MetadataExt;
    let led = |link: &str| {
        let owner = std::fs::symlink_metadata(link).ok()?.uid();
        let real = Path::new(link).canonicalize().ok()?;
        let real = real.to_str().filter(|real| *real != link)?;
        (owner == 0).then(|| (link.to_owned(), real.to_owned()))
    };
    ["/bin", "/sbin", "/usr/sbin"]
        .into_iter()
        .filter_map(led)
        .collect()
}

/// Absolute, and every name in it is what it seems.
fn is_plain(path: &Path) -> bool {
    use std::path::Component;
    // Components hide a `.` in the middle, so the text is looked at too.
    path.is_absolute()
        && !path.components().any(|part| part == Component::ParentDir)
        && !path.to_string_lossy().split('/').any(|part| part == ".")
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn base() -> Environment {
        let mut variables = BTreeMap::new();
        variables.insert("PATH".into(), "/usr/bin:/bin".into());
        Environment { variables }
    }

    #[test]
    fn a_variable_that_runs_other_code_is_refused_by_name() {
        for name in [
            "LD_PRELOAD",
            "ld_preload",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "BASH_ENV",
            "BASH_FUNC_ls%%",
            "GIT_SSH_COMMAND",
            " LD_PRELOAD ",
            "",
            "A=B",
            "A\0",
        ] {
            assert!(base().with(&json!({name: "x"})).is_err(), "{name:?}");
        }
        assert!(base().with(&json!({"A": "\0"})).is_err());
        assert!(base().with(&json!({"A": 1})).is_err());
        assert!(base().with(&json!([])).is_err());
        assert!(base().with(&json!(null)).is_ok());
        assert!(
            base()
                .with(&json!({"LANG": "C", "_X": "LD_PRELOAD"}))
                .is_ok()
        );
    }

    #[test]
    fn no_command_of_an_agent_sees_a_secret() {
        let mut base = base();
        for name in [
            "OPENAI_API_KEY",
            "MY_TOKEN",
            "db_password",
            "X_SECRET",
            "HOME",
        ] {
            base.variables.insert(name.into(), "x".into());
        }
        let left: Vec<_> = base.without_secrets().variables.into_keys().collect();
        assert_eq!(left, ["HOME", "PATH"]);
    }

    #[test]
    fn the_path_grows_in_front_only() {
        let grown = base()
            .with(&json!({"PATH": "/opt/x:/usr/bin:/bin"}))
            .unwrap();
        assert_eq!(grown.path(), "/opt/x:/usr/bin:/bin");
        for other in ["/tmp", "", "/usr/bin:/bin:/tmp", "/tmp/usr/bin:/bin"] {
            assert!(base().with(&json!({"PATH": other})).is_err(), "{other}");
        }
        assert!(base().with(&json!({"Path": "/usr/bin:/bin"})).is_err());
    }

    #[test]
    fn a_program_is_found_as_it_is_executed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let program = root.join("tool");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let env = base();
        assert_eq!(env.find("tool", &root), None, "not in the path");
        assert_eq!(env.find("./tool", &root), None, "not executable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(env.find("./tool", &root), Some(program.clone()));
        let around = format!("{}/x/../tool", root.display());
        std::fs::create_dir(root.join("x")).unwrap();
        assert_eq!(env.find(&around, &root), Some(program.clone()));
        assert_eq!(env.find("sh", &root).unwrap().file_name().unwrap(), "sh");
        for none in ["", "no-such-program", "/usr/bin", "sh\0"] {
            assert_eq!(env.find(none, &root), None, "{none:?}");
        }
        // A folder that is not absolute would be another one in each directory.
        let mut odd = base();
        odd.variables.insert("PATH".into(), ".::bin".into());
        assert_eq!(odd.find("tool", &root), None);
    }

    #[test]
    fn a_folder_of_the_system_that_is_a_link_says_where_it_leads() {
        let real = Path::new("/bin").canonicalize().unwrap();
        let expected = (real != Path::new("/bin")).then(|| real.display().to_string());
        let links = linked_folders();
        let found = links.iter().find(|(link, _)| link == "/bin");
        assert_eq!(found.map(|(_, real)| real.clone()), expected);
    }
}
