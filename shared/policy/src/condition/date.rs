//! Points in time, in the W3C profile of ISO 8601 or as seconds since 1970.
//!
//! AWS: IAM user guide, "Date condition operators". Reduced precision (`2026-11`, `2026-11-23`, `2026-11-23T10:00Z`) is
//! allowed, but digits alone are seconds, even `2026`. A time without offset is UTC. The odd cases (`01T`, a lower-case
//! `t`, `+23`) follow IAM's own answers, recorded in moto's test vectors.

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(i128);

const SECOND: i128 = 1_000_000_000;

impl Instant {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if text.contains(['t', '-']) { parse_iso(&text) } else { parse_epoch(&text) }
    }

    /// Seconds since 1970, without their fraction.
    pub(crate) const fn whole_seconds(self) -> i128 {
        self.0.div_euclid(SECOND)
    }
}

fn parse_epoch(text: &str) -> Option<Instant> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: i64 = digits(seconds, 1..=19)?.try_into().ok()?;
    Some(Instant(i128::from(seconds) * SECOND + nanoseconds(fraction)?))
}

fn parse_iso(text: &str) -> Option<Instant> {
    let (date, time) = text.split_once('t').unwrap_or((text, ""));
    let (sign, date) = date.strip_prefix('-').map_or((1, date), |rest| (-1, rest));
    let mut fields = date.split('-');
    let year = sign * i64::try_from(digits(fields.next()?, 1..=9)?).ok()?;
    let month = fields.next().map_or(Some(1), |month| digits(month, 1..=2))?;
    let day = fields.next().map_or(Some(1), |day| digits(day, 1..=2))?;
    // The range of years of the platform that IAM runs on.
    let is_valid = fields.next().is_none()
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (-292_275_054..=292_278_993).contains(&year);
    if !is_valid {
        return None;
    }
    let days = days_from_civil(year, i64::try_from(month).ok()?, i64::try_from(day).ok()?);
    Some(Instant(i128::from(days) * 86_400 * SECOND + parse_time(time)?))
}

/// The time of day minus its offset, in nanoseconds.
fn parse_time(text: &str) -> Option<i128> {
    let (clock, offset) = match text.find(['z', '+', '-']) {
        Some(at) => (&text[..at], parse_offset(&text[at..])?),
        None => (text, 0),
    };
    if clock.is_empty() {
        return (offset == 0).then_some(0);
    }
    let mut fields = clock.split(':');
    let hours = digits(fields.next()?, 1..=2)?;
    let minutes = fields.next().map_or(Some(0), |minutes| digits(minutes, 1..=2))?;
    let (seconds, fraction) = fields.next().map_or(("0", "0"), |rest| rest.split_once('.').unwrap_or((rest, "0")));
    let seconds = digits(seconds, 1..=2)?;
    if fields.next().is_some() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let total = i128::from(hours * 3_600 + minutes * 60 + seconds) - i128::from(offset) * 60;
    Some(total * SECOND + nanoseconds(fraction)?)
}

/// `z`, `+hh`, `+hh:mm` or `+hhmm`, in minutes.
fn parse_offset(text: &str) -> Option<i64> {
    if text == "z" {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = text.strip_prefix('+') { (1, rest) } else { (-1, text.strip_prefix('-')?) };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (hours, digits(minutes, 2..=2)?),
        None if rest.len() == 4 && rest.is_ascii() => (&rest[..2], digits(&rest[2..], 2..=2)?),
        None => (rest, 0),
    };
    let hours = digits(hours, 2..=2)?;
    (hours <= 23 && minutes <= 59).then_some(())?;
    Some(sign * i64::try_from(hours * 60 + minutes).ok()?)
}

fn nanoseconds(fraction: &str) -> Option<i128> {
    let value = digits(fraction, 1..=9)?;
    let scale = 10_u64.pow(u32::try_from(9 - fraction.len()).ok()?);
    Some(i128::from(value * scale))
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u64> {
    (length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_one_instant_are_equal() {
        let expected = Instant(1_600_000_000 * SECOND);
        for text in [
            "1600000000",
            "2020-09-13T12:26:40Z",
            "2020-09-13T12:26:40",
            "2020-09-13t14:26:40+02:00",
            "2020-09-13T10:26:40.000-02",
            "1600000000.0",
            "2020-09-13T14:26:40+0200",
        ] {
            assert_eq!(Instant::parse(text), Some(expected), "{text}");
        }
        assert_eq!(Instant::parse("2020-01"), Instant::parse("2020-01-01T00:00Z"));
        assert_eq!(Instant::parse("1970-01-01"), Some(Instant(0)));
        assert!(Instant::parse("2024-02-29") < Instant::parse("2024-03-01"));
    }

    #[test]
    fn what_iam_refuses_is_no_date() {
        for text in [
            "",
            "sdfdsf",
            "234-13",
            "2016-12-13t2:00:00.593194+1",
            "2016-12-13t2:00:00.1999999999+10:59",
            "9223372036854775808",
            "2020-00-01",
            "2020-01-01T24:00",
            "t",
            "-",
            "2020-01-01-01",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
        for text in ["01T", "2016-12-13t2:00:00.593194+23", "-292275054", "2017-07-01T00:00:00Z", "9223372036854775807"]
        {
            assert!(Instant::parse(text).is_some(), "{text}");
        }
    }
}
