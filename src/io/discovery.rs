//! Multicast DNS (RFC 6762): telling the network of the gateway, and listening for others.
//!
//! The crate has a thread of its own; what goes wrong there never reaches the gateway.

use crate::limits::{BEACONS_MAX, GOODBYE_MS};
use crate::order;
use crate::remote::beacon::{Beacon, Found, TYPES};
use mdns_sd::{IfKind, ServiceDaemon, ServiceEvent, ServiceInfo};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Tells the network of a gateway until it is stopped.
pub struct Advertiser {
    daemon: ServiceDaemon,
}

impl Advertiser {
    /// Tells it on the interface of `address`, or on all with IPv4 where there is none.
    ///
    /// # Errors
    ///
    /// When this machine cannot.
    pub fn start(beacon: &Beacon, address: Option<IpAddr>) -> Result<Self, String> {
        let advertiser = Self {
            daemon: ServiceDaemon::new().map_err(|fault| fault.to_string())?,
        };
        match advertiser.announce(beacon, address) {
            Ok(()) => Ok(advertiser),
            Err(fault) => {
                advertiser.stop();
                Err(fault.to_string())
            }
        }
    }

    fn announce(&self, beacon: &Beacon, address: Option<IpAddr>) -> mdns_sd::Result<()> {
        // What listens on all addresses listens on those of IPv4.
        self.daemon.disable_interface(IfKind::All)?;
        self.daemon
            .enable_interface(address.map_or(IfKind::IPv4, IfKind::Addr))?;
        self.daemon
            .disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        let properties = beacon.properties();
        for service in TYPES {
            let addresses: Vec<IpAddr> = address.into_iter().collect();
            let mut info = ServiceInfo::new(
                service,
                &beacon.instance(),
                &beacon.host(),
                addresses.as_slice(),
                beacon.port,
                properties.as_slice(),
            )?;
            if address.is_none() {
                info = info.enable_addr_auto();
            }
            self.daemon.register(info)?;
        }
        Ok(())
    }

    /// Says goodbye, so that nobody looks for it any longer.
    pub fn stop(self) {
        if let Ok(ended) = self.daemon.shutdown() {
            // Who does not hear it forgets the gateway when its records have aged.
            let _ = ended.recv_timeout(Duration::from_millis(GOODBYE_MS));
        }
    }
}

/// Listens for so long; what the network told, each gateway once, by name.
///
/// # Errors
///
/// When this machine cannot listen.
pub fn browse(time: Duration) -> Result<Vec<Found>, String> {
    let daemon = ServiceDaemon::new().map_err(|fault| fault.to_string())?;
    let found = listen(&daemon, Instant::now() + time);
    if let Ok(ended) = daemon.shutdown() {
        let _ = ended.recv_timeout(Duration::from_millis(GOODBYE_MS));
    }
    found.map_err(|fault| fault.to_string())
}

fn listen(daemon: &ServiceDaemon, deadline: Instant) -> mdns_sd::Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    let heard = TYPES.map(|service| daemon.browse(service));
    for events in heard {
        let events = events?;
        // The second type was answered meanwhile: its events wait.
        while let Some(event) = match Instant::now() < deadline {
            true => events.recv_deadline(deadline).ok(),
            false => events.try_recv().ok(),
        } {
            if let ServiceEvent::ServiceResolved(service) = event {
                let addresses = service
                    .get_addresses()
                    .iter()
                    .map(mdns_sd::ScopedIp::to_ip_addr);
                let properties = service.get_properties();
                let one = Found::read(
                    service.get_fullname(),
                    service.get_hostname(),
                    service.get_port(),
                    addresses,
                    |key| properties.get_property_val_str(key),
                );
                // It is told once for each address that joins; the last is the fullest.
                found.retain(|other| (&other.name, other.port) != (&one.name, one.port));
                if found.len() < BEACONS_MAX {
                    found.push(one);
                }
            }
        }
    }
    order::sort_by(&mut found, |a, b| (&a.name, a.port).cmp(&(&b.name, b.port)));
    Ok(found)
}
