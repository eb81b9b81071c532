//! Other processes: naming one for good, signalling that one and no other, and who listens.

use std::io;
use std::net::IpAddr;
#[cfg(target_os = "linux")]
use std::net::Ipv4Addr;
use std::path::PathBuf;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// Names a process for good: its number may be used again, not together with its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessId {
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot; None where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// Which boot of the machine that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Self {
        Self {
            pid,
            start_time: start_time(pid),
            boot: boot(),
        }
    }

    /// This process.
    pub fn this() -> Self {
        Self::of(std::process::id())
    }

    /// Whether exactly this process runs. Where the system does not tell when a process started,
    /// nothing is known and the answer is no.
    pub fn is_running(&self) -> bool {
        self.start_time.is_some() && *self == Self::of(self.pid) && !is_zombie(self.pid)
    }

    /// Signals exactly this process; false where it has ended.
    ///
    /// # Errors
    ///
    /// When it belongs to somebody else.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        signal_if(self, signal)
    }
}

/// Between finding out who has the number and the signal, the number cannot change hands: the
/// descriptor stands for the process.
#[cfg(target_os = "linux")]
fn signal_if(process: &ProcessId, signal: Signal) -> io::Result<bool> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(false);
    };
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(fault) => return Err(fault.into()),
    };
    if !process.is_running() {
        return Ok(false);
    }
    match pidfd_send_signal(descriptor, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn signal_if(_process: &ProcessId, _signal: Signal) -> io::Result<bool> {
    Ok(false)
}

/// What a process was started with, and so will be again where it starts itself anew.
pub struct Started {
    /// Without the program's name.
    pub words: Vec<String>,
    /// The folder that relative paths of it are meant in.
    pub folder: PathBuf,
    variables: Vec<String>,
}

impl Started {
    /// None where the system does not tell.
    pub fn of(pid: u32) -> Option<Self> {
        let list = |file: &str| -> Option<Vec<String>> {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).ok()?;
            let text = String::from_utf8_lossy(&bytes);
            Some(text.split_terminator('\0').map(str::to_owned).collect())
        };
        let folder = PathBuf::from(format!("/proc/{pid}/cwd"));
        Some(Self {
            words: list("cmdline")?.into_iter().skip(1).collect(),
            folder: std::fs::read_link(&folder).unwrap_or(folder),
            variables: list("environ")?,
        })
    }

    /// One of its variables.
    pub fn variable(&self, name: &str) -> Option<String> {
        let mut variables = self.variables.iter();
        variables.find_map(|it| Some(it.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    }
}

/// Who listens on a TCP port of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub pid: u32,
    /// The process group.
    pub group: u32,
    /// The program's name, as the kernel has it (15 bytes at most).
    pub name: String,
}

/// The processes that listen on `127.0.0.1:port`, or on all addresses. None where the system does
/// not tell; processes of other people are not seen.
#[cfg(target_os = "linux")]
pub fn listeners(port: u16) -> Option<Vec<Listener>> {
    let here = Ipv4Addr::LOCALHOST.into();
    let sockets: Vec<Listening> = sockets(port).filter(|it| it.leads(here)).collect();
    if sockets.is_empty() {
        return std::path::Path::new("/proc/net/tcp")
            .exists()
            .then(Vec::new);
    }
    holders(&sockets)
}

#[cfg(not(target_os = "linux"))]
pub fn listeners(_port: u16) -> Option<Vec<Listener>> {
    None
}

/// Who has a port, on whatever address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    By(Listener),
    /// Somebody else's process, which only they and root see.
    ByUser(u32),
    /// The system does not tell.
    Unknown,
}

/// Who but `former` listens where somebody who wants this address and port cannot.
#[cfg(target_os = "linux")]
pub fn who_has(ip: IpAddr, port: u16, former: Option<u32>) -> Taken {
    let sockets = in_the_way(ip, port, former);
    let found = holders(&sockets).and_then(|found| found.into_iter().next());
    match (found, sockets.first()) {
        (Some(listener), _) => Taken::By(listener),
        (None, Some(socket)) => Taken::ByUser(socket.uid),
        (None, None) => Taken::Unknown,
    }
}

#[cfg(not(target_os = "linux"))]
pub fn who_has(_ip: IpAddr, _port: u16, _former: Option<u32>) -> Taken {
    Taken::Unknown
}

/// Whether anybody but `former` is known to be in the way.
#[cfg(target_os = "linux")]
pub fn is_taken(ip: IpAddr, port: u16, former: u32) -> bool {
    !in_the_way(ip, port, Some(former)).is_empty()
}

#[cfg(not(target_os = "linux"))]
pub fn is_taken(_ip: IpAddr, _port: u16, _former: u32) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn in_the_way(ip: IpAddr, port: u16, former: Option<u32>) -> Vec<Listening> {
    let is_former = |it: &Listening| former.is_some_and(|pid| holds(pid, &[it.inode]));
    let sockets = sockets(port).filter(|it| it.collides(ip));
    sockets.filter(|it| !is_former(it)).collect()
}

/// A socket that listens.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listening {
    inode: u64,
    /// Whose it is.
    uid: u32,
    address: IpAddr,
}

#[cfg(target_os = "linux")]
impl Listening {
    /// Whether a connection to this address comes here.
    fn leads(&self, ip: IpAddr) -> bool {
        self.address == ip || self.address.is_unspecified()
    }

    /// Whether both cannot be bound. That `::` takes IPv4 as well is not told.
    fn collides(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.address.is_ipv4() == ip.is_ipv4() && (self.leads(ip) || ip.is_unspecified())
    }
}

#[cfg(target_os = "linux")]
fn sockets(port: u16) -> impl Iterator<Item = Listening> {
    // Without IPv6 there is no second table.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter();
    let texts = tables.filter_map(|table| std::fs::read_to_string(table).ok());
    texts.flat_map(move |text| {
        let found: Vec<Listening> = text
            .lines()
            .filter_map(|line| listening(line, port))
            .collect();
        found
    })
}

/// The processes that hold any of these.
#[cfg(target_os = "linux")]
fn holders(sockets: &[Listening]) -> Option<Vec<Listener>> {
    let inodes: Vec<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(listener) = pid.filter(|pid| holds(*pid, &inodes)).and_then(describe) {
            found.push(listener);
        }
    }
    Some(found)
}

/// proc_net_tcp: field 1 is the local address, 3 the state (0A: listening), 7 the user, 9 the
/// inode. IPv4 is shown as one number in the machine's order.
#[cfg(target_os = "linux")]
fn listening(line: &str, port: u16) -> Option<Listening> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, local_port) = fields.next()?.split_once(':')?;
    if u16::from_str_radix(local_port, 16) != Ok(port) || fields.nth(1)? != "0A" {
        return None;
    }
    Some(Listening {
        uid: fields.nth(3)?.parse().ok()?,
        inode: fields.nth(1)?.parse().ok()?,
        address: address_of(address)?,
    })
}

/// An address as words of four bytes, each as one number in the machine's order.
#[cfg(target_os = "linux")]
fn address_of(hex: &str) -> Option<IpAddr> {
    let mut bytes = [0; 16];
    for (place, at) in bytes.chunks_mut(4).zip((0..hex.len()).step_by(8)) {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    match hex.len() {
        8 => Some(Ipv4Addr::from(*bytes.first_chunk()?).into()),
        _ => Some(IpAddr::from(bytes).to_canonical()),
    }
}

#[cfg(target_os = "linux")]
fn holds(pid: u32, inodes: &[u64]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        let link = std::fs::read_link(descriptor.path()).unwrap_or_default();
        let inode = link
            .to_str()
            .and_then(|link| link.strip_prefix("socket:["))
            .and_then(|link| link.strip_suffix(']'))
            .and_then(|inode| inode.parse().ok());
        inode.is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

#[cfg(target_os = "linux")]
fn describe(pid: u32) -> Option<Listener> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    Some(Listener {
        pid,
        group: tail.split_ascii_whitespace().nth(2)?.parse().ok()?,
        name: head.split_once('(')?.1.to_owned(),
    })
}

/// proc(5): field 22 of /proc/PID/stat; the name in field 2 may hold blanks and parentheses.
#[cfg(target_os = "linux")]
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid)?.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
pub fn start_time(_pid: u32) -> Option<u64> {
    None
}

/// What /proc/PID/stat has behind the name.
#[cfg(target_os = "linux")]
fn stat(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.to_owned())
}

/// A process that has ended and that nobody has asked after yet.
#[cfg(target_os = "linux")]
fn is_zombie(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.trim_start().starts_with(['Z', 'X']))
}

#[cfg(not(target_os = "linux"))]
fn is_zombie(_pid: u32) -> bool {
    false
}

/// Ticks are counted from the boot, so two boots may give one number and start to two processes.
fn boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn a_process_is_named_by_its_start_and_boot_too() {
        let this = ProcessId::this();
        assert!(this.is_running());
        let other_start = ProcessId {
            start_time: Some(0),
            ..this.clone()
        };
        let other_boot = ProcessId {
            boot: Some("another".into()),
            ..this.clone()
        };
        let unknown = ProcessId {
            start_time: None,
            ..this
        };
        for other in [other_start, other_boot, unknown] {
            assert!(!other.is_running());
            assert!(!other.signal(Signal::KILL).unwrap(), "this test still runs");
        }
    }

    #[test]
    fn a_process_that_ended_is_not_signalled() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(child.id());
        assert!(id.is_running() && id.signal(Signal::KILL).unwrap());
        // A zombie until it is waited for.
        while id.is_running() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!id.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn what_a_process_was_started_with_is_seen() {
        let mut sleep = Command::new("sleep");
        let mut child = sleep
            .arg("60")
            .env("A", "1=2")
            .env("AB", "")
            .spawn()
            .unwrap();
        // Between its fork and its words it has none, or still ours.
        let deadline = Instant::now() + Duration::from_secs(60);
        let started = loop {
            let started = Started::of(child.id()).unwrap();
            if started.words == ["60"] && started.variable("AB").is_some() {
                break started;
            }
            assert!(Instant::now() < deadline, "{:?}", started.words);
            std::thread::yield_now();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let of = |name| started.variable(name);
        assert_eq!(
            (of("A"), of("AB"), of("ABC")),
            (Some("1=2".into()), Some(String::new()), None)
        );
    }

    #[test]
    fn who_listens_on_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = listeners(port).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid, std::process::id());
        assert!(!found[0].name.is_empty());
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let this = std::process::id();
        assert_eq!(who_has(here, port, None), Taken::By(found[0].clone()));
        let everywhere = Ipv4Addr::UNSPECIFIED.into();
        let other = "127.0.0.2".parse().unwrap();
        for (ip, former, taken) in [
            (here, this, false),
            (everywhere, this, false),
            (here, 1, true),
            (everywhere, 1, true),
            (other, 1, false),
        ] {
            assert_eq!(is_taken(ip, port, former), taken, "{ip} {former}");
        }
        drop(listener);
        assert_eq!(listeners(port), Some(Vec::new()));
        assert_eq!(who_has(here, port, None), Taken::Unknown);
    }

    #[test]
    fn listeners_on_other_addresses_and_connections_are_left_out() {
        let row = |address: &str, state: &str| {
            format!(
                " 1: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 1000 0 77 1"
            )
        };
        let found = |address: &str, state: &str| listening(&row(address, state), 80);
        let socket = |address: &str| {
            Some(Listening {
                inode: 77,
                uid: 1000,
                address: address.parse().unwrap(),
            })
        };
        let mapped = "0000000000000000FFFF00000100007F:0050";
        for (address, meant, from_here) in [
            ("0100007F:0050", "127.0.0.1", true),
            (mapped, "127.0.0.1", true),
            ("00000000:0050", "0.0.0.0", true),
            (&format!("{:032}:0050", 0), "::", true),
            ("0200007F:0050", "127.0.0.2", false),
        ] {
            let listening = found(address, "0A");
            assert_eq!(listening, socket(meant));
            let here = Ipv4Addr::LOCALHOST.into();
            assert_eq!(listening.unwrap().leads(here), from_here);
        }
        assert_eq!(found("0100007F:0050", "01"), None);
        assert_eq!(found("0100007F:0051", "0A"), None);
        assert_eq!(listening("sl  local_address", 80), None);
    }
}
