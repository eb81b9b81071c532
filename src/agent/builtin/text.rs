//! Numbers, times and names as people read them.

use crate::agent::{Listed, Zone};

/// Longest name of a peer, session or channel in an answer, in characters.
const NAME_CHARS_MAX: usize = 80;

/// A name that somebody else chose: without control and direction characters, so that it cannot
/// pass for lines of ours, and cut at a bound.
pub(super) fn clean(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .filter(|c| !is_deceptive(*c))
        .take(NAME_CHARS_MAX)
        .collect();
    if shown.len() < name.len() && name.chars().count() > NAME_CHARS_MAX {
        shown.push('…');
    }
    if shown.trim().is_empty() {
        "(no name)".to_owned()
    } else {
        shown
    }
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `1 node`, `2 nodes`; the plural is made with an s.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The two largest units of a time span: `3 days 4 h`, `5 min 12 s`, `12 s`.
pub(super) fn span(ms: u64) -> String {
    let s = ms / 1_000;
    let (days, hours, minutes, seconds) = (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60);
    let days_text = format!("{days} {}", if days == 1 { "day" } else { "days" });
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => days_text,
        _ => format!("{days_text} {hours} h"),
    }
}

/// How long ago something was, with one unit: `just now`, `5 min ago`.
pub(super) fn ago(now_unix_ms: u64, then_unix_ms: u64) -> String {
    let s = now_unix_ms.saturating_sub(then_unix_ms) / 1_000;
    match s {
        0..10 => "just now".to_owned(),
        10..60 => format!("{s} s ago"),
        60..3_600 => format!("{} min ago", s / 60),
        3_600..172_800 => format!("{} h ago", s / 3_600),
        _ => format!("{} days ago", s / 86_400),
    }
}

/// `8.3 MiB`, `1.2 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let (unit, name) = match bytes {
        0..MIB => (KIB, "KiB"),
        MIB..GIB => (MIB, "MiB"),
        _ => (GIB, "GiB"),
    };
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// One line each, and how many more there are.
pub(super) fn bullets<T>(list: &Listed<T>, line: impl Fn(&T) -> String) -> String {
    let mut text = String::new();
    for entry in &list.shown {
        text.push_str("\n- ");
        text.push_str(&line(entry));
    }
    if list.hidden() > 0 {
        text.push_str(&format!("\n- and {} more", list.hidden()));
    }
    text
}

/// A moment as its parts in a zone.
pub(super) struct Moment {
    pub(super) weekday: &'static str,
    /// `2026-01-25`.
    pub(super) date: String,
    /// `14:03:22 UTC`.
    pub(super) time: String,
}

impl Moment {
    /// The parts of `unix_ms` in `zone`.
    pub(super) fn new(unix_ms: u64, zone: &Zone) -> Self {
        let utc_s = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX / 2);
        let local_s = utc_s.saturating_add(i64::from(zone.offset_minutes) * 60);
        let (days, second) = (local_s.div_euclid(86_400), local_s.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        Self {
            // 1970-01-01 was a Thursday.
            weekday: WEEKDAYS[usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0)],
            date: format!("{year:04}-{month:02}-{day:02}"),
            time: format!(
                "{:02}:{:02}:{:02} {}",
                second / 3_600,
                second / 60 % 60,
                second % 60,
                clean(&zone.name)
            ),
        }
    }
}

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Year, month and day of the Gregorian calendar from days since 1970-01-01. Years are counted
/// from March, so that the leap day ends them; 400 of them have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_make_lines_of_its_own() {
        assert_eq!(clean("a\n- root\r\x1b[31m\u{202e}b"), "a- root[31mb");
        assert_eq!(clean("\n\u{200b}"), "(no name)");
        assert_eq!(clean(&"x".repeat(200)).chars().count(), NAME_CHARS_MAX + 1);
        assert_eq!(clean("Küche 🦀"), "Küche 🦀");
    }

    #[test]
    fn spans_and_ages() {
        let spans = [
            (0, "0 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h 0 min"),
            (86_400_000, "1 day"),
            (273_600_000, "3 days 4 h"),
        ];
        for (ms, want) in spans {
            assert_eq!(span(ms), want);
        }
        for (ms, want) in [
            (5_000, "just now"),
            (59_000, "59 s ago"),
            (60_000, "1 min ago"),
            (90_000_000, "25 h ago"),
            (172_800_000, "2 days ago"),
        ] {
            assert_eq!(ago(1_000_000_000 + ms, 1_000_000_000), want);
        }
        assert_eq!(ago(0, 1_000), "just now", "a clock that went back");
    }

    #[test]
    fn sizes() {
        for (number, want) in [
            (0, "0.0 KiB"),
            (8_703_181, "8.3 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(bytes(number), want);
        }
        assert_eq!(
            (count(1, "node"), count(0, "node")),
            ("1 node".to_owned(), "0 nodes".to_owned())
        );
    }

    #[test]
    fn moments_in_zones() {
        let at = |unix_ms, offset_minutes| {
            let moment = Moment::new(
                unix_ms,
                &Zone {
                    name: "X".to_owned(),
                    offset_minutes,
                },
            );
            format!("{} {} {}", moment.weekday, moment.date, moment.time)
        };
        assert_eq!(at(0, 0), "Thursday 1970-01-01 00:00:00 X");
        assert_eq!(at(951_782_400_000, 0), "Tuesday 2000-02-29 00:00:00 X");
        assert_eq!(at(1_767_225_599_000, 60), "Thursday 2026-01-01 00:59:59 X");
        assert_eq!(at(0, -60), "Wednesday 1969-12-31 23:00:00 X");
        assert_eq!(at(4_107_542_399_000, 0), "Sunday 2100-02-28 23:59:59 X");
        let _ = at(u64::MAX, 840);
    }
}
