//! [`CronExpression`]: five fields, or a nickname. `croner` parses them and has the rules of days; the search is ours, so that it
//! is bounded for every expression.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::Weekday;
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};

/// Bytes of an expression: far more than one that lists every minute.
const MAX_BYTES: usize = 500;
/// Days that a search looks at: 29 February of a certain weekday is forty years away at most, around a year like 2100.
const MAX_DAYS: u32 = 366 * 41;
/// The names of the fields, and an example of each.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59, such as `0` or `*/15`"),
    ("hour", "0-23, such as `6` or `8-18`"),
    ("day of the month", "1-31, or `L` for the last one"),
    ("month", "1-12, or `JAN` to `DEC`"),
    ("day of the week", "0-7 with Sunday as 0 and 7, or `MON` to `SUN`"),
];

/// A cron expression.
#[derive(Clone, Debug)]
pub(crate) struct CronExpression {
    text: String,
    cron: Cron,
}

impl CronExpression {
    /// Parses an expression that matches at least one time.
    ///
    /// # Errors
    /// What is wrong, where, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.len() > MAX_BYTES {
            return Err(format!("it has more than {MAX_BYTES} bytes; use ranges and steps, such as `8-18` or `*/15`"));
        }
        let Ok(cron) = parse(&text) else { return Err(problem_of(&text)) };
        let expression = Self { text, cron };
        match expression.next_after(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)) {
            Some(_) => Ok(expression),
            None => Err(format!("`{}` matches no day of any year; correct the day or the month", expression.text)),
        }
    }

    /// The expression, with one blank between two fields.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the first minute after `time` that matches, as a clock on the wall shows it. `None` if there is none within forty
    /// years.
    pub(crate) fn next_after(&self, time: DateTime) -> Option<DateTime> {
        let mut first_minute = minute_of_day(time) + 1;
        let mut date = time.date();
        for _ in 0..MAX_DAYS {
            if let Some(minute) = self.matches_day(date).then(|| self.minute_from(first_minute)).flatten() {
                return Some(at_minute(date, minute));
            }
            first_minute = 0;
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    fn matches_day(&self, date: Date) -> bool {
        let pattern = &self.cron.pattern;
        let (month, day) = (unsigned(date.month()), unsigned(date.day()));
        let weekday = Weekday::from_days_from_sunday(unsigned(date.weekday().to_sunday_zero_offset()));
        pattern.month_match(month).unwrap_or(false)
            && pattern.day_match(i32::from(date.year()), month, day, weekday).unwrap_or(false)
    }

    /// Returns the first minute of a day that matches, from `first` on.
    fn minute_from(&self, first: u32) -> Option<u32> {
        let pattern = &self.cron.pattern;
        let hours = (first / 60..24).filter(|hour| pattern.hour_match(*hour).unwrap_or(false));
        for hour in hours {
            let from = if hour == first / 60 { first % 60 } else { 0 };
            if let Some(minute) = (from..60).find(|minute| pattern.minute_match(*minute).unwrap_or(false)) {
                return Some(hour * 60 + minute);
            }
        }
        None
    }
}

fn parse(text: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(text)
}

/// Says which field is wrong: the one that is wrong beside four stars.
fn problem_of(text: &str) -> String {
    let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
    if fields.len() != FIELDS.len() {
        let given = if text.starts_with('@') { "is no nickname of an expression" } else { "has not five fields" };
        return format!(
            "`{text}` {given}; write minute, hour, day of the month, month and day of the week, such as `0 6 * * 1-5`, or \
             one of @hourly, @daily, @weekly, @monthly, @yearly"
        );
    }
    let alone = |at: usize| {
        let stars = (0..FIELDS.len()).map(|index| fields.get(index).filter(|_| index == at).copied().unwrap_or("*"));
        stars.collect::<Vec<_>>().join(" ")
    };
    let wrong = FIELDS.iter().zip(&fields).enumerate().find(|(at, _)| parse(&alone(*at)).is_err());
    match wrong {
        Some((_, ((name, example), field))) => {
            format!("the {name} of `{text}` is `{field}`; write {example}")
        }
        None => format!("`{text}` is no cron expression; write five fields, such as `0 6 * * 1-5`"),
    }
}

/// Returns the minutes since midnight.
fn minute_of_day(time: DateTime) -> u32 {
    unsigned(time.hour()) * 60 + unsigned(time.minute())
}

/// Returns a minute of a day, which is below 24 × 60.
fn at_minute(date: Date, minute: u32) -> DateTime {
    let part = |number: u32| i8::try_from(number).unwrap_or(0);
    date.at(part(minute / 60), part(minute % 60), 0, 0)
}

/// Converts a part of a date, which is never negative.
fn unsigned(part: i8) -> u32 {
    u32::try_from(part).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(expression: &str, after: &str, count: usize) -> Vec<String> {
        let cron = CronExpression::parse(expression).expect("an expression");
        let mut time: DateTime = after.parse().expect("a time");
        let times = (0..count).map_while(|_| {
            time = cron.next_after(time)?;
            Some(time.strftime("%a %F %R").to_string())
        });
        times.collect()
    }

    #[test]
    fn expressions_match_as_cron_does() {
        for (expression, after, expected) in [
            ("0 6 * * 1-5", "2026-11-06T06:00", vec!["Mon 2026-11-09 06:00", "Tue 2026-11-10 06:00"]),
            ("*/15 * * * *", "2026-11-06T23:44:59", vec!["Fri 2026-11-06 23:45", "Sat 2026-11-07 00:00"]),
            ("0 12 29 2 *", "2026-01-01T00:00", vec!["Tue 2028-02-29 12:00", "Sun 2032-02-29 12:00"]),
            ("0 12 29 2 *", "2096-03-01T00:00", vec!["Fri 2104-02-29 12:00"]),
            ("30 4 1,15 * 5", "2026-01-01T04:30", vec!["Fri 2026-01-02 04:30", "Fri 2026-01-09 04:30"]),
            ("0 6 1-7 * +MON", "2026-11-30T00:00", vec!["Mon 2026-12-07 06:00", "Mon 2027-01-04 06:00"]),
            ("0 0 1 * +MON,TUE", "2026-11-30T00:00", vec!["Tue 2026-12-01 00:00", "Mon 2027-02-01 00:00"]),
            ("0 0 L * *", "2026-02-01T00:00", vec!["Sat 2026-02-28 00:00", "Tue 2026-03-31 00:00"]),
            ("0 0 * * SUN", "2026-11-30T00:00", vec!["Sun 2026-12-06 00:00"]),
            ("0 0 * * 7", "2026-11-30T00:00", vec!["Sun 2026-12-06 00:00"]),
            ("@daily", "2026-12-31T00:00", vec!["Fri 2027-01-01 00:00"]),
            ("  0   6 * *  * ", "2026-11-06T05:59", vec!["Fri 2026-11-06 06:00"]),
            ("59 23 31 12 *", "2026-12-31T23:59:59", vec!["Fri 2027-12-31 23:59"]),
        ] {
            assert_eq!(next(expression, after, expected.len()), expected, "{expression}");
        }
    }

    #[test]
    fn a_wrong_expression_names_the_field_and_what_to_write() {
        for (expression, problem) in [
            ("61 6 * * *", "the minute of `61 6 * * *` is `61`; write 0-59"),
            ("0 25 * * *", "the hour of `0 25 * * *` is `25`; write 0-23"),
            ("0 6 32 * *", "the day of the month of `0 6 32 * *` is `32`"),
            ("0 6 * 13 *", "the month of `0 6 * 13 *` is `13`"),
            ("0 6 * * FUN", "the day of the week of `0 6 * * FUN` is `FUN`"),
            ("0 6 * * 8", "the day of the week of"),
            ("0 */0 * * *", "the hour of"),
            ("0 18-8 * * *", "the hour of"),
            ("0 6 30 2 *", "matches no day of any year"),
            ("0 6 31 4,6,9,11 *", "matches no day of any year"),
            ("0 6 * *", "has not five fields"),
            ("0 0 6 * * *", "has not five fields"),
            ("", "has not five fields"),
            ("@reboot", "is no nickname"),
            ("täglich um sechs Uhr früh", "the minute of"),
            (&"0,".repeat(600), "more than 500 bytes"),
        ] {
            let message = CronExpression::parse(expression).expect_err(expression);
            assert!(message.contains(problem), "{expression}: {message}");
        }
    }

    proptest! {
        /// Whatever the text: it is refused with a message, or it is an expression whose times grow and have the same text.
        #[test]
        fn any_text_is_an_expression_or_is_refused(
            text in prop_oneof![
                "[-0-9*/,#LW?+]{1,6}( [-0-9*/,#LW?+A-Z]{1,6}){3,5}",
                "[*0-9/]{1,4}( (\\*|[0-9]{1,3}(-[0-9]{1,3})?(/[0-9]{1,3})?|[0-9]{1,2},[0-9]{1,2}|[0-9]#[0-9]|[0-9]{1,2}W|L|LW|[1-7]L)){4}",
                "@[a-z]{0,9}",
                "\\PC{0,40}",
            ],
            year in 1970_i16..2400,
        ) {
            match CronExpression::parse(&text) {
                Err(message) => prop_assert!(!message.is_empty()),
                Ok(cron) => {
                    let mut last = DateTime::constant(year, 1, 1, 0, 0, 0, 0);
                    for _ in 0..3 {
                        let Some(next) = cron.next_after(last) else { break };
                        prop_assert!(next > last && next.second() == 0, "{next} after {last}");
                        last = next;
                    }
                    let again = CronExpression::parse(cron.text()).map(|again| again.text().to_owned());
                    prop_assert_eq!(again.as_deref(), Ok(cron.text()));
                }
            }
        }
    }

    #[test]
    fn the_last_day_of_the_calendar_has_no_next() {
        let cron = CronExpression::parse("0 6 * * *").expect("an expression");
        assert_eq!(cron.next_after(DateTime::constant(9999, 12, 31, 6, 0, 0, 0)), None);
    }
}
