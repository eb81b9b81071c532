//! From the start of the process to the first hello-ok, and what one command costs.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clawdia::driver::device::Device;
use clawdia::io::lock::{LockHolder, StateLock};
use clawdia::io::store;
use clawdia::state::{
    ClientFacts, Device as Row, DeviceToken, Grant, Record, Role, StoreAnswer, StoreRequest, Text,
    no_texts,
};

use super::party::{As, Party, unix_ms};
use super::{Table, mb};
use crate::gateway::Home;
use crate::process::{children_cpu_us, highest_resident_bytes, process_cpu_us};

/// Devices that one transaction stores.
const SEED_BATCH: usize = 1_000;

/// Wall and processor time, in milliseconds, to the first hello-ok: the least of some starts.
///
/// # Errors
///
/// When the gateway does not start.
pub fn starts(table: &mut Table, home: &Home, what: &str, times: u32, goal: f64) -> io::Result<()> {
    let (mut wall_ms, mut cpu_ms) = (f64::MAX, f64::MAX);
    for _ in 0..times {
        let begun = Instant::now();
        let gateway = home.start()?;
        let (_party, _) = Party::join(gateway.port, As::Operator, &home.token()?)?;
        wall_ms = wall_ms.min(begun.elapsed().as_secs_f64() * 1e3);
        cpu_ms = cpu_ms.min(process_cpu_us(gateway.pid())? as f64 / 1e3);
        gateway.stop()?;
    }
    table.put(
        format!("start to first hello-ok, {what}: CPU"),
        cpu_ms,
        "ms",
        goal,
    );
    table.tell(
        format!("start to first hello-ok, {what}: wall"),
        wall_ms,
        "ms",
    );
    Ok(())
}

/// Stores `count` paired devices of both roles in a home whose gateway does not run.
///
/// # Errors
///
/// When the database cannot be written.
pub fn seed_devices(home: &Home, count: usize) -> io::Result<()> {
    let lock = StateLock::acquire(&home.state(), LockHolder::this_process(1)).map_err(fault)?;
    let opened = store::open(&lock, Arc::new(|| {})).map_err(fault)?;
    let now_ms = unix_ms();
    let rows: Vec<Record> = (0..count)
        .map(|number| Record::DevicePut(Arc::new(row(number, now_ms))))
        .collect();
    for (batch, records) in rows.chunks(SEED_BATCH).enumerate() {
        let request = StoreRequest::Commit {
            batch: batch as u64,
            records: records.to_vec(),
            durable: false,
        };
        let answer = match opened.store.submit(request) {
            Ok(()) => opened.store.wait_answer(),
            Err(answer) => Some(answer),
        };
        match answer {
            Some(StoreAnswer::Committed { result: Ok(()), .. }) => {}
            _ => return Err(io::Error::other("the devices could not be stored")),
        }
    }
    opened.store.close();
    Ok(())
}

fn fault(fault: clawdia::io::state_dir::StartFault) -> io::Error {
    io::Error::other(fault.message)
}

/// The token of a device that [`seed_devices`] stored.
pub fn device_token(number: usize) -> String {
    format!("{number:064x}")
}

fn row(number: usize, now_ms: u64) -> Row {
    let device = Device::new(number as u64);
    let text = |text: &str| Some(Text::from(text));
    let scopes: Arc<[Text]> = ["operator.read", "operator.write"].map(Text::from).into();
    let grant = |role, scopes: &Arc<[Text]>| Grant {
        role,
        scopes: scopes.clone(),
        token: Some(Box::new(DeviceToken {
            token: device_token(number).into(),
            scopes: scopes.clone(),
            created_at_ms: 1,
            rotated_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        })),
    };
    Row {
        device_id: device.id.as_str().into(),
        public_key: device.public_key.as_str().into(),
        client: ClientFacts {
            display_name: Some(format!("device {number}").into()),
            platform: text("linux"),
            client_id: text("node-host"),
            client_mode: text("node"),
            remote_ip: text("127.0.0.1"),
            ..ClientFacts::default()
        },
        name: None,
        grants: vec![
            grant(Role::Operator, &scopes),
            grant(Role::Node, &no_texts()),
        ],
        caps: Arc::from([Text::from("system")]),
        commands: Arc::from([Text::from("system.run"), Text::from("system.which")]),
        created_at_ms: 1,
        approved_at_ms: 1,
        // Today, so that coming back writes nothing, as a rule.
        last_seen_ms: now_ms,
    }
}

/// `clawdia health` against a gateway of this home: processor and wall time, and memory.
///
/// # Errors
///
/// When the command fails.
pub fn command(table: &mut Table, home: &Home, times: u32) -> io::Result<()> {
    let gateway = home.start()?;
    let run = || -> io::Result<()> {
        let status = home.command(&["health"])?.stdout(Stdio::null()).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other("`health` failed")),
        }
    };
    // The first one makes the device key and is paired.
    run()?;
    let (cpu_before, begun) = (children_cpu_us()?, Instant::now());
    for _ in 0..times {
        run()?;
    }
    let wall_ms = begun.elapsed().as_secs_f64() * 1e3 / f64::from(times);
    let cpu_us = (children_cpu_us()? - cpu_before) as f64 / f64::from(times);
    table.put("`clawdia health`: CPU", cpu_us / 1e3, "ms", 10.0);
    table.tell("`clawdia health`: wall", wall_ms, "ms");
    gateway.stop()?;

    // Against somebody who never answers, it stands still and can be looked at.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", silent.local_addr()?);
    let mut child = home
        .command(&["health", "--token", "x", "--url", &url])?
        .spawn()?;
    let (_stream, _) = silent.accept()?;
    std::thread::sleep(Duration::from_millis(50));
    let resident = highest_resident_bytes(child.id());
    child.kill()?;
    child.wait()?;
    table.put("`clawdia health`: memory", mb(resident? as f64), "MB", 5.0);
    Ok(())
}

/// Bytes of the program without its symbols, in megabytes.
///
/// # Errors
///
/// When there is no `strip`.
pub fn program_size(table: &mut Table, home: &Home, program: &std::path::Path) -> io::Result<()> {
    let stripped = home.path().join("stripped");
    let status = std::process::Command::new("strip")
        .arg("-o")
        .args([&stripped, &program.to_path_buf()])
        .status()?;
    if !status.success() {
        return Err(io::Error::other("strip failed"));
    }
    let bytes = fs::metadata(stripped)?.len();
    table.put("program, stripped", mb(bytes as f64), "MB", 8.0);
    Ok(())
}
