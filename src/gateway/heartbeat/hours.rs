//! The part of the day in which heartbeats come by themselves.

use crate::config::ActiveHours;
use crate::gateway::Gateway;
use crate::schedule::Zone;

/// Whether a moment is within the hours. Hours that cannot be read exclude none.
pub fn is_within(hours: &ActiveHours, zone: &Zone, unix_ms: u64) -> bool {
    let read = |text: &Option<String>| minutes(text.as_deref()?);
    let (Some(start), Some(end)) = (read(&hours.start), read(&hours.end)) else {
        return true;
    };
    let now = zone.local((unix_ms / 1_000) as i64).second / 60;
    match start.cmp(&end) {
        std::cmp::Ordering::Equal => true,
        std::cmp::Ordering::Less => (start..end).contains(&now),
        // Over midnight.
        std::cmp::Ordering::Greater => now >= start || now < end,
    }
}

/// Minutes since midnight of `HH:MM`, up to 24:00.
fn minutes(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    let fits = minute < 60 && hour * 60 + minute <= 24 * 60;
    fits.then_some(hour * 60 + minute)
}

impl Gateway {
    /// The zone that the hours are read in; None for the machine's own.
    pub(super) fn zone_of_hours(&self, hours: &ActiveHours) -> Option<String> {
        let user = || self.config().agents.defaults.user_timezone.clone();
        match hours.timezone.as_deref().map(str::trim) {
            None | Some("" | "user") => user(),
            Some("local") => None,
            Some(zone) => Some(zone.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::parse_iso;

    #[test]
    fn a_day_may_end_after_midnight() {
        let hours = |start: &str, end: &str| ActiveHours {
            start: Some(start.into()),
            end: Some(end.into()),
            timezone: None,
        };
        let within = |hours: &ActiveHours, clock: &str| {
            let ms = parse_iso(&format!("2026-01-01T{clock}")).unwrap();
            is_within(hours, &Zone::default(), ms)
        };
        let day = hours("08:00", "24:00");
        assert!(!within(&day, "07:59") && within(&day, "08:00") && within(&day, "23:59"));
        let night = hours("22:00", "06:00");
        assert!(within(&night, "23:00") && within(&night, "05:59") && !within(&night, "06:00"));
        for bad in ["8:00", "25:00", "24:01", "08:60", "noon"] {
            assert!(within(&hours(bad, "09:00"), "12:00"), "{bad}");
        }
    }
}
