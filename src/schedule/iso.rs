//! Reading times that people and programs write.

use super::{days_of, month_len};

/// Milliseconds since 1970 of `2026-01-31`, `2026-01-31T16:00`, with seconds, fractions, and `Z` or
/// `+01:00`; without a zone it is UTC. None for anything else and for what was before 1970.
pub fn parse_iso(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00"),
    };
    let date: Vec<&str> = date.split('-').collect();
    let &[year, month, day] = date.as_slice() else {
        return None;
    };
    let year = digits(year, 4)?;
    let (month, day) = (digits(month, 2)?, digits(day, 2)?);
    let fits = (1..=12).contains(&month) && (1..=month_len(i64::from(year), month)).contains(&day);
    let (clock, offset_s) = split_zone(time)?;
    let (clock, ms) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, fraction_ms(fraction)?),
        None => (clock, 0),
    };
    let clock: Vec<&str> = clock.split(':').collect();
    let (hour, minute, second) = match *clock.as_slice() {
        [hour, minute] => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    if !fits || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_of(i64::from(year), month, day);
    let of_day = i64::from(hour * 3_600 + minute * 60 + second);
    let unix_s = u64::try_from(days * 86_400 + of_day - offset_s).ok()?;
    Some(unix_s * 1_000 + ms)
}

fn digits(text: &str, len: usize) -> Option<u32> {
    let is_number = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn fraction_ms(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let three: String = text.chars().chain("00".chars()).take(3).collect();
    is_number.then(|| three.parse().ok())?
}

/// The clock and the zone's offset in seconds.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (clock, zone) = time.split_at(at);
    let (sign, zone) = zone.split_at(1);
    let (hours, minutes) = match zone.split_once(':') {
        Some(parts) => parts,
        None if zone.is_ascii() && zone.len() == 4 => zone.split_at(2),
        None => return None,
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let offset_s = i64::from(hours * 3_600 + minutes * 60);
    (hours < 24 && minutes < 60).then_some((clock, if sign == "-" { -offset_s } else { offset_s }))
}

#[cfg(test)]
mod tests {
    use super::parse_iso;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("2026-11-22T09:30:37.304Z", 1_795_339_837_304),
            ("2026-11-22T10:30:37.304+01:00", 1_795_339_837_304),
            ("2026-11-22 09:30", 1_795_339_800_000),
            ("2026-11-22T09:30:00.5-0000", 1_795_339_800_500),
        ] {
            assert_eq!(parse_iso(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2026-02-30",
            "2026-1-01",
            "1969-12-31",
            "2026-01-01T24:00",
            "2026-01-01T1:00",
            "2026-01-01T10:00+1",
            "2026-01-01T10:00.x",
            "é-é-é",
            "2026-01-01T+éé",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }
}
