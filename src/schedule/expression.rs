//! Cron expressions: five fields, or six with seconds first, as crontab(5) and its successors
//! read them.
//!
//! ```text
//! [second] minute hour day month weekday
//! *  ?  7  1-5  */15  10-40/5  1,15  jan-mar  mon  7 (Sunday)  L (last day)  fri#2  5L (last Friday)
//! @yearly @monthly @weekly @daily @hourly
//! ```
//!
//! Where day and weekday both are restricted, one of them has to fit.

use super::month_len;
use super::zone::{Local, Zone};

/// Twice as long as the longest wait between two leap days.
const DAYS_MAX: i64 = 16 * 366;
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// An expression that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// A bit for each value that fits.
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// The last day of the month fits.
    last_day: bool,
    /// Weekdays that fit once a month: (weekday, which one; 0 is the last).
    nth: Vec<(u32, u32)>,
    any_hour: bool,
    any_day: bool,
    any_weekday: bool,
}

/// The values that a field may have.
struct Range {
    what: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const SECOND: Range = range("second", 0, 59, &[]);
const MINUTE: Range = range("minute", 0, 59, &[]);
const HOUR: Range = range("hour", 0, 23, &[]);
const DAY: Range = range("day", 1, 31, &[]);
const MONTH: Range = range("month", 1, 12, &MONTHS);
const WEEKDAY: Range = range("weekday", 0, 7, &WEEKDAYS);

const fn range(what: &'static str, least: u32, most: u32, names: &'static [&'static str]) -> Range {
    Range {
        what,
        least,
        most,
        names,
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// Which field is wrong, and what it may be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let text = match text.as_str() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        match fields.len() {
            5 => fields.insert(0, "0"),
            6 => {}
            len => {
                return Err(format!(
                    "a cron expression has 5 fields (minute hour day month weekday) or 6 with \
                     seconds first, this one has {len}"
                ));
            }
        }
        let (day, last_day) = without_last(fields[3]);
        let (weekday, nth) = without_nth(fields[5])?;
        let is_any = |field: &str| matches!(field, "*" | "?");
        let mut weekdays = match weekday.is_empty() {
            true => 0,
            false => set(&weekday, &WEEKDAY)?,
        };
        weekdays |= u64::from(weekdays & 1 << 7 != 0);
        Ok(Self {
            seconds: set(fields[0], &SECOND)?,
            minutes: set(fields[1], &MINUTE)?,
            hours: set(fields[2], &HOUR)?,
            days: if day.is_empty() { 0 } else { set(&day, &DAY)? },
            months: set(fields[4], &MONTH)?,
            weekdays,
            last_day,
            nth,
            any_hour: is_any(fields[2]),
            any_day: is_any(fields[3]),
            any_weekday: is_any(fields[5]),
        })
    }

    /// The first time after a moment, both in milliseconds since 1970. None where none comes in
    /// many years, as for 30 February.
    pub fn next_after(&self, unix_ms: u64, zone: &Zone) -> Option<u64> {
        let unix_s = i64::try_from(unix_ms / 1_000).ok()?;
        let next_s = match self.any_hour {
            // Not bound to a wall clock's hour: when clocks are put back it goes on all the same.
            true => self
                .next_minute(unix_s, zone)
                .or_else(|| self.next_day(unix_s + 86_400, zone)),
            false => self.next_day(unix_s, zone),
        }?;
        u64::try_from(next_s).ok()?.checked_mul(1_000)
    }

    /// Minute by minute, for a day.
    fn next_minute(&self, unix_s: i64, zone: &Zone) -> Option<i64> {
        let first = unix_s.div_euclid(60) * 60;
        (0..=24 * 60).map(|n| first + n * 60).find_map(|minute_s| {
            let local = zone.local(minute_s);
            let fits = self.fits_day(&local) && has(self.minutes, local.second / 60 % 60);
            let mut seconds = (0..60).filter(|second| has(self.seconds, *second));
            seconds
                .find(|second| fits && minute_s + i64::from(*second) > unix_s)
                .map(|second| minute_s + i64::from(second))
        })
    }

    /// Day by day.
    fn next_day(&self, unix_s: i64, zone: &Zone) -> Option<i64> {
        let start = zone.local(unix_s).days;
        (0..DAYS_MAX).find_map(|n| {
            // The zone's own midnight may not exist; the date does.
            let days = start + n;
            let local = Zone::default().local(days * 86_400);
            if !self.fits_day(&local) {
                return None;
            }
            self.clock_times()
                .map(|second| zone.unix_s(days * 86_400 + i64::from(second)))
                .find(|at_s| *at_s > unix_s)
        })
    }

    /// Seconds since midnight that fit, in order.
    fn clock_times(&self) -> impl Iterator<Item = u32> {
        let each = |set: u64, end: u32| (0..end).filter(move |value| has(set, *value));
        let (hours, minutes, seconds) = (self.hours, self.minutes, self.seconds);
        each(hours, 24).flat_map(move |hour| {
            each(minutes, 60).flat_map(move |minute| {
                each(seconds, 60).map(move |second| hour * 3_600 + minute * 60 + second)
            })
        })
    }

    fn fits_day(&self, local: &Local) -> bool {
        if !has(self.months, local.month) {
            return false;
        }
        let is_last = self.last_day && local.day == month_len(local.year, local.month);
        let day = has(self.days, local.day) || is_last;
        let weekday = has(self.weekdays, local.weekday) || self.fits_nth(local);
        match (self.any_day, self.any_weekday) {
            (true, true) => true,
            (true, false) => weekday,
            (false, true) => day,
            (false, false) => day || weekday,
        }
    }

    fn fits_nth(&self, local: &Local) -> bool {
        let left = month_len(local.year, local.month) - local.day;
        self.nth.iter().any(|(weekday, which)| {
            *weekday == local.weekday
                && match which {
                    0 => left < 7,
                    which => (local.day - 1) / 7 + 1 == *which,
                }
        })
    }
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

/// The values of a field as bits.
fn set(field: &str, range: &Range) -> Result<u64, String> {
    let mut set = 0;
    for part in field.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, number(step, range, 1, range.most.max(1))?),
            None => (part, 1),
        };
        let (from, to) = match span.split_once('-') {
            _ if matches!(span, "*" | "?") => (range.least, range.most),
            Some((from, to)) => (value(from, range)?, value(to, range)?),
            None if part.contains('/') => (value(span, range)?, range.most),
            None => (value(span, range)?, value(span, range)?),
        };
        if from > to {
            return Err(format!("the {} range {span} runs backwards", range.what));
        }
        // A weekday of 7 is Sunday again: in `*` it must not count twice.
        let to = if span == "*" && range.what == "weekday" {
            6
        } else {
            to
        };
        set |= (from..=to)
            .step_by(step as usize)
            .fold(0, |set, value| set | 1 << value);
    }
    Ok(set)
}

fn value(text: &str, range: &Range) -> Result<u32, String> {
    if let Some(at) = range.names.iter().position(|name| *name == text) {
        return Ok(at as u32 + range.least);
    }
    number(text, range, range.least, range.most)
}

fn number(text: &str, range: &Range, least: u32, most: u32) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = text.parse().ok().filter(|_| is_number);
    value
        .filter(|value| (least..=most).contains(value))
        .ok_or_else(|| {
            format!(
                "the {} {text:?} is not one of {}-{}",
                range.what, range.least, range.most
            )
        })
}

/// The day field without `L`, and whether it had one.
fn without_last(field: &str) -> (String, bool) {
    let parts: Vec<&str> = field.split(',').filter(|part| *part != "l").collect();
    let day = parts.join(",");
    let last = day.len() != field.len();
    (day, last)
}

type Nth = Vec<(u32, u32)>;

/// The weekday field without `fri#2` and `5L`, and those.
fn without_nth(field: &str) -> Result<(String, Nth), String> {
    let mut rest = Vec::new();
    let mut nth = Vec::new();
    for part in field.split(',') {
        let found = match (part.split_once('#'), part.strip_suffix('l')) {
            (Some((weekday, which)), _) => Some((weekday, number(which, &WEEKDAY, 1, 5)?)),
            (None, Some(weekday)) if !weekday.is_empty() => Some((weekday, 0)),
            _ => None,
        };
        match found {
            Some((weekday, which)) => nth.push((value(weekday, &WEEKDAY)? % 7, which)),
            None => rest.push(part),
        }
    }
    Ok((rest.join(","), nth))
}

#[cfg(test)]
mod tests {
    use super::super::{parse_iso, zone::file_of};
    use super::*;
    use crate::log::iso::iso_utc;

    fn after(expression: &str, from: &str, zone: &Zone, count: usize) -> Vec<String> {
        let expression = Expression::parse(expression).unwrap();
        let mut at = parse_iso(from).unwrap();
        let mut times = Vec::new();
        for _ in 0..count {
            at = expression.next_after(at, zone).unwrap();
            times.push(iso_utc(at).replace(":00.000Z", ""));
        }
        times
    }

    fn utc(expression: &str, from: &str) -> String {
        after(expression, from, &Zone::default(), 1).remove(0)
    }

    #[test]
    fn the_next_time_fits_every_field() {
        for (expression, from, next) in [
            ("* * * * *", "2026-01-01T00:00", "2026-01-01T00:01"),
            ("*/15 * * * *", "2026-01-01T00:07", "2026-01-01T00:15"),
            ("0 9 * * mon-fri", "2026-11-21T12:00", "2026-11-23T09:00"),
            ("30 6 1,15 * *", "2026-01-02T00:00", "2026-01-15T06:30"),
            ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
            ("0 0 L * *", "2026-02-10T00:00", "2026-02-28T00:00"),
            ("0 0 * * 7", "2026-11-23T00:00", "2026-11-29T00:00"),
            ("0 0 * * */2", "2026-11-22T00:00", "2026-11-24T00:00"),
            ("0 12 * * fri#2", "2026-11-01T00:00", "2026-11-13T12:00"),
            ("0 12 * * 5L", "2026-11-01T00:00", "2026-11-27T12:00"),
            ("0 0 13 * 5", "2026-11-07T00:00", "2026-11-13T00:00"),
            (
                "0 0 1 jan-mar,DEC *",
                "2026-04-01T00:00",
                "2026-12-01T00:00",
            ),
            ("10-40/10 3 * * *", "2026-01-01T03:10", "2026-01-01T03:20"),
            ("@hourly", "2026-01-01T00:00", "2026-01-01T01:00"),
            ("@weekly", "2026-11-22T00:00", "2026-11-29T00:00"),
            ("5 * 1 1 *", "2026-01-01T23:30", "2027-01-01T00:05"),
        ] {
            assert_eq!(utc(expression, from), next, "{expression} after {from}");
        }
        let seconds = Expression::parse("*/20 * * * * *").unwrap();
        let next = seconds.next_after(20_500, &Zone::default());
        assert_eq!(next, Some(40_000));
        let never = Expression::parse("0 0 30 2 *").unwrap();
        assert_eq!(never.next_after(0, &Zone::default()), None);
    }

    #[test]
    fn clocks_that_are_changed_lose_and_double_nothing() {
        let zone = Zone::parse(&file_of("CET-1CEST,M3.5.0,M10.5.0/3")).unwrap();
        let daily = "30 2 * * *";
        assert_eq!(
            after(daily, "2026-03-28T00:00", &zone, 3),
            ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"]
        );
        assert_eq!(
            after(daily, "2026-10-24T00:00", &zone, 3),
            ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]
        );
        // What is bound to no hour goes on every hour of real time.
        assert_eq!(
            after("0 * * * *", "2026-10-24T23:30", &zone, 4),
            [
                "2026-10-25T00:00",
                "2026-10-25T01:00",
                "2026-10-25T02:00",
                "2026-10-25T03:00"
            ]
        );
        assert_eq!(
            after("*/30 2-3 * * *", "2026-03-29T00:30", &zone, 3),
            ["2026-03-29T01:00", "2026-03-29T01:30", "2026-03-30T00:00"]
        );
    }

    #[test]
    fn every_minute_of_a_year_agrees_with_the_fields() {
        let expression = Expression::parse("7,37 */5 * * 1-5").unwrap();
        let zone = Zone::default();
        let mut at = parse_iso("2026-01-01").unwrap();
        let end = parse_iso("2027-01-01").unwrap();
        let mut by_next = Vec::new();
        while let Some(next) = expression.next_after(at, &zone).filter(|next| *next < end) {
            by_next.push(next);
            at = next;
        }
        let minutes = (parse_iso("2026-01-01").unwrap() + 60_000..end).step_by(60_000);
        let by_walk: Vec<u64> = minutes
            .filter(|ms| {
                let local = zone.local((*ms / 1_000) as i64);
                let (hour, minute) = (local.second / 3_600, local.second / 60 % 60);
                [7, 37].contains(&minute) && hour % 5 == 0 && (1..=5).contains(&local.weekday)
            })
            .collect();
        assert_eq!(by_next, by_walk);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("", "5 fields"),
            ("* * * *", "5 fields"),
            ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day"),
            ("* * * foo *", "month"),
            ("* * * * 8", "weekday"),
            ("*/0 * * * *", "minute"),
            ("5-1 * * * *", "backwards"),
            ("1, * * * *", "minute"),
            ("-1 * * * *", "minute"),
            ("* * * * mon#6", "weekday"),
            ("99999999999 * * * *", "minute"),
        ] {
            let fault = Expression::parse(text).unwrap_err();
            assert!(fault.contains(word), "{text}: {fault}");
        }
    }
}
