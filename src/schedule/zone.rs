//! A time zone, read from the bytes of its file.

use crate::log::iso::civil;
use tz::TimeZone;

/// Farther than any zone is from UTC, and than clocks are ever changed by: 26 hours.
const DAY_AND_MORE_S: i64 = 26 * 3_600;

/// A time zone. The default is UTC.
#[derive(Clone, Debug, Default)]
pub struct Zone(Option<TimeZone>);

/// A moment as a wall clock shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub year: i64,
    pub month: u32,
    pub day: u32,
    /// 0 is Sunday.
    pub weekday: u32,
    /// Seconds since midnight.
    pub second: u32,
    /// Days since 1970.
    pub days: i64,
}

impl Zone {
    /// A zone of the bytes of its file (RFC 9636).
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        TimeZone::from_tz_data(bytes)
            .map(|zone| Self(Some(zone)))
            .map_err(|fault| fault.to_string())
    }

    /// Seconds that the zone is ahead of UTC at a moment.
    pub fn offset_s(&self, unix_s: i64) -> i64 {
        let zone = self.0.as_ref();
        let found = zone.and_then(|zone| zone.find_local_time_type(unix_s).ok());
        found.map_or(0, |found| i64::from(found.ut_offset()))
    }

    /// What the wall clock shows at a moment.
    pub fn local(&self, unix_s: i64) -> Local {
        let local_s = unix_s + self.offset_s(unix_s);
        let days = local_s.div_euclid(86_400);
        let (year, month, day) = civil(u64::try_from(days).unwrap_or(0));
        Local {
            year: year as i64,
            month: month as u32,
            day: day as u32,
            weekday: (days + 4).rem_euclid(7) as u32,
            second: local_s.rem_euclid(86_400) as u32,
            days,
        }
    }

    /// The moment at which the wall clock shows a time, in seconds as if it were UTC. The first
    /// of two; where clocks are put forward past it, as much later as they are put forward.
    pub fn unix_s(&self, local_s: i64) -> i64 {
        let before = self.offset_s(local_s - DAY_AND_MORE_S);
        let after = self.offset_s(local_s + DAY_AND_MORE_S);
        let shown = |unix_s: i64| unix_s + self.offset_s(unix_s);
        [before, after]
            .into_iter()
            .map(|offset_s| local_s - offset_s)
            .find(|unix_s| shown(*unix_s) == local_s)
            .unwrap_or(local_s - before)
    }
}

/// A zone file whose rules are a POSIX text such as `CET-1CEST,M3.5.0,M10.5.0/3`.
#[cfg(test)]
pub(crate) fn file_of(rules: &str) -> Vec<u8> {
    let mut file = Vec::new();
    for version in [1, 2] {
        file.extend_from_slice(b"TZif2");
        file.extend_from_slice(&[0; 15]);
        // One type of local time with a designation of four bytes, and no transition.
        for count in [0u32, 0, 0, 0, 1, 4] {
            file.extend_from_slice(&count.to_be_bytes());
        }
        file.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
        file.extend_from_slice(b"UTC\0");
        if version == 2 {
            file.extend_from_slice(format!("\n{rules}\n").as_bytes());
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::parse_iso;
    use super::*;

    fn s(text: &str) -> i64 {
        (parse_iso(text).unwrap() / 1_000) as i64
    }

    #[test]
    fn a_wall_clock_jumps_and_comes_back() {
        let zone = Zone::parse(&file_of("CET-1CEST,M3.5.0,M10.5.0/3")).unwrap();
        assert_eq!(zone.offset_s(s("2026-01-15")), 3_600);
        assert_eq!(zone.offset_s(s("2026-07-15")), 7_200);
        for (local, unix) in [
            ("2026-01-15T12:00", "2026-01-15T11:00"),
            ("2026-07-15T12:00", "2026-07-15T10:00"),
            // Skipped: an hour later by the new clock.
            ("2026-03-29T02:30", "2026-03-29T01:30"),
            // Shown twice: the first time.
            ("2026-10-25T02:30", "2026-10-25T00:30"),
        ] {
            assert_eq!(zone.unix_s(s(local)), s(unix), "{local}");
        }
        let local = zone.local(s("2026-03-28T23:30"));
        assert_eq!((local.month, local.day, local.weekday), (3, 29, 0));
        assert_eq!(local.second, 1_800);
    }

    #[test]
    fn bytes_that_are_no_zone_are_refused() {
        for bytes in [&b""[..], b"TZif", &[0xff; 100]] {
            assert!(Zone::parse(bytes).is_err());
        }
    }
}
