//! `status`, `system-presence`, `system-event`, heartbeats, `wake`.

use crate::gateway::commit::Key;
use crate::gateway::dispatch::{Call, Handled, Outcome, Stop};
use crate::gateway::heartbeat::LAST_HEARTBEAT;
use crate::gateway::params::Params;
use crate::gateway::presence::Entry;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::order;
use crate::state::{Outgoing, OutgoingState, Record, Session};
use crate::wire::json::Writer;
use std::sync::Arc;

/// Sessions that `status` names.
const RECENT_MAX: usize = 10;
/// The stored switch of heartbeats.
const HEARTBEATS: &str = "heartbeats.enabled";

/// `status`: what runs, for people.
pub fn status(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| gateway.write_status(w));
    Ok(Outcome::Done)
}

/// `system-presence`: the list as it is now.
pub fn presence(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| gateway.write_presence(w));
    Ok(Outcome::Done)
}

/// `system-event`: a client says something about itself; the line waits for the main session.
pub fn event(gateway: &mut Gateway, now: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let text = params.text("text").map(str::trim).unwrap_or("");
    if text.is_empty() {
        return Err(Refusal::invalid("text required").into());
    }
    let field = |name: &str| {
        params
            .text(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(Box::<str>::from)
    };
    let list = |name: &str| params.texts(name).map(Box::<str>::from).collect::<Vec<_>>();
    let entry = Entry {
        host: field("host"),
        ip: field("ip"),
        version: field("version"),
        platform: field("platform"),
        device_family: field("deviceFamily"),
        model_identifier: field("modelIdentifier"),
        mode: field("mode"),
        reason: field("reason"),
        device_id: field("deviceId"),
        instance_id: field("instanceId"),
        roles: list("roles"),
        scopes: list("scopes"),
        tags: list("tags"),
        last_input_seconds: params.u64("lastInputSeconds"),
        text: text.into(),
        ts: now.unix_ms,
    };
    let key = [&entry.device_id, &entry.instance_id, &entry.host, &entry.ip]
        .into_iter()
        .flatten()
        .next()
        .map_or_else(|| text.chars().take(64).collect(), |key| key.to_string());
    gateway.put_presence(&key.to_lowercase(), entry);
    gateway.tell_agent(call, text, false);
    Ok(Outcome::Later)
}

/// `last-heartbeat`: the stored outcome, or null.
pub fn last_heartbeat(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        match gateway.state.setting(LAST_HEARTBEAT) {
            Some(json) => w.raw(json.as_bytes()),
            None => w.null(),
        }
    });
    Ok(Outcome::Done)
}

/// `set-heartbeats`: switches them on or off, over restarts.
pub fn set_heartbeats(
    gateway: &mut Gateway,
    _: Now,
    call: Call<'_>,
    params: Params<'_, '_>,
) -> Handled {
    let Some(enabled) = params.bool("enabled") else {
        return Err(
            Refusal::invalid("invalid set-heartbeats params: enabled (boolean) required").into(),
        );
    };
    let value = if enabled { "true" } else { "false" };
    gateway.store_setting(call, HEARTBEATS, value, move |_, w| {
        w.object(|w| {
            w.field_bool("ok", true);
            w.field_bool("enabled", enabled);
        });
    })
}

/// `wake`: a line for the main session, now or at the next heartbeat.
pub fn wake(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let text = params.required_text("text").trim().to_owned();
    if text.is_empty() {
        gateway.reply(call, |_, w| w.object(|w| w.field_bool("ok", false)));
        return Ok(Outcome::Done);
    }
    gateway.tell_agent(call, &text, params.text("mode") == Some("now"));
    Ok(Outcome::Later)
}

impl Gateway {
    /// Keeps a line for the main session, then answers; `now` has the agent look at it at once.
    fn tell_agent(&mut self, call: Call<'_>, text: &str, now: bool) {
        let agent = self.default_agent().to_owned();
        let call = call.keep();
        let stored = {
            let agent = agent.clone();
            move |gateway: &mut Gateway, result: Result<(), String>| match result {
                Ok(()) => {
                    gateway.reply_kept(&call, |_, w| w.object(|w| w.field_bool("ok", true)));
                    if now {
                        gateway.wake_agent(&agent, "wake");
                    }
                }
                Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
            }
        };
        self.add_system_event(&agent, text, Box::new(stored));
    }

    /// Whether heartbeats are on: the stored switch, on where it was never touched.
    pub(in crate::gateway) fn heartbeats_enabled(&self) -> bool {
        self.state
            .setting(HEARTBEATS)
            .is_none_or(|value| **value != *"false")
    }

    /// Stores a setting, then answers.
    pub(in crate::gateway) fn store_setting(
        &mut self,
        call: Call<'_>,
        key: &'static str,
        value: &str,
        reply: impl FnOnce(&Gateway, &mut Writer<'_>) + Send + 'static,
    ) -> Handled {
        let lock = Key::Setting(key);
        if self.commits.is_reserved(&lock) {
            return Err(Stop::Busy);
        }
        let record = Record::SettingPut {
            key: key.into(),
            value: value.into(),
        };
        let call = call.keep();
        self.commit(
            vec![lock],
            vec![record],
            move |gateway, _, result| match result {
                Ok(()) => gateway.reply_kept(&call, reply),
                Err(fault) => gateway.refuse_kept(&call, &Refusal::not_stored(&fault)),
            },
        );
        Ok(Outcome::Later)
    }

    fn write_status(&self, w: &mut Writer<'_>) {
        let agents = &self.config().agents;
        w.object(|w| {
            w.key("heartbeat");
            w.object(|w| {
                w.field_str("defaultAgentId", self.default_agent());
                w.key("agents");
                w.array(|w| {
                    for agent in agents.ids() {
                        let heartbeat = agents.heartbeat_of(agent);
                        let every_ms = heartbeat.every_ms();
                        w.object(|w| {
                            w.field_str("agentId", agent);
                            let enabled = every_ms.is_some() && self.heartbeats_enabled();
                            w.field_bool("enabled", enabled);
                            w.field_str("every", every_ms.map_or("disabled", |_| &heartbeat.every));
                            w.key("everyMs");
                            match every_ms {
                                Some(every_ms) => w.u64(every_ms),
                                None => w.null(),
                            }
                        });
                    }
                });
            });
            w.key("listen");
            w.object(|w| {
                w.field_str("mode", self.identity.bind_mode);
                w.field_str("address", &self.identity.bind);
                w.field_u64("port", u64::from(self.identity.port));
                w.field_bool("tls", self.identity.tls);
                w.field_str("auth", self.loaded.secret.as_str());
            });
            self.write_tailnet(w);
            w.key("channelSummary");
            self.write_channel_summary(w);
            w.field_strs("queuedSystemEvents", self.system_events.texts());
            self.write_kept_calls(w);
            let is_waiting = |it: &&Arc<Outgoing>| it.state == OutgoingState::Waiting;
            let waiting = self.state.outgoing().iter().filter(is_waiting).count() as u64;
            w.field_opt_u64("outgoingWaiting", Some(waiting).filter(|it| *it > 0));
            if !self.mcp.is_empty() {
                self.write_mcp(w, false);
            }
            w.key("sessions");
            self.write_status_sessions(w);
        });
    }

    fn write_status_sessions(&self, w: &mut Writer<'_>) {
        w.object(|w| {
            w.field_strs("paths", [self.database_path().as_str()]);
            w.field_u64("count", self.state.sessions().len() as u64);
            w.key("defaults");
            w.object(|w| {
                w.field_str("model", self.default_model().model());
                w.field_u64("contextTokens", self.default_context_tokens());
            });
            w.key("recent");
            self.write_status_rows(w, None);
            w.key("byAgent");
            w.array(|w| {
                for agent in self.config().agents.ids() {
                    w.object(|w| {
                        w.field_str("agentId", agent);
                        w.field_str("path", &self.database_path());
                        let of_agent = |session: &&Arc<Session>| *session.agent_id == *agent;
                        let count = self.state.sessions().values().filter(of_agent).count();
                        w.field_u64("count", count as u64);
                        w.key("recent");
                        self.write_status_rows(w, Some(agent));
                    });
                }
            });
        });
    }

    fn write_status_rows(&self, w: &mut Writer<'_>, agent: Option<&str>) {
        let rows = self.sessions_newest_first(agent);
        w.array(|w| {
            for session in rows.iter().take(RECENT_MAX) {
                self.write_status_row(w, session);
            }
        });
    }

    fn write_status_row(&self, w: &mut Writer<'_>, session: &Session) {
        let context = session.context_tokens.max(self.default_context_tokens());
        let percent = (session.total_tokens * 100)
            .checked_div(context)
            .unwrap_or(0);
        w.object(|w| {
            w.field_str("agentId", &session.agent_id);
            w.field_str("key", &session.key);
            w.field_str("kind", session.kind.as_str());
            w.field_str("sessionId", &session.session_id);
            w.field_u64("updatedAt", session.updated_at_ms);
            w.field_u64(
                "age",
                self.now.unix_ms.saturating_sub(session.updated_at_ms),
            );
            w.field_opt_str("verboseLevel", session.verbose_level.as_deref());
            w.field_bool("abortedLastRun", session.aborted_last_run);
            w.field_u64("inputTokens", session.input_tokens);
            w.field_u64("outputTokens", session.output_tokens);
            w.field_u64("totalTokens", session.total_tokens);
            w.field_u64(
                "remainingTokens",
                context.saturating_sub(session.total_tokens),
            );
            w.field_u64("percentUsed", percent);
            let model = session.model.as_deref().map(str::to_owned);
            w.field_str(
                "model",
                &model.unwrap_or_else(|| self.default_model().model().to_owned()),
            );
            w.field_u64("contextTokens", context);
            w.field_strs("flags", []);
        });
    }

    /// Sessions of one agent or of all, newest first.
    pub(in crate::gateway) fn sessions_newest_first(
        &self,
        agent: Option<&str>,
    ) -> Vec<&Arc<Session>> {
        let mut rows: Vec<&Arc<Session>> = self
            .state
            .sessions()
            .values()
            .filter(|session| agent.is_none_or(|agent| *session.agent_id == *agent))
            .collect();
        order::sort_by(&mut rows, |a, b| {
            b.updated_at_ms
                .cmp(&a.updated_at_ms)
                .then(a.key.cmp(&b.key))
        });
        rows
    }
}
