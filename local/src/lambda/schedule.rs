//! `rate(…)` and `cron(…)` expressions (EventBridge user guide, "Creating a rule that runs on a schedule"). All times are UTC.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// Every so often, first after one period.
    Rate(Duration),
    /// At the minutes that match.
    Cron(Box<Cron>),
}

/// The six fields of a cron expression, each as the set of values it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: Vec<u16>,
    hours: Vec<u16>,
    /// `None` for `?`: the day of the week decides.
    days: Option<Vec<u16>>,
    months: Vec<u16>,
    /// 1 = Sunday; `None` for `?`: the day of the month decides.
    weekdays: Option<Vec<u16>>,
    years: Vec<u16>,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, or what is not known here (`L`, `W` and `#` of cron).
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inner = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inner("rate") {
            return parse_rate(rate).ok_or_else(|| format!("`{text}` is not a rate such as rate(5 minutes)"));
        }
        match inner("cron") {
            Some(cron) => Cron::parse(cron).map(|cron| Self::Cron(Box::new(cron))),
            None => Err(format!("`{text}` is neither rate(…) nor cron(…)")),
        }
    }

    /// The next time it is due after `now`; `None` if it never is again.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rate(period) => now.checked_add(*period).ok(),
            Self::Cron(cron) => cron.next_after(now),
        }
    }
}

/// EventBridge wants `1 minute` but `5 minutes`.
fn parse_rate(text: &str) -> Option<Expression> {
    let (value, unit) = text.split_once(' ')?;
    let value: u64 = value.parse().ok().filter(|value| *value > 0)?;
    let (unit, plural) = match unit.strip_suffix('s') {
        Some(unit) => (unit, true),
        None => (unit, false),
    };
    let seconds: u64 = match unit {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    if plural != (value > 1) {
        return None;
    }
    Some(Expression::Rate(Duration::from_secs(value.checked_mul(seconds)?)))
}

impl Cron {
    fn parse(text: &str) -> Result<Self, String> {
        const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields[..] else {
            return Err(format!("cron({text}) has {} fields, not 6", fields.len()));
        };
        if (days == "?") == (weekdays == "?") {
            return Err(format!("cron({text}): exactly one of day-of-month and day-of-week is `?`"));
        }
        let unless_open = |field: &str, lowest, highest, names: &[&str]| match field {
            "?" => Ok(None),
            field => values(field, lowest, highest, names).map(Some),
        };
        Ok(Self {
            minutes: values(minutes, 0, 59, &[])?,
            hours: values(hours, 0, 23, &[])?,
            days: unless_open(days, 1, 31, &[])?,
            months: values(months, 1, 12, &MONTHS)?,
            weekdays: unless_open(weekdays, 1, 7, &WEEKDAYS)?,
            years: values(years, 1970, 2199, &[])?,
        })
    }

    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let start = now.to_zoned(TimeZone::UTC);
        let mut date = start.date();
        // Four years and a day hold every date there is except a 29 February around a century.
        for _ in 0..(8 * 366) {
            if self.allows(date) {
                for &hour in &self.hours {
                    for &minute in &self.minutes {
                        let time = date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                        let at = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
                        if at > now {
                            return Some(at);
                        }
                    }
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn allows(&self, date: jiff::civil::Date) -> bool {
        let has = |values: &[u16], value: i64| values.iter().any(|allowed| i64::from(*allowed) == value);
        let weekday = i64::from(date.weekday().to_sunday_one_offset());
        has(&self.years, date.year().into())
            && has(&self.months, date.month().into())
            && self.days.as_ref().is_none_or(|days| has(days, date.day().into()))
            && self.weekdays.as_ref().is_none_or(|weekdays| has(weekdays, weekday))
    }
}

/// The values a field allows, in order.
fn values(field: &str, lowest: u16, highest: u16, names: &[&str]) -> Result<Vec<u16>, String> {
    let value = |text: &str| -> Result<u16, String> {
        let named =
            names.iter().zip(lowest..).find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| value);
        named
            .or_else(|| text.parse().ok())
            .filter(|value| (lowest..=highest).contains(value))
            .ok_or_else(|| format!("`{text}` in a cron expression is not known to local"))
    };
    let mut allowed = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse().ok().filter(|step| *step > 0);
                (range, Some(step.ok_or_else(|| format!("`{part}` in a cron expression has no step"))?))
            }
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (value(from)?, value(to)?),
            None if range == "*" => (lowest, highest),
            // `5/15` runs on to the end.
            None if step.is_some() => (value(range)?, highest),
            None => (value(range)?, value(range)?),
        };
        if from > to {
            return Err(format!("`{part}` in a cron expression runs backwards"));
        }
        allowed.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    allowed.sort_unstable();
    allowed.dedup();
    Ok(allowed)
}

/// How long it is from `now` to `then`; nothing if that is past.
pub(super) fn until(then: Timestamp, now: Timestamp) -> Duration {
    then.duration_since(now).max(SignedDuration::ZERO).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, now: &str) -> Option<String> {
        let now: Timestamp = now.parse().unwrap();
        Expression::parse(expression).unwrap().next_after(now).map(|at| at.to_string())
    }

    #[test]
    fn a_rate_is_due_after_one_period() {
        assert_eq!(next("rate(1 minute)", "2026-11-23T10:00:30Z").as_deref(), Some("2026-11-23T10:01:30Z"));
        assert_eq!(next("rate(2 days)", "2026-11-23T10:00:30Z").as_deref(), Some("2026-11-25T10:00:30Z"));
    }

    #[test]
    fn a_cron_is_due_at_the_next_minute_that_matches() {
        let table = [
            ("cron(0 10 * * ? *)", "2026-11-23T10:00:00Z", Some("2026-11-24T10:00:00Z")),
            ("cron(15 12 ? * MON-FRI *)", "2026-11-21T00:00:00Z", Some("2026-11-23T12:15:00Z")),
            ("cron(0/15 * * * ? *)", "2026-11-23T10:46:00Z", Some("2026-11-23T11:00:00Z")),
            ("cron(0 0 29 2 ? *)", "2026-11-23T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("cron(0 8 1 JAN,JUL ? 2027)", "2026-11-23T00:00:00Z", Some("2027-01-01T08:00:00Z")),
            ("cron(0 0 ? * 1 *)", "2026-11-23T00:00:00Z", Some("2026-11-29T00:00:00Z")),
            ("cron(0 0 1 1 ? 2020)", "2026-11-23T00:00:00Z", None),
        ];
        for (expression, now, expected) in table {
            assert_eq!(next(expression, now).as_deref(), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for expression in [
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(5 seconds)",
            "cron(* * * * *)",
            "cron(0 0 * * * *)",
            "cron(0 0 ? * ? *)",
            "cron(0 0 L * ? *)",
            "cron(0 0 ? * 2#1 *)",
            "cron(60 0 * * ? *)",
            "every day",
        ] {
            assert!(Expression::parse(expression).is_err(), "{expression}");
        }
    }
}
