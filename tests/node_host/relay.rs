//! A network between a node and its gateway: it keeps one address whatever the gateway does, and
//! can be cut.
//!
//! Its port is not the gateway's, so whoever comes through it is not local there: a pairing has to
//! be approved.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Relay {
    pub port: u16,
    gateway: Arc<AtomicU16>,
    live: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Listens, and leads to `gateway`.
    pub fn to(gateway: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            port: listener.local_addr().unwrap().port(),
            gateway: Arc::new(gateway.into()),
            live: Arc::default(),
        };
        let (gateway, live) = (Arc::clone(&relay.gateway), Arc::clone(&relay.live));
        thread::spawn(move || {
            for node in listener.incoming().map_while(Result::ok) {
                let to = gateway.load(Ordering::SeqCst);
                // A gateway that is away refuses, and the node is told so.
                let Ok(gateway) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                let mut live = live.lock().unwrap();
                for (from, into) in [(&node, &gateway), (&gateway, &node)] {
                    let (from, into) = (from.try_clone().unwrap(), into.try_clone().unwrap());
                    live.push(from.try_clone().unwrap());
                    thread::spawn(move || carry(from, into));
                }
            }
        });
        relay
    }

    /// From now on it leads to another port.
    pub fn turn(&self, gateway: u16) {
        self.gateway.store(gateway, Ordering::SeqCst);
    }

    /// Cuts what goes through it now.
    pub fn cut(&self) {
        for stream in self.live.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut into: TcpStream) {
    let mut chunk = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if into.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Both);
}
