//! `models.list`, `agents.list`, `agent.identity.get`, `skills.status`, usage and cron tables.

use crate::agent::ModelRef;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::wire::json::Writer;

/// The model that answers where none is configured.
pub const BUILTIN: (&str, &str) = ("builtin", "clawdia");
/// What a model is taken to hold where nothing says otherwise.
const CONTEXT_TOKENS: u64 = 200_000;
/// An agent without a name of its own.
const ASSISTANT: (&str, &str) = ("Assistant", "A");

/// `models.list`: the built-in model and every configured one.
pub fn list(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        w.object(|w| {
            w.key("models");
            w.array(|w| {
                write_model(
                    w,
                    BUILTIN.1,
                    "Clawdia (built in, no network)",
                    BUILTIN.0,
                    None,
                );
                for (provider, config) in &gateway.config().models.providers {
                    for model in &config.models {
                        let name = model.name.as_deref().unwrap_or(&model.id);
                        write_model(w, &model.id, name, provider, model.context_window);
                    }
                }
            });
        });
    });
    Ok(Outcome::Done)
}

fn write_model(w: &mut Writer<'_>, id: &str, name: &str, provider: &str, context: Option<u64>) {
    w.object(|w| {
        w.field_str("id", id);
        w.field_str("name", name);
        w.field_str("provider", provider);
        w.field_opt_u64("contextWindow", context);
    });
}

/// `agents.list`: the configured agents, or the one that is always there.
pub fn agents(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        let agents = &gateway.config().agents;
        w.object(|w| {
            w.field_str("defaultId", gateway.default_agent());
            w.field_str("mainKey", gateway.main_key());
            w.field_str("scope", gateway.session_scope());
            w.key("agents");
            w.array(|w| {
                for id in agents.ids() {
                    w.object(|w| {
                        w.field_str("id", id);
                        let Some(agent) = agents.get(id) else { return };
                        w.field_opt_str("name", agent.name.as_deref());
                        let identity = &agent.identity;
                        let fields = [
                            ("name", &identity.name),
                            ("theme", &identity.theme),
                            ("emoji", &identity.emoji),
                            ("avatar", &identity.avatar),
                        ];
                        if fields.iter().any(|(_, value)| value.is_some()) {
                            w.key("identity");
                            w.object(|w| {
                                for (name, value) in fields {
                                    w.field_opt_str(name, value.as_deref());
                                }
                            });
                        }
                    });
                }
            });
        });
    });
    Ok(Outcome::Done)
}

/// `agent.identity.get`: how an agent shows itself.
pub fn identity(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let of_key = params.text("sessionKey").and_then(agent_of_key);
    let agent = match (params.text("agentId"), of_key) {
        (Some(agent), Some(other)) if agent != other => {
            return Err(Refusal::invalid(format!(
                "invalid agent.identity.get params: agent \"{agent}\" does not match \
                 session key agent \"{other}\""
            ))
            .into());
        }
        (Some(agent), _) | (None, Some(agent)) => agent.to_owned(),
        (None, None) => gateway.default_agent().to_owned(),
    };
    gateway.reply(call, |gateway, w| {
        let config = gateway.config();
        let identity = config.agents.get(&agent).map(|agent| &agent.identity);
        let name = identity.and_then(|identity| identity.name.as_deref());
        let avatar =
            identity.and_then(|identity| identity.avatar.as_deref().or(identity.emoji.as_deref()));
        let page = &config.ui.assistant;
        w.object(|w| {
            w.field_str("agentId", &agent);
            w.field_str("name", name.or(page.name.as_deref()).unwrap_or(ASSISTANT.0));
            w.field_str(
                "avatar",
                avatar.or(page.avatar.as_deref()).unwrap_or(ASSISTANT.1),
            );
        });
    });
    Ok(Outcome::Done)
}

/// The agent that a session key names: `agent:<id>:<name>`.
pub(in crate::gateway) fn agent_of_key(key: &str) -> Option<&str> {
    let (agent, _) = key.strip_prefix("agent:")?.split_once(':')?;
    (!agent.is_empty()).then_some(agent)
}

impl Gateway {
    /// The model of the default agent.
    pub(in crate::gateway) fn default_model(&self) -> ModelRef {
        self.model_of(self.default_agent())
    }

    /// The model that the configuration gives an agent, or the built-in one.
    pub(in crate::gateway) fn model_of(&self, agent: &str) -> ModelRef {
        self.config()
            .agents
            .model_of(agent)
            .and_then(|model| model.primary.as_deref())
            .and_then(ModelRef::parse)
            .unwrap_or_else(|| ModelRef::new(BUILTIN.0, BUILTIN.1))
    }

    /// Every model as `provider/model`, the built-in one first.
    pub(in crate::gateway) fn model_names(&self) -> impl Iterator<Item = String> {
        let configured = self
            .config()
            .models
            .providers
            .iter()
            .flat_map(|(provider, config)| {
                config
                    .models
                    .iter()
                    .map(move |model| format!("{provider}/{}", model.id))
            });
        std::iter::once(format!("{}/{}", BUILTIN.0, BUILTIN.1)).chain(configured)
    }

    /// How much context a session of the default agent has.
    pub(in crate::gateway) fn default_context_tokens(&self) -> u64 {
        self.context_tokens_of(&self.default_model())
    }

    /// How much context a session with this model has.
    pub(in crate::gateway) fn context_tokens_of(&self, model: &ModelRef) -> u64 {
        let configured = self.config().agents.defaults.context_tokens;
        let window = || self.model_config(model)?.context_window;
        configured.or_else(window).unwrap_or(CONTEXT_TOKENS)
    }

    /// The model that a program names, as `provider/model`.
    ///
    /// # Errors
    ///
    /// Nobody here answers for it.
    pub(in crate::gateway) fn check_model(&self, name: &str) -> Result<ModelRef, String> {
        ModelRef::parse(name)
            .filter(|model| self.has_provider(model.provider()))
            .ok_or_else(|| {
                format!("there is no model {name:?} (models.providers in the configuration)")
            })
    }

    /// Whether models of this provider can answer at all.
    pub(in crate::gateway) fn has_provider(&self, provider: &str) -> bool {
        provider == BUILTIN.0 || self.config().models.providers.contains_key(provider)
    }
}
