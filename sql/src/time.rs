//! Dates and times as numbers: days and microseconds since 2000-01-01, which is PostgreSQL's binary form.

/// Microseconds per day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Days from 0000-03-01 to 2000-01-01.
const DAYS_TO_2000: i64 = 730_425;

/// Parses `2026-09-30` and returns the days since 2000-01-01. Years have four digits and begin with 0001.
#[must_use]
pub fn parse_date(text: &str) -> Option<i32> {
    let [year, month, day] = digits(text, ['-', '-'])?;
    let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_date = year >= 1 && (1..=12).contains(&month) && (1..=last).contains(&day);
    let days = is_date.then(|| days_from_march(year, month, day) - DAYS_TO_2000);
    i32::try_from(days?).ok()
}

/// Years are counted from March, so that a leap day is the last day of a year.
const fn days_from_march(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day - 1
}

/// Parses `12:30:00.5` and returns microseconds. A time with an offset is refused.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = if whole.len() == 5 { format!("{whole}:00") } else { whole.to_owned() };
    let [hour, minute, second] = digits(&whole, [':', ':'])?;
    let (hour, minute, second): (i64, i64, i64) = (hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?);
    let is_time = hour < 24 && minute < 60 && second < 60;
    let seconds = is_time.then_some(hour * 3600 + minute * 60 + second)?;
    Some(seconds * 1_000_000 + micros(fraction)?)
}

/// Parses the digits of a fraction. More than six significant digits are refused, because PostgreSQL would round them.
fn micros(fraction: &str) -> Option<i64> {
    let (kept, cut) = fraction.split_at_checked(6).unwrap_or((fraction, ""));
    let is_exact = kept.bytes().all(|byte| byte.is_ascii_digit()) && cut.bytes().all(|byte| byte == b'0');
    is_exact.then(|| format!("{kept:0<6}").parse().ok()).flatten()
}

/// Parses `2026-09-30T12:30:00` and returns microseconds.
#[must_use]
pub fn parse_local(text: &str) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let time = parse_time(rest.strip_prefix(['T', ' '])?)?;
    Some(i64::from(parse_date(day)?) * DAY_MICROS + time)
}

/// Parses `2026-09-30T12:30:00+02:00` and returns microseconds in UTC.
#[must_use]
pub fn parse_zoned(text: &str) -> Option<i64> {
    if let Some(utc) = text.strip_suffix('Z') {
        return parse_local(utc);
    }
    let sign = text.get(11..)?.find(['+', '-'])? + 11;
    let (at, offset) = text.split_at_checked(sign)?;
    let micros = parse_time(offset.get(1..)?)?;
    let east = if offset.starts_with('-') { -micros } else { micros };
    Some(parse_local(at)? - east)
}

/// Parses `12:30:00+02:00` and returns microseconds and the seconds by which the offset is west of UTC.
#[must_use]
pub fn parse_zoned_time(text: &str) -> Option<(i64, i32)> {
    if let Some(utc) = text.strip_suffix('Z') {
        return Some((parse_time(utc)?, 0));
    }
    let (at, offset) = text.split_at_checked(text.find(['+', '-'])?)?;
    let micros = parse_time(offset.get(1..)?)?;
    let seconds = i32::try_from(micros / 1_000_000).ok().filter(|_| micros % 1_000_000 == 0)?;
    Some((parse_time(at)?, if offset.starts_with('-') { seconds } else { -seconds }))
}

/// Has a datetime or a time an offset?
#[must_use]
pub fn has_offset(text: &str) -> bool {
    let time = text.split_once(['T', ' ']).map_or(text, |(_, time)| time);
    time.contains(['+', '-', 'Z'])
}

/// Writes microseconds as `2026-09-30T10:30:00+00:00`, with a fraction of six digits if there is one. The order of these texts
/// is the order of the instants, because `+` is before `.` in ASCII. `None` for years outside of 1 to 9999.
#[must_use]
pub fn format_utc(micros: i64) -> Option<String> {
    let days = micros.div_euclid(DAY_MICROS) + DAYS_TO_2000;
    let time = micros.rem_euclid(DAY_MICROS);
    let (year, month, day) = date(days);
    if !(1..=9999).contains(&year) {
        return None;
    }
    let (seconds, fraction) = (time / 1_000_000, time % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}+00:00"))
}

/// The date of a number of days since 0000-03-01.
const fn date(days: i64) -> (i64, i64, i64) {
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Splits a date or a time into its three numbers, if they have the usual number of digits.
fn digits(text: &str, separators: [char; 2]) -> Option<[&str; 3]> {
    let (first, rest) = text.split_once(separators[0])?;
    let (second, third) = rest.split_once(separators[1])?;
    let is_year = separators[0] == '-';
    let has_widths = first.len() == if is_year { 4 } else { 2 } && second.len() == 2 && third.len() == 2;
    let parts = [first, second, third];
    (has_widths && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days() {
        assert_eq!(parse_date("2000-01-01"), Some(0));
        assert_eq!(parse_date("1999-12-31"), Some(-1));
        assert_eq!(parse_date("2000-03-01"), Some(60));
        assert_eq!(parse_date("2026-09-30"), Some(9769));
        assert_eq!(parse_date("0001-01-01"), Some(-730_119));
        for none in
            ["2026-02-29", "2026-13-01", "0000-01-01", "2026-1-1", "x", "", "+026-01-01", "2026-09-30 ", "é026-01-01"]
        {
            assert_eq!(parse_date(none), None, "{none}");
        }
    }

    #[test]
    fn instants_are_written_in_utc() {
        for (given, expected) in [
            ("2026-09-30T12:00:00+02:00", "2026-09-30T10:00:00+00:00"),
            ("2026-09-30T12:00:00.5Z", "2026-09-30T12:00:00.500000+00:00"),
            ("2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00+00:00"),
            ("1883-11-18T12:03:58-04:56:02", "1883-11-18T17:00:00+00:00"),
            ("0001-01-01T00:00:00+00:00", "0001-01-01T00:00:00+00:00"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
        ] {
            assert_eq!(parse_zoned(given).and_then(format_utc).as_deref(), Some(expected), "{given}");
        }
        for out_of_range in ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert_eq!(parse_zoned(out_of_range).and_then(format_utc), None, "{out_of_range}");
        }
        for days in (-730_425..2_932_896).step_by(97) {
            let text = format_utc(days * DAY_MICROS);
            let back = text.as_deref().map_or(Some(days * DAY_MICROS), parse_zoned);
            assert_eq!(back, Some(days * DAY_MICROS), "{text:?}");
        }
        let mut ordered: Vec<String> = [-1, 0, 1, 999_999, 1_000_000].into_iter().filter_map(format_utc).collect();
        let sorted = ordered.clone();
        ordered.sort();
        assert_eq!(ordered, sorted);
        assert!(has_offset("12:00+01:00") && has_offset("2026-01-01T12:00Z") && !has_offset("2026-01-01T12:00"));
    }

    #[test]
    fn times_are_microseconds() {
        assert_eq!(parse_time("00:00:01.5"), Some(1_500_000));
        assert_eq!(parse_time("12:30"), Some(45_000_000_000));
        assert_eq!(parse_time("00:00:00.1234560"), Some(123_456));
        assert_eq!(parse_local("2000-01-02T00:00:00"), Some(DAY_MICROS));
        assert_eq!(parse_zoned("2000-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(parse_zoned("2000-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_zoned("1999-12-31 19:00:00.000001-05:00"), Some(1));
        assert_eq!(parse_zoned_time("12:30+02:00"), Some((45_000_000_000, -7200)));
        assert_eq!(parse_zoned_time("00:00:00-00:00:01"), Some((0, 1)));
        assert_eq!((parse_zoned_time("12:30"), parse_zoned_time("12:30Z")), (None, Some((45_000_000_000, 0))));
        for none in ["24:00:00", "12:60", "12", "12:00:00+02:00", "12:00:00.1234567", "", "12:00:00.x"] {
            assert_eq!(parse_time(none), None, "{none}");
        }
        for none in ["2000-01-01", "2000-01-01T00:00:00", "2000-01-01T00:00:00+", "é", "2000-01-01Té+02:00"] {
            assert_eq!(parse_zoned(none), None, "{none}");
        }
    }
}
