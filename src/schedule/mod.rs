//! When something is due: cron expressions, time zones, times as people write them. Pure: no
//! clock, no files; a zone is what the bytes of its file say.

mod expression;
mod iso;
mod zone;

pub use expression::Expression;
pub use iso::parse_iso;
pub use zone::Zone;

/// Days since 1970 of a date (Howard Hinnant's algorithm, as `log::iso::civil` backwards).
pub(crate) fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = (i64::from(month) + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Days in a month.
pub(crate) fn month_len(year: i64, month: u32) -> u32 {
    let next = match month {
        12 => days_of(year + 1, 1, 1),
        _ => days_of(year, month + 1, 1),
    };
    (next - days_of(year, month, 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::iso::civil;

    #[test]
    fn dates_and_days_lead_to_each_other() {
        for days in (0..40_000).chain([100_000, 150_000]) {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year as i64, month as u32, day as u32), days as i64);
        }
        assert_eq!((month_len(2024, 2), month_len(2100, 2)), (29, 28));
        assert_eq!(month_len(2026, 12), 31);
    }
}
