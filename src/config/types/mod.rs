//! The configuration as the program uses it: typed, with defaults, references resolved.

mod agents;
mod channels;
mod discovery;
mod gateway;
mod logging;
mod mcp;
mod messages;
mod models;
mod node;
mod session;
mod tools;

pub use agents::*;
pub use channels::*;
pub use discovery::*;
pub use gateway::*;
pub use logging::*;
pub use mcp::*;
pub use messages::*;
pub use models::*;
pub use node::*;
pub use session::*;
pub use tools::*;

use serde::Deserialize;

/// All settings. `Config::default()` is what an absent file means.
///
/// Cheap to share as `Arc<Config>`; a reload makes a new one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Config {
    pub gateway: GatewayConfig,
    pub discovery: DiscoveryConfig,
    pub agents: AgentsConfig,
    pub models: ModelsConfig,
    pub mcp: McpConfig,
    pub channels: ChannelsConfig,
    pub session: SessionConfig,
    pub logging: LoggingConfig,
    pub retention: RetentionConfig,
    pub cron: CronConfig,
    pub hooks: HooksConfig,
    pub ui: UiConfig,
    pub browser: BrowserConfig,
    pub node_host: NodeHostConfig,
    pub tools: ToolPolicy,
    pub messages: MessagesConfig,
}
