//! A command of the agent on the gateway's own machine.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::beneath;
use super::environment::{Environment, linked_folders};
use super::output;
use super::process::{self, Task};
use crate::agent::{Acted, CancelToken, Ended, Find, Found, Order, Printed};
use crate::limits::PROCESS_SHOWN_BYTES_MAX;

/// Looks where the command would be executed and what its names mean there.
///
/// # Errors
///
/// There is no such folder, or a variable may not be set.
pub fn find(find: &Find) -> Result<Found, String> {
    let environment = environment(&find.env)?;
    let folder = folder(find)?;
    let programs = find.programs.iter().filter_map(|name| {
        let path = environment.find(name, &folder)?;
        Some((name.clone(), path.to_str()?.to_owned()))
    });
    Ok(Found {
        home: std::env::var("HOME").ok(),
        programs: programs.collect(),
        links: linked_folders(),
        folder: folder
            .to_str()
            .ok_or("the folder's path is no text")?
            .to_owned(),
    })
}

/// Executes a command until its end, its time, or until it is cancelled.
///
/// # Errors
///
/// It could not even be tried.
pub fn run(
    order: &Order,
    cancel: &CancelToken,
    tell: &mut dyn FnMut(Acted),
) -> Result<Ended, String> {
    let environment = environment(&order.env)?;
    // The end that the hook holds is closed when the command is to end.
    let (stop, held) = UnixStream::pair().map_err(|error| error.to_string())?;
    cancel.on_cancel(move || drop(held));
    let task = Task {
        program: Path::new(&order.program),
        argv: &order.argv,
        cwd: Some(Path::new(&order.folder)),
        environment: &environment,
        deadline: Instant::now().checked_add(Duration::from_millis(order.timeout_ms)),
        stop: stop.as_fd(),
    };
    let ended = process::run_watched(&task, &mut |stdout, stderr| {
        let shown = |tail: &output::Tail| tail.last(PROCESS_SHOWN_BYTES_MAX).marked();
        tell(Acted::Printed(Printed {
            stdout: shown(stdout),
            stderr: shown(stderr),
        }));
    });
    cancel.clear_hook();
    let shown = |tail: output::Tail| tail.last(PROCESS_SHOWN_BYTES_MAX).marked();
    Ok(Ended {
        exit_code: ended.exit_code,
        timed_out: ended.timed_out,
        stopped: ended.stopped,
        printed: Printed {
            stdout: shown(ended.stdout),
            stderr: shown(ended.stderr),
        },
        error: ended.error,
    })
}

/// The process's own variables without its secrets, and those of the caller.
fn environment(asked: &std::collections::BTreeMap<String, String>) -> Result<Environment, String> {
    let asked = asked
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Environment::of_this_process()
        .without_secrets()
        .with(&Value::Object(asked.collect()))
}

fn folder(find: &Find) -> Result<PathBuf, String> {
    let workspace = beneath::workspace(&find.workspace)?;
    let Some(cwd) = &find.cwd else {
        return Ok(workspace);
    };
    let path = workspace.join(beneath::expand(cwd));
    let found = path.canonicalize().ok().filter(|path| path.is_dir());
    found.ok_or_else(|| format!("cwd {cwd} is no folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Order {
        Order {
            program: "/bin/sh".into(),
            argv: ["sh", "-c", text].map(str::to_owned).to_vec(),
            folder: "/".into(),
            env: [("SHOWN".to_owned(), "yes".to_owned())].into(),
            timeout_ms: 60_000,
        }
    }

    #[test]
    fn what_is_printed_is_shown_while_it_runs_and_a_cancel_ends_it() {
        let cancel = CancelToken::new();
        let mut seen = String::new();
        let ended = run(
            &order("echo $SHOWN; exec sleep 600"),
            &cancel,
            &mut |acted| {
                if let Acted::Printed(printed) = acted {
                    seen = printed.stdout;
                    cancel.cancel();
                }
            },
        );
        let ended = ended.unwrap();
        assert_eq!(seen, "yes\n");
        assert!(ended.stopped && ended.exit_code.is_none() && !ended.timed_out);
    }

    #[test]
    fn a_command_that_was_cancelled_before_is_ended_at_once() {
        let cancel = CancelToken::new();
        cancel.cancel();
        let ended = run(&order("sleep 600"), &cancel, &mut |_| {}).unwrap();
        assert!(ended.stopped);
    }

    #[test]
    fn programs_are_found_from_the_workspace() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = dir.path().join("w");
        let asked = |cwd: Option<&str>| Find {
            workspace: workspace.to_str().unwrap().into(),
            cwd: cwd.map(str::to_owned),
            env: std::collections::BTreeMap::new(),
            programs: vec!["sh".into(), "no-such-program".into()],
        };
        let found = find(&asked(None)).unwrap();
        assert!(Path::new(&found.folder).ends_with("w"));
        assert_eq!(found.programs.len(), 1);
        assert!(found.programs["sh"].ends_with("/sh"));
        assert_eq!(find(&asked(Some("/"))).unwrap().folder, "/");
        assert!(find(&asked(Some("none"))).is_err());
    }
}
