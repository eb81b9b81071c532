//! The command line's entry: until commands are parsed, it runs the gateway.

use clawdia::config::paths::Paths;
use clawdia::io::server::{self, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let home = std::env::home_dir();
    let paths = match Paths::resolve(home.as_deref(), &env, None, false) {
        Ok(paths) => paths,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(78);
        }
    };
    let options = Options {
        paths,
        port: None,
        bind: None,
        auth: None,
        token: None,
        password: None,
        verbose: true,
    };
    match server::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{}", fault.message);
            ExitCode::from(fault.exit_code)
        }
    }
}
