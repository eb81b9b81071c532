//! `node.list/describe/rename`: which nodes there are. Those that are connected are read from the
//! registry that also routes calls, so list and routing cannot disagree.

pub mod event;
pub mod invoke;
pub mod many;
pub mod pair;
mod rows;

use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::nodes::policy::matches_name;
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::state::{Device, Record, Role};
use std::sync::Arc;

const UNKNOWN_NODE: &str = "unknown nodeId";
/// Names are given one after the other, so that no two nodes get the same one.
const NAMES: Key = Key::Setting("node.names");

/// `node.list`: connected ones first, then by name.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| gateway.write_nodes(w));
    Ok(Outcome::Done)
}

/// `node.describe`: one node.
pub fn describe(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let device = gateway.paired_node(params)?;
    gateway.reply(call, |gateway, w| {
        w.object(|w| {
            w.field_u64("ts", gateway.now.unix_ms);
            gateway.write_node(w, &device);
        });
    });
    Ok(Outcome::Done)
}

/// `node.rename`: what people call it from now on, whatever it calls itself.
pub fn rename(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let name = params.required_text("displayName").trim();
    if name.is_empty() {
        return Err(Refusal::invalid("displayName required").into());
    }
    let device = gateway.paired_node(params)?;
    if !gateway.actor_sees(call.conn, &device.device_id) {
        return Err(Refusal::invalid(UNKNOWN_NODE).into());
    }
    let key = Key::Device(device.device_id.as_ref().into());
    if [&key, &NAMES].map(|key| gateway.commits.is_reserved(key)) != [false; 2] {
        return Err(Stop::Busy);
    }
    gateway.check_name_is_free(name, &device)?;
    let row = Arc::new(Device {
        name: Some(name.into()),
        ..Device::clone(&device)
    });
    let call = call.keep();
    gateway.commit(
        vec![key, NAMES],
        vec![Record::DevicePut(row.clone())],
        move |gateway, _, result| match result {
            Ok(()) => {
                gateway.rename_present(&row.device_id, row.name.as_deref().unwrap_or_default());
                gateway.reply_kept(&call, |_, w| {
                    w.object(|w| {
                        w.field_str("nodeId", &row.device_id);
                        w.field_opt_str("displayName", row.name.as_deref());
                    });
                });
            }
            Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
        },
    );
    Ok(Outcome::Later)
}

impl Gateway {
    /// # Errors
    ///
    /// Who says the name means another node already.
    fn check_name_is_free(&self, name: &str, device: &Device) -> Result<(), Refusal> {
        let mut others = self.paired_nodes();
        let other = others.find(|other| {
            other.device_id != device.device_id
                && matches_name(name, &other.device_id, self.node_name(other))
        });
        let Some(other) = other else {
            return Ok(());
        };
        let id = &other.device_id;
        let text = format!(
            "{name} means another node already: {}",
            id.get(..8).unwrap_or(id)
        );
        Err(Refusal::invalid(text).with_details(|w| {
            w.object(|w| w.field_str("nodeId", id));
        }))
    }

    /// The paired node that the parameters name.
    fn paired_node(&self, params: Params<'_, '_>) -> Result<Arc<Device>, Refusal> {
        let device = self
            .state
            .devices()
            .get(params.required_text("nodeId").trim());
        device
            .filter(|device| device.grant(Role::Node).is_some())
            .cloned()
            .ok_or_else(|| Refusal::invalid(UNKNOWN_NODE))
    }
}
