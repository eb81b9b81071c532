//! Our node host as a process of its own, in a home that is gone afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A node host that allows everything. It ends at the latest when this is dropped.
pub struct NodeHost {
    home: tempfile::TempDir,
    program: PathBuf,
    words: Vec<String>,
    child: Option<Child>,
}

impl NodeHost {
    /// A host for the gateway on this port, whose secret is in that file. It is not started yet.
    ///
    /// # Errors
    ///
    /// When no files can be made.
    pub fn new(program: &Path, port: u16, token_file: &Path) -> io::Result<Self> {
        let home = tempfile::tempdir()?;
        let dir = home.path().join(".clawdia/node");
        fs::create_dir_all(&dir)?;
        let approvals = r#"{"version":1,"defaults":{"security":"full","ask":"off"},"agents":{}}"#;
        fs::write(dir.join("exec-approvals.json"), approvals)?;
        let url = format!("ws://127.0.0.1:{port}");
        let token_file = token_file.to_string_lossy();
        let words = ["node", "run", "--url", &url, "--token-file", &token_file];
        Ok(Self {
            words: words.map(str::to_owned).to_vec(),
            program: program.canonicalize()?,
            home,
            child: None,
        })
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When there is no such program.
    pub fn start(&mut self) -> io::Result<()> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("log"))?;
        let child = Command::new(&self.program)
            .args(&self.words)
            .env_clear()
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended cannot be killed, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its device id, once it has been started.
    ///
    /// # Errors
    ///
    /// Before that.
    pub fn device_id(&self) -> io::Result<String> {
        let path = self.home.path().join(".clawdia/node/device.json");
        let device: serde_json::Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let id = device["deviceId"].as_str();
        id.map(str::to_owned)
            .ok_or_else(|| io::Error::other("the node has no device id"))
    }

    /// A command that notes its key, and takes so long.
    pub fn script(key: &str, seconds: f64) -> String {
        format!("echo {key} >> acted; sleep {seconds:.2}")
    }

    /// How often each key acted.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn acted(&self) -> io::Result<BTreeMap<String, u32>> {
        let text = match fs::read_to_string(self.home.path().join("acted")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut acted = BTreeMap::new();
        for key in text.lines() {
            *acted.entry(key.to_owned()).or_default() += 1;
        }
        Ok(acted)
    }

    /// What it said last.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        text.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for NodeHost {
    fn drop(&mut self) {
        self.kill();
    }
}
