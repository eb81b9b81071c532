//! Time zones that were asked for: each is read once.

use super::{Fetch, FetchResult, Gateway};
use crate::limits::ZONES_MAX;
use crate::schedule::Zone;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Zones by name; the machine's own has none.
pub type Zones = BTreeMap<String, Arc<Zone>>;

/// Names of the zone that needs no file.
const UTC: [&str; 5] = ["UTC", "Etc/UTC", "GMT", "Z", "utc"];

impl Gateway {
    /// Gives `then` a zone: the named one, else the machine's own.
    pub(super) fn with_zone(
        &mut self,
        name: Option<&str>,
        then: impl FnOnce(&mut Gateway, Result<Arc<Zone>, String>) + Send + 'static,
    ) {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        if name.is_some_and(|name| UTC.contains(&name)) {
            return then(self, Ok(Arc::default()));
        }
        let key = name.unwrap_or_default().to_owned();
        if let Some(zone) = self.zones.get(&key).cloned() {
            return then(self, Ok(zone));
        }
        let fetch = Fetch::Zone {
            name: name.map(str::to_owned),
        };
        self.fetch(fetch, move |gateway, _, result| {
            let zone = read(&key, result);
            if let Ok(zone) = &zone
                && gateway.zones.len() < ZONES_MAX
            {
                gateway.zones.insert(key, zone.clone());
            }
            then(gateway, zone);
        });
    }
}

fn read(name: &str, result: FetchResult) -> Result<Arc<Zone>, String> {
    match result {
        FetchResult::Zone(bytes) => Zone::parse(&bytes)
            .map(Arc::new)
            .map_err(|fault| format!("the file of the time zone {name:?} is damaged: {fault}")),
        // A machine that names no zone lives in UTC.
        FetchResult::Missing if name.is_empty() => Ok(Arc::default()),
        FetchResult::Missing => Err(format!(
            "there is no time zone {name:?} on the gateway's machine: use a name such as \
             Europe/Vienna (the package tzdata has them)"
        )),
        FetchResult::Failed(fault) => {
            Err(format!("the time zone {name:?} cannot be read: {fault}"))
        }
        _ => Err("no time zone came".into()),
    }
}
