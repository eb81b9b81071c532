//! A systemd user unit as text. No secret is ever in one: whoever may list units sees it whole.

/// What makes a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Without `.service`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The program and its words.
    pub command: Vec<String>,
    /// Variables: places, never secrets.
    pub environment: Vec<(String, String)>,
    /// How long it may take to end, seconds.
    pub stop_s: u32,
    /// Exit codes after which it is not started again, since a person must act.
    pub final_codes: Vec<u8>,
    /// It says by itself when it is ready, and is taken for dead when it was silent for so many
    /// seconds.
    pub watchdog_s: Option<u32>,
    /// The user that a unit of the machine's systemd runs as; the user's own has none.
    pub user: Option<String>,
}

/// What holds besides for a unit of the machine's systemd, which may set up more.
const CONFINED: &[&str] = &[
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=full",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RemoveIPC=yes",
];

/// What holds for every unit of ours and hinders no command that one runs: nobody gains rights,
/// nothing outlives it, and one that fails at once again and again is left alone.
const HARDENED: &[&str] = &[
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "KillMode=control-group",
];

impl Unit {
    /// The file's name.
    pub fn file_name(&self) -> String {
        format!("{}.service", self.name)
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// A word with a control character, which no unit file can hold.
    pub fn to_text(&self) -> Result<String, String> {
        let words: Result<Vec<String>, String> = self.command.iter().map(|it| quoted(it)).collect();
        let codes: Vec<String> = self.final_codes.iter().map(u8::to_string).collect();
        let mut text = format!(
            "[Unit]\n\
             Description={}\n\
             StartLimitIntervalSec=60\n\
             StartLimitBurst=10\n\
             \n\
             [Service]\n\
             Type={}\n\
             ExecStart={}\n",
            self.description.replace('%', "%%"),
            if self.watchdog_s.is_some() {
                "notify"
            } else {
                "exec"
            },
            words?.join(" "),
        );
        if let Some(watchdog_s) = self.watchdog_s {
            text += &format!(
                "ExecReload=/bin/kill -HUP $MAINPID\n\
                 NotifyAccess=main\n\
                 WatchdogSec={watchdog_s}\n"
            );
        }
        if let Some(user) = &self.user {
            text += &format!("User={}\n", quoted(user)?);
        }
        for (name, value) in &self.environment {
            // Nothing is looked up inside an assignment, so a dollar stands for itself.
            let assignment = quoted(&format!("{name}={value}"))?.replace("$$", "$");
            text += &format!("Environment={assignment}\n");
        }
        text += &format!(
            "Restart=on-failure\n\
             RestartSec=2\n\
             RestartPreventExitStatus={}\n\
             TimeoutStopSec={}\n",
            codes.join(" "),
            self.stop_s,
        );
        let confined = if self.user.is_some() { CONFINED } else { &[] };
        for line in HARDENED.iter().chain(confined) {
            text += line;
            text.push('\n');
        }
        let target = match self.user {
            Some(_) => "multi-user.target",
            None => "default.target",
        };
        text += &format!("\n[Install]\nWantedBy={target}\n");
        Ok(text)
    }
}

/// A word as systemd reads it back (systemd.service(5), "Command lines"): quoted, with the signs
/// doubled by which it would put in something else.
fn quoted(word: &str) -> Result<String, String> {
    if word.contains(char::is_control) {
        return Err(format!("{word:?} has a control character in it"));
    }
    let doubled = word.replace('%', "%%").replace('$', "$$");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./+-,:@%$=".contains(c);
    if !doubled.is_empty() && doubled.chars().all(is_plain) {
        return Ok(doubled);
    }
    Ok(format!(
        "\"{}\"",
        doubled.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_says_what_is_run_and_how_it_is_kept_running() {
        let unit = Unit {
            name: "x".into(),
            description: "100 % x".into(),
            command: [
                "/opt/a b/clawdia",
                "node",
                "run",
                "--name",
                "$HOME \"x\" %h",
            ]
            .map(str::to_owned)
            .to_vec(),
            environment: vec![("CLAWDIA_STATE_DIR".into(), "/home/a b/$x".into())],
            stop_s: 5,
            final_codes: vec![2, 78],
            ..Unit::default()
        };
        let text = unit.to_text().unwrap();
        for line in [
            "Description=100 %% x",
            r#"ExecStart="/opt/a b/clawdia" node run --name "$$HOME \"x\" %%h""#,
            r#"Environment="CLAWDIA_STATE_DIR=/home/a b/$x""#,
            "Restart=on-failure",
            "RestartPreventExitStatus=2 78",
            "NoNewPrivileges=yes",
            "WantedBy=default.target",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        let odd = Unit {
            command: vec!["a\nExecStartPost=b".into()],
            ..unit
        };
        assert!(odd.to_text().is_err());
    }
}
