//! `browser.request`: forwarded to the node whose browser is used, or to the control server that
//! the gateway has itself.
//!
//! A node that the configuration names comes first, then the control server that it names, then
//! the only connected node with a browser: who connects takes no request away from what somebody
//! chose.

use crate::agent::{Act, Acted, Browse, CancelToken};
use crate::config::{BrowserMode, NodesConfig, Secret};
use crate::gateway::dispatch::{Call, Handled, KeptCall, Outcome};
use crate::gateway::nodes::invoke::{Invocation, InvokeOutcome};
use crate::gateway::nodes::policy::matches_name;
use crate::gateway::params::Params;
use crate::gateway::{Gateway, Refusal};
use crate::now::Now;
use crate::state::Text;
use crate::wire::json::{Json, Writer};
use serde_json::Value;
use std::net::SocketAddr;

const COMMAND: &str = "browser.proxy";

/// `browser.request {method, path, query?, body?, timeoutMs?}`: the answer is the browser's.
pub fn request(gateway: &mut Gateway, _: Now, call: Call<'_>, params: Params<'_, '_>) -> Handled {
    let method = params.required_text("method").trim().to_uppercase();
    let path = params.required_text("path").trim();
    if method.is_empty() || path.is_empty() {
        return Err(Refusal::invalid("method and path are required").into());
    }
    if !["GET", "POST", "DELETE"].contains(&&*method) {
        return Err(Refusal::invalid("method must be GET, POST, or DELETE").into());
    }
    let browser = gateway.browser()?;
    let timeout_ms = params.u64("timeoutMs");
    let mut json = Vec::new();
    Writer::new(&mut json).object(|w| {
        w.field_str("method", &method);
        w.field_str("path", path);
        for name in ["query", "body"] {
            if let Some(value) = params.get(name) {
                w.key(name);
                w.json(value);
            }
        }
        w.field_opt_u64("timeoutMs", timeout_ms);
        w.field_opt_str("profile", profile(params));
    });
    let node_id = match browser {
        Browser::Node(id) => id,
        Browser::Server(address, token) => {
            gateway.browse(call.keep(), address, token, &json);
            return Ok(Outcome::Later);
        }
    };
    let invocation = Invocation {
        node_id,
        command: COMMAND.into(),
        params_json: Some(String::from_utf8_lossy(&json).into()),
        timeout_ms,
        idempotency_key: Some(gateway.uuid().into()),
        internal: false,
    };
    let call = call.keep();
    gateway.invoke_node(invocation, move |gateway, _, outcome| {
        let answer = match outcome {
            InvokeOutcome::Failed(failure) => Err(failure.refusal()),
            InvokeOutcome::Ok { payload_json } => Ok(payload_json),
        };
        gateway.answer_browser(&call, answer);
    })?;
    Ok(Outcome::Later)
}

/// Whose browser is used.
enum Browser {
    Node(Text),
    /// A control server with its own secret.
    Server(SocketAddr, Secret),
}

fn profile<'i>(params: Params<'_, 'i>) -> Option<&'i str> {
    let of = |name: &str| params.get(name)?.get("profile").and_then(Json::as_str);
    of("query").or_else(|| of("body"))
}

impl Gateway {
    fn browser(&self) -> Result<Browser, Refusal> {
        let config = self.config();
        let nodes = &config.gateway.nodes.browser;
        let named = nodes.node.as_deref().map_or("", str::trim);
        let is_node_chosen = !named.is_empty() && nodes.mode != BrowserMode::Off;
        match config.browser.control() {
            Some(address) if !is_node_chosen => {
                let token = self.control_token()?;
                Ok(Browser::Server(address, token))
            }
            _ => self.browser_node().map(Browser::Node),
        }
    }

    /// What the control server wants to be shown; never the gateway's own secret, which would let
    /// whoever has that server into the gateway.
    fn control_token(&self) -> Result<Secret, Refusal> {
        let Some(token) = &self.config().browser.control_token else {
            return Err(Refusal::unavailable(
                "browser.controlToken is missing: no control server is asked without its own \
                 (clawdia config set browser.controlToken '${NAME}')",
            ));
        };
        let shown = Some(token.expose());
        match self.loaded.secret.check(shown, shown) {
            Ok(()) => Err(Refusal::unavailable(
                "browser.controlToken is the gateway's own secret: choose another one",
            )),
            Err(_) => Ok(token.clone()),
        }
    }

    fn browse(&mut self, call: KeptCall, address: SocketAddr, token: Secret, request: &[u8]) {
        let act = Act::Browser(Box::new(Browse {
            address,
            token,
            request: serde_json::from_slice(request).unwrap_or_default(),
            media: format!("{}/media", self.identity.state_dir),
        }));
        self.act(act, &CancelToken::new(), move |gateway, _, acted| {
            let outcome = match acted {
                Acted::Text(answer) => Ok(Some(answer.into())),
                Acted::Failed(fault) => Err(Refusal::unavailable(fault)),
                _ => Err(Refusal::unavailable("browser proxy failed")),
            };
            gateway.answer_browser(&call, outcome);
        });
    }

    /// The node whose browser is used: the one that the configuration names, else the only one.
    fn browser_node(&self) -> Result<Text, Refusal> {
        let NodesConfig { browser, .. } = &self.config().gateway.nodes;
        let wanted = browser.node.as_deref().map_or("", str::trim);
        if browser.mode == BrowserMode::Off {
            return Err(Refusal::unavailable(
                "browser control is disabled (gateway.nodes.browser.mode is off, and there is no \
                 browser.controlUrl)",
            ));
        }
        let mut found = self.fleet.registry.iter().filter(|(id, node)| {
            let is_one = |texts: &[Text], word: &str| texts.iter().any(|text| **text == *word);
            let has_browser =
                is_one(&node.facts.caps, "browser") || is_one(&node.facts.commands, COMMAND);
            let device = self.state.devices().get(&***id);
            let name = device.and_then(|device| self.node_name(device));
            has_browser && (wanted.is_empty() || matches_name(wanted, id, name))
        });
        let first = found.next().map(|(id, _)| id.clone());
        let is_ambiguous = found.next().is_some();
        let advice = "name one in gateway.nodes.browser.node";
        match first {
            None if wanted.is_empty() => Err(Refusal::unavailable(
                "no connected node has a browser (run `clawdia node run` where there is one), and \
                 there is no browser.controlUrl",
            )),
            None => Err(Refusal::unavailable(format!(
                "configured browser node not connected: {wanted}"
            ))),
            Some(_) if wanted.is_empty() && browser.mode == BrowserMode::Manual => Err(
                Refusal::unavailable(format!("gateway.nodes.browser.mode is manual: {advice}")),
            ),
            Some(_) if is_ambiguous => Err(Refusal::unavailable(format!(
                "more than one connected node has a browser: {advice}"
            ))),
            Some(id) => Ok(id),
        }
    }

    fn answer_browser(&mut self, call: &KeptCall, answer: Result<Option<Text>, Refusal>) {
        let payload = match answer {
            Err(refusal) => return self.refuse_kept(call, &refusal),
            Ok(payload) => payload,
        };
        let payload: Value = payload
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default();
        let Some(mut result) = payload.get("result").cloned() else {
            return self.refuse_kept(call, &Refusal::unavailable("browser proxy failed"));
        };
        // Downloads and screenshots come along as base64: there is no directory to put them in.
        if let (Some(files), Value::Object(members)) = (payload.get("files"), &mut result) {
            members.insert("files".into(), files.clone());
        }
        self.reply_kept(call, |_, w| w.value(&result));
    }
}
