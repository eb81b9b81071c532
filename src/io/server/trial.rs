//! A start that is only tried: what it would be refused for is found beside a gateway that runs. Nothing is made, written
//! or ended for it.

use super::Options;
use super::bind::Plan;
use super::source::{Env, Source};
use super::tls::Tls;
use crate::config::GatewayMode;
use crate::gateway::auth::secret::GatewaySecret;
use crate::io::secret;
use crate::io::state_dir::StartFault;
use rustix::fs::{Access, access};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The configuration itself, or a variable that outranks it.
    Settings,
    Secret,
    /// The generated one.
    Token,
    Log,
    Address,
    Port,
    Certificate,
}

/// What a start with these options in this environment says before it ends. A port is tried where `may_try` says so;
/// what the process `former` listens on is no obstacle, as it makes room.
///
/// # Errors
///
/// The first refusal, in the order of a start.
pub fn attempt(
    options: Options,
    env: Env,
    may_try: impl Fn(u16) -> bool,
    former: Option<u32>,
) -> Result<(), (About, StartFault)> {
    let about = |what: About| move |fault: StartFault| (what, fault);
    let source = Source { options, env };
    let document = source.read().map_err(about(About::Settings))?;
    let is_ours = document
        .load(&source.env)
        .is_ok_and(|loaded| loaded.config.gateway.mode != Some(GatewayMode::Remote));
    let stage = if is_ours {
        About::Secret
    } else {
        About::Settings
    };
    let loaded = source.resolve(document).map_err(about(stage))?;
    let config = &loaded.config;
    let is_secret = loaded.secret != GatewaySecret::None;
    let plan = Plan::new(config, source.options.bind.as_deref(), is_secret);
    let plan = plan.map_err(about(About::Address))?;
    if !is_secret {
        plan.is_closed().map_err(about(About::Secret))?;
        secret::load_token(&source.options.paths.state_dir).map_err(about(About::Token))?;
    }
    log_opens(&source.log_path(config)).map_err(about(About::Log))?;
    let port = source.port(config).map_err(about(About::Settings))?;
    // Any port says whether the address is one of this machine.
    plan.is_free(0, None).map_err(about(About::Address))?;
    if may_try(port) {
        plan.is_free(port, former).map_err(about(About::Port))?;
    }
    let tls = Tls::new(config, &source.options.paths.state_dir, "");
    match tls.map_err(about(About::Settings))? {
        Some(tls) => tls.check().map_err(about(About::Certificate)),
        None => Ok(()),
    }
}

/// Whether a log can be there; one that is still missing is made in a folder that is still missing too.
fn log_opens(path: &Path) -> Result<(), StartFault> {
    let opened = match OpenOptions::new().append(true).open(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            let folder = path.ancestors().skip(1).find(|it| it.exists());
            access(folder.unwrap_or(path), Access::WRITE_OK | Access::EXEC_OK)
                .map_err(io::Error::from)
        }
        opened => opened.map(drop),
    };
    opened.map_err(|fault| StartFault::io("open the log", path, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::paths::Paths;
    use std::net::TcpListener;

    fn refused(text: &str, env: &'static [(&str, &str)], held: u16) -> Option<(About, String)> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clawdia.json");
        std::fs::write(&file, text).unwrap();
        let options = Options {
            paths: Paths {
                profile: None,
                state_dir: dir.path().to_path_buf(),
                config_candidates: vec![file],
            },
            port: None,
            bind: None,
            auth: None,
            token: None,
            password: None,
            verbose: false,
        };
        let variable = |name: &str| {
            let found = env.iter().find(|(it, _)| *it == name)?;
            Some(found.1.to_owned())
        };
        let tried = attempt(options, Box::new(variable), |port| port != held, None);
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "nothing is made");
        tried.err().map(|(about, fault)| (about, fault.message))
    }

    #[test]
    fn each_refusal_of_a_start_is_found_and_said_by_what_it_is_about() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let on = |more: &str| format!("{{ gateway: {{ port: {port}, {more} }} }}");
        let secret = "auth: { token: 'a-secret-that-somebody-chose' }";
        let missing = "tls: { enabled: true, certPath: '/no/cert.pem', keyPath: '/no/key.pem' }";
        // RFC 5737: nobody's address.
        let foreign = "bind: 'custom', customBindHost: '192.0.2.1'";
        for (text, about, told) in [
            (
                "{ gateway: { prot: 1 } }".into(),
                About::Settings,
                "gateway.prot",
            ),
            (
                "{ gateway: { mode: 'remote' } }".into(),
                About::Settings,
                "remote",
            ),
            (
                on("bind: 'lan'"),
                About::Secret,
                "neither token nor password",
            ),
            (
                on(&format!("{foreign}, {secret}")),
                About::Address,
                "no address of",
            ),
            (on(missing), About::Certificate, "cannot read /no/cert.pem"),
        ] {
            let (found, said) = refused(&text, &[], port).expect(&text);
            assert_eq!(found, about, "{said}");
            assert!(said.contains(told), "{said}");
        }
        let log = |file: &str| {
            let text = format!("{{ logging: {{ file: '{file}' }}, gateway: {{ port: {port} }} }}");
            refused(&text, &[], port)
        };
        for file in ["/dev/null/x.log", "/tmp"] {
            let (found, said) = log(file).expect(file);
            assert_eq!(found, About::Log, "{said}");
            assert!(
                said.starts_with(&format!("cannot open the log {file}: ")),
                "{said}"
            );
        }
        assert_eq!(log("still/missing/x.log"), None);
        assert_eq!(refused(&on(""), &[], port), None);
        assert_eq!(refused(&on("tls: { enabled: true }"), &[], port), None);
        let (found, said) = refused(&on(""), &[], 0).unwrap();
        assert_eq!(found, About::Port, "{said}");
        assert!(
            said.contains(&format!("port {port} on 127.0.0.1 is in use")),
            "{said}"
        );
    }

    #[test]
    fn the_environment_is_that_of_the_start() {
        let open = "{ gateway: { bind: 'lan', port: 1 } }";
        let token = &[("CLAWDIA_GATEWAY_TOKEN", "a-secret-that-somebody-chose")];
        assert_eq!(refused(open, token, 1), None);
        let (found, said) = refused("{}", &[("CLAWDIA_GATEWAY_PORT", "x")], 1).unwrap();
        assert_eq!(found, About::Settings, "{said}");
    }
}
