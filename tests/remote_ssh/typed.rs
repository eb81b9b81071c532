//! A secret that no file here and no command there tells is asked for at the terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::stand_in::{Ssh, eventually, record};
use super::support::Home;
use clawdia::remote::record::Phase;

/// A host whose `clawdia token` gives nothing.
fn silent(home: &Home, port: u16) -> Ssh {
    let ssh = Ssh::to(home, port);
    ssh.write("token", "");
    ssh
}

#[test]
fn a_person_types_it_and_it_is_not_shown() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = silent(&far, gateway.port);
    let token = far.run(&["token"]).ok().out.trim().to_owned();

    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let mut options = File::options();
    let near_end = options.read(true).write(true).open(name.to_str().unwrap());
    let near_end = near_end.unwrap();
    let mut command = ssh.command(&near, &["remote", "up", "you@host"]);
    command.stdin(near_end.try_clone().unwrap());
    command.stderr(near_end).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);

    let mut terminal = File::from(terminal);
    let seen = Arc::new(Mutex::new(String::new()));
    let (mut reads, shown) = (terminal.try_clone().unwrap(), Arc::clone(&seen));
    let reader = std::thread::spawn(move || {
        let mut chunk = [0; 1024];
        // A terminal whose other end is closed fails instead of ending.
        while let Ok(len @ 1..) = reads.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..len]);
            shown.lock().unwrap().push_str(&text);
        }
    });
    let has = |words: &str| seen.lock().unwrap().contains(words);
    eventually("the question", || has("you@host (it is not shown)"));
    terminal.write_all(format!("{token}\n").as_bytes()).unwrap();
    eventually("the gateway", || {
        let records = clawdia::remote::record::Records::new(&near.state()).list();
        records.iter().any(|record| record.phase == Phase::Up)
    });
    assert_eq!(record(&near).phase, Phase::Up);
    assert!(!has(&token), "it was shown");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(terminal);
    reader.join().unwrap();
}

#[test]
fn without_a_terminal_it_says_what_to_run() {
    let (far, near) = (Home::new(), Home::new());
    let gateway = far.gateway(&[]);
    let ssh = silent(&far, gateway.port);
    for more in [&[][..], &["--detach"]] {
        let words = [&["remote", "up", "you@host"], more].concat();
        let refused = ssh.run(&near, &words);
        assert_eq!(refused.code, 1, "{refused:?}");
        let mend = "clawdia remote up you@host --token-file FILE";
        assert!(refused.err.contains(mend), "{refused:?}");
    }
}
