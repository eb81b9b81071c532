//! `node.pair.request/list/approve/reject/verify`: the older store of node pairings, beside the
//! pairing of devices. Its token opens nothing here: `node.pair.verify` says whether it is good,
//! for programs that let nodes in by themselves.

use crate::gateway::auth::approval::Grant;
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::auth::secret::equal;
use crate::gateway::broadcast::Weight;
use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::method::devices::refused;
use crate::gateway::nodes::sorted;
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::limits::{NODE_PAIRS_MAX, PAIRING_TTL_MS, PAIRINGS_PENDING_MAX};
use crate::now::Now;
use crate::order;
use crate::state::{Record, Text, UnixMs};
use crate::wire::json::Writer;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// Settings that hold the store start so, a row each.
const PENDING: &str = "node.pair.pending/";
const PAIRED: &str = "node.pair.paired/";
/// What is reserved while any of them is being written.
const LOCK: Key = Key::Setting("node.pair");
const UNKNOWN_REQUEST: &str = "unknown requestId";

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Node {
    node_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    core_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ui_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_ip: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    caps: Vec<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Text>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    request_id: String,
    #[serde(flatten)]
    node: Node,
    silent: bool,
    is_repair: bool,
    ts: UnixMs,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paired {
    #[serde(flatten)]
    node: Node,
    /// Told once, to whoever approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    created_at_ms: UnixMs,
    approved_at_ms: UnixMs,
}

/// `node.pair.request`: the same request again is the same one; another is another.
pub fn request(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    gateway.check_pairs_free()?;
    let text = |name: &str| params.text(name).map(str::to_owned);
    let node = Node {
        node_id: params.required_text("nodeId").trim().to_owned(),
        display_name: text("displayName"),
        platform: text("platform"),
        version: text("version"),
        core_version: text("coreVersion"),
        ui_version: text("uiVersion"),
        device_family: text("deviceFamily"),
        model_identifier: text("modelIdentifier"),
        remote_ip: text("remoteIp"),
        caps: sorted(params.texts("caps")).to_vec(),
        commands: sorted(params.texts("commands")).to_vec(),
    };
    if node.node_id.is_empty() {
        return Err(Refusal::invalid("nodeId required").into());
    }
    let waiting = gateway.pending_pairs();
    if let Some(same) = waiting.iter().find(|pending| pending.node == node) {
        gateway.reply(call, |_, w| write_request(w, same, false));
        return Ok(Outcome::Done);
    }
    let (former, others): (Vec<&Pending>, Vec<&Pending>) = waiting
        .iter()
        .partition(|pending| pending.node.node_id == node.node_id);
    if others.len() >= PAIRINGS_PENDING_MAX {
        let text = "too many pairing requests wait for approval (call node.pair.reject)";
        return Err(Refusal::unavailable(text).into());
    }
    let pending = Pending {
        request_id: gateway.uuid(),
        is_repair: gateway.paired_pair(&node.node_id).is_some(),
        silent: params.bool("silent").unwrap_or(false),
        ts: now.unix_ms,
        node,
    };
    let mut records: Vec<Record> = former
        .iter()
        .map(|old| forget(PENDING, &old.request_id))
        .collect();
    records.extend(gateway.expired_pairs());
    records.push(put(PENDING, &pending.request_id, &pending));
    let kept = call.keep();
    gateway.commit(
        vec![LOCK],
        records,
        move |gateway, _, result| match result {
            Ok(()) => {
                gateway.broadcast("node.pair.requested", Weight::Must, None, |_, w| {
                    w.value(&value(&pending));
                });
                gateway.reply_kept(&kept, |_, w| write_request(w, &pending, true));
            }
            Err(fault) => gateway.refuse_kept(&kept, &Refusal::not_stored(&fault)),
        },
    );
    Ok(Outcome::Later)
}

/// `node.pair.list`: newest first, without tokens.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    let mut pending = gateway.pending_pairs();
    pending.retain(|it| gateway.actor_sees(call.conn, &it.node.node_id));
    order::sort_by_key(&mut pending, |it| Reverse(it.ts));
    let mut paired: Vec<Paired> = rows(gateway, PAIRED).collect();
    paired.retain(|it| gateway.actor_sees(call.conn, &it.node.node_id));
    order::sort_by_key(&mut paired, |it| Reverse(it.approved_at_ms));
    paired.iter_mut().for_each(|it| it.token = None);
    gateway.reply(call, |_, w| {
        w.object(|w| {
            w.key("pending");
            w.array(|w| pending.iter().for_each(|it| w.value(&value(it))));
            w.key("paired");
            w.array(|w| paired.iter().for_each(|it| w.value(&value(it))));
        });
    });
    Ok(Outcome::Done)
}

/// `node.pair.approve`: by somebody who holds all that the node could then be used for.
pub fn approve(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let pending = gateway.pair_to_decide(call, params)?;
    let grant = Grant {
        device: &pending.node.node_id,
        scopes: ScopeSet::EMPTY,
        commands: &pending.node.commands,
    };
    gateway
        .may_manage(call.conn, &grant)
        .map_err(|forbidden| refused(forbidden, UNKNOWN_REQUEST))?;
    let former = gateway.paired_pair(&pending.node.node_id);
    if former.is_none() && rows::<Paired>(gateway, PAIRED).count() >= NODE_PAIRS_MAX {
        return Err(Refusal::unavailable("too many paired nodes").into());
    }
    let paired = Paired {
        node: pending.node.clone(),
        token: Some(gateway.random_hex()),
        created_at_ms: former.map_or(now.unix_ms, |former| former.created_at_ms),
        approved_at_ms: now.unix_ms,
    };
    let record = put(PAIRED, &paired.node.node_id, &paired);
    gateway.decide_pair(call, pending, Some(record), "approved", move |w| {
        w.key("node");
        w.value(&value(&paired));
    })
}

/// `node.pair.reject`: forgets a request.
pub fn reject(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let pending = gateway.pair_to_decide(call, params)?;
    let node_id = pending.node.node_id.clone();
    gateway.decide_pair(call, pending, None, "rejected", move |w| {
        w.field_str("nodeId", &node_id);
    })
}

/// `node.pair.verify`: whether this is the node's token.
pub fn verify(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let shown = params.required_text("token").as_bytes();
    let paired = gateway
        .paired_pair(params.required_text("nodeId").trim())
        .filter(|it| gateway.actor_sees(call.conn, &it.node.node_id))
        .filter(|it| {
            let token = it.token.as_deref().unwrap_or_default();
            !token.is_empty() && equal(token.as_bytes(), shown)
        });
    gateway.reply(call, |_, w| {
        w.object(|w| {
            w.field_bool("ok", paired.is_some());
            if let Some(paired) = &paired {
                let shown = Paired {
                    token: None,
                    ..paired.clone()
                };
                w.key("node");
                w.value(&value(&shown));
            }
        });
    });
    Ok(Outcome::Done)
}

impl Gateway {
    fn check_pairs_free(&self) -> Result<(), Stop> {
        match self.commits.is_reserved(&LOCK) {
            true => Err(Stop::Busy),
            false => Ok(()),
        }
    }

    /// Requests that have not expired.
    fn pending_pairs(&self) -> Vec<Pending> {
        rows(self, PENDING)
            .filter(|pending: &Pending| !self.pair_has_expired(pending))
            .collect()
    }

    fn pair_has_expired(&self, pending: &Pending) -> bool {
        self.now.unix_ms >= pending.ts + PAIRING_TTL_MS
    }

    fn expired_pairs(&self) -> Vec<Record> {
        rows(self, PENDING)
            .filter(|pending| self.pair_has_expired(pending))
            .map(|pending: Pending| forget(PENDING, &pending.request_id))
            .collect()
    }

    fn paired_pair(&self, node_id: &str) -> Option<Paired> {
        let json = self.state.setting(&format!("{PAIRED}{node_id}"))?;
        serde_json::from_str(json).ok()
    }

    /// The request that the caller decides about.
    fn pair_to_decide(&self, call: Call<'_>, params: Params<'_, '_>) -> Result<Pending, Stop> {
        self.check_pairs_free()?;
        let id = params.required_text("requestId");
        self.pending_pairs()
            .into_iter()
            .filter(|pending| self.actor_sees(call.conn, &pending.node.node_id))
            .find(|pending| pending.request_id == id)
            .ok_or_else(|| Refusal::invalid(UNKNOWN_REQUEST).into())
    }

    /// Stores a decision, tells those who watch, and answers.
    fn decide_pair(
        &mut self,
        call: Call<'_>,
        pending: Pending,
        approved: Option<Record>,
        decision: &'static str,
        answer: impl FnOnce(&mut Writer<'_>) + Send + 'static,
    ) -> Handled {
        let mut records = vec![forget(PENDING, &pending.request_id)];
        records.extend(approved);
        let call = call.keep();
        self.commit(vec![LOCK], records, move |gateway, now, result| {
            if let Err(fault) = result {
                return gateway.refuse_kept(&call, &Refusal::not_stored(&fault));
            }
            gateway.broadcast("node.pair.resolved", Weight::Must, None, |_, w| {
                w.object(|w| {
                    w.field_str("requestId", &pending.request_id);
                    w.field_str("nodeId", &pending.node.node_id);
                    w.field_str("decision", decision);
                    w.field_u64("ts", now.unix_ms);
                });
            });
            gateway.reply_kept(&call, |_, w| {
                w.object(|w| {
                    w.field_str("requestId", &pending.request_id);
                    answer(w);
                });
            });
        });
        Ok(Outcome::Later)
    }
}

fn write_request(w: &mut Writer<'_>, pending: &Pending, created: bool) {
    w.object(|w| {
        w.field_str("status", "pending");
        w.key("request");
        w.value(&value(pending));
        w.field_bool("created", created);
    });
}

/// The rows of a part of the store; what cannot be read is none.
fn rows<T: for<'de> Deserialize<'de>>(
    gateway: &Gateway,
    start: &'static str,
) -> impl Iterator<Item = T> {
    let rows = gateway.state.settings().range(Text::from(start)..);
    rows.take_while(move |(key, _)| key.starts_with(start))
        .filter_map(|(_, json)| serde_json::from_str(json).ok())
}

fn put(start: &str, id: &str, row: &impl Serialize) -> Record {
    Record::SettingPut {
        key: format!("{start}{id}").into(),
        value: value(row).to_string().into(),
    }
}

fn forget(start: &str, id: &str) -> Record {
    Record::SettingRemove {
        key: format!("{start}{id}").into(),
    }
}

fn value(row: &impl Serialize) -> serde_json::Value {
    // A struct of texts and numbers cannot fail to be JSON.
    serde_json::to_value(row).unwrap_or_default()
}
