//! Tables that are empty until something fills them: usage, skills.

use crate::gateway::Gateway;
use crate::gateway::dispatch::{Call, Handled, Outcome};
use crate::gateway::params::Params;
use crate::now::Now;
use crate::wire::json::Writer;

/// Days that `usage.cost` covers where the caller does not say.
const COST_DAYS: u64 = 30;

/// `usage.status`: quotas of providers; the built-in one has none.
pub fn usage_status(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        w.object(|w| {
            w.field_u64("updatedAt", gateway.now.unix_ms);
            w.field_strs("providers", []);
        });
    });
    Ok(Outcome::Done)
}

/// `usage.cost`: tokens of all sessions; nothing here has a price yet.
pub fn usage_cost(
    gateway: &mut Gateway,
    _: Now,
    call: Call<'_>,
    params: Params<'_, '_>,
) -> Handled {
    let days = match params.get("days") {
        Some(days) => days
            .as_u64()
            .or_else(|| days.as_str().and_then(|text| text.trim().parse().ok()))
            .unwrap_or(COST_DAYS)
            .max(1),
        None => COST_DAYS,
    };
    gateway.reply(call, |gateway, w| gateway.write_usage_cost(w, days));
    Ok(Outcome::Done)
}

/// `skills.status`: no skills are installed.
pub fn skills_status(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |gateway, w| {
        w.object(|w| {
            w.field_str(
                "workspaceDir",
                &format!("{}/workspace", gateway.identity.state_dir),
            );
            w.field_str(
                "managedSkillsDir",
                &format!("{}/skills", gateway.identity.state_dir),
            );
            w.field_strs("skills", []);
        });
    });
    Ok(Outcome::Done)
}

/// `skills.bins`: programs that skills need, for nodes to look for; no skills are installed.
pub fn skills_bins(gateway: &mut Gateway, _: Now, call: Call<'_>, _: Params<'_, '_>) -> Handled {
    gateway.reply(call, |_, w| w.object(|w| w.field_strs("bins", [])));
    Ok(Outcome::Done)
}

impl Gateway {
    fn write_usage_cost(&self, w: &mut Writer<'_>, days: u64) {
        const DAY_MS: u64 = 24 * 3_600_000;
        let since_ms = self.now.unix_ms.saturating_sub(days.saturating_mul(DAY_MS));
        let (mut input, mut output) = (0u64, 0u64);
        for session in self.state.sessions().values() {
            if session.updated_at_ms >= since_ms {
                input += session.input_tokens;
                output += session.output_tokens;
            }
        }
        w.object(|w| {
            w.field_u64("updatedAt", self.now.unix_ms);
            w.field_u64("days", days);
            w.key("daily");
            w.array(|_| {});
            w.key("totals");
            w.object(|w| {
                w.field_u64("input", input);
                w.field_u64("output", output);
                for name in ["cacheRead", "cacheWrite"] {
                    w.field_u64(name, 0);
                }
                w.field_u64("totalTokens", input + output);
                w.field_u64("totalCost", 0);
                w.field_u64("missingCostEntries", 0);
            });
        });
    }
}
