//! The five fields of a crontab schedule, as Celery and as APScheduler read them, to an expression as bue reads it.
//!
//! Both require the day of the month *and* the day of the week, where cron is content with either: bue has `+` for that. To Celery,
//! day 0 of the week is Sunday; to APScheduler it is Monday. The result has names of days.

use std::collections::BTreeSet;

use super::project::Generation;

/// What is wrong with a field, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldProblem {
    pub(super) message: String,
    pub(super) hint: String,
}

/// A field of the YAML.
#[derive(Clone, Copy, Debug)]
pub(super) struct CronField {
    /// Its key.
    pub(super) key: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
    example: &'static str,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const FROM_SUNDAY: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FROM_MONDAY: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The fields, in the order of an expression.
pub(super) const FIELDS: [CronField; 5] = [
    CronField { key: "minute", least: 0, most: 59, names: &[], example: "`0` or `*/15`" },
    CronField { key: "hour", least: 0, most: 23, names: &[], example: "`6` or `8-18`" },
    CronField { key: "dayOfMonth", least: 1, most: 31, names: &[], example: "`1` or `*`" },
    CronField { key: "monthOfYear", least: 1, most: 12, names: &MONTHS, example: "`1`, `jan` or `*`" },
    CronField { key: "dayOfWeek", least: 0, most: 6, names: &FROM_SUNDAY, example: "`mon-fri` or `*`" },
];

/// Converts the texts of the fields, in the order of [`FIELDS`].
///
/// # Errors
/// The fields that are wrong, by their positions.
pub(super) fn expression(texts: [&str; 5], generation: Generation) -> Result<String, Vec<(usize, FieldProblem)>> {
    let mut problems = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    for (at, (field, text)) in FIELDS.iter().zip(texts).enumerate() {
        match converted(field, text.trim(), generation) {
            Ok(part) => parts.push(part),
            Err(problem) => problems.push((at, problem)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if let [.., day, _, weekday] = parts.as_mut_slice()
        && day != "*"
        && weekday != "*"
    {
        weekday.insert(0, '+');
    }
    Ok(parts.join(" "))
}

fn converted(field: &CronField, text: &str, generation: Generation) -> Result<String, FieldProblem> {
    if field.key == "dayOfWeek" {
        return weekdays(field, text, generation);
    }
    if field.key == "dayOfMonth" && generation == Generation::Dramatiq && text.eq_ignore_ascii_case("last") {
        return Ok("L".to_owned());
    }
    let values = values(field, text, generation)?;
    let is_usual = |part: &str| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let numbers = (first.parse::<u32>(), last.parse::<u32>());
        step.parse::<u32>().is_ok()
            && (range == "*" || matches!(numbers, (Ok(first), Ok(last)) if first <= last))
            && (range == "*" || range.contains('-') || !part.contains('/'))
    };
    match text.split(',').all(is_usual) {
        true => Ok(text.to_owned()),
        false => Ok(values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
    }
}

fn weekdays(field: &CronField, text: &str, generation: Generation) -> Result<String, FieldProblem> {
    let names = match generation {
        Generation::Celery => FROM_SUNDAY,
        Generation::Dramatiq => FROM_MONDAY,
    };
    let days = values(&CronField { names: names_of(generation), ..*field }, text, generation)?;
    if days.len() == names.len() {
        return Ok("*".to_owned());
    }
    let days: Vec<String> =
        days.iter().filter_map(|day| names.get(*day as usize)).map(|name| name.to_uppercase()).collect();
    // from Monday to Friday is how people write it
    match days.join(",").as_str() {
        "MON,TUE,WED,THU,FRI" => Ok("MON-FRI".to_owned()),
        list => Ok(list.to_owned()),
    }
}

const fn names_of(generation: Generation) -> &'static [&'static str] {
    match generation {
        Generation::Celery => &FROM_SUNDAY,
        Generation::Dramatiq => &FROM_MONDAY,
    }
}

/// Returns the values that a field allows.
fn values(field: &CronField, text: &str, generation: Generation) -> Result<BTreeSet<u32>, FieldProblem> {
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        values.extend(part_values(field, part.trim(), generation)?);
    }
    Ok(values)
}

fn part_values(field: &CronField, part: &str, generation: Generation) -> Result<Vec<u32>, FieldProblem> {
    let wrong = |why: String| FieldProblem {
        message: format!("`{}` of the schedule is not valid: {why}", field.key),
        hint: format!("write {}-{}, such as {}", field.least, field.most, field.example),
    };
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let step = match step {
        None => 1,
        Some(text) => match text.parse::<u32>() {
            Ok(step) if step > 0 && text.len() < 5 => step,
            _ => return Err(wrong(format!("the step `{}` is not a number above 0", shown(text)))),
        },
    };
    let number = |text: &str| {
        let value =
            value_of(field, text).ok_or_else(|| wrong(format!("`{}` is not one of its values", shown(text))))?;
        Ok(value)
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => (field.least, field.most),
        Some((first, last)) => (number(first)?, number(last)?),
        // APScheduler begins there and goes on to the end
        None if part.contains('/') && generation == Generation::Dramatiq => (number(range)?, field.most),
        None if part.contains('/') => return Err(wrong(format!("`{}` has a step without a range", shown(part)))),
        None => (number(range)?, number(range)?),
    };
    if first > last && generation == Generation::Dramatiq {
        return Err(wrong(format!("the range `{}` ends before it begins", shown(range))));
    }
    // Celery goes around: `fri-mon` is Friday to Monday
    let around = (first..=field.most).chain(field.least..=last);
    let all: Vec<u32> = if first <= last { (first..=last).collect() } else { around.collect() };
    Ok(all.into_iter().step_by(step as usize).collect())
}

fn value_of(field: &CronField, text: &str) -> Option<u32> {
    if text.chars().all(|char| char.is_ascii_digit()) {
        let value = text.parse().ok()?;
        return (field.least..=field.most).contains(&value).then_some(value);
    }
    let position = field.names.iter().position(|name| text.eq_ignore_ascii_case(name))?;
    Some(field.least + u32::try_from(position).ok()?)
}

fn shown(text: &str) -> String {
    text.chars().take(30).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(texts: [&str; 5], generation: Generation) -> String {
        expression(texts, generation).unwrap_or_else(|problems| {
            problems
                .into_iter()
                .map(|(at, problem)| format!("{at}: {}", problem.message))
                .collect::<Vec<_>>()
                .join("; ")
        })
    }

    #[test]
    fn each_generation_counts_the_days_of_the_week_as_its_scheduler_does() {
        for (texts, celery, dramatiq) in [
            (["0", "6", "*", "*", "1-5"], "0 6 * * MON-FRI", "0 6 * * TUE,WED,THU,FRI,SAT"),
            (["*/15", "8-18", "*", "*", "0"], "*/15 8-18 * * SUN", "*/15 8-18 * * MON"),
            (["0", "0", "1,15", "*", "*"], "0 0 1,15 * *", "0 0 1,15 * *"),
            (["0", "0", "1", "jan", "mon"], "0 0 1 1 +MON", "0 0 1 1 +MON"),
            (["0", "0", "*", "*", "*/2"], "0 0 * * SUN,TUE,THU,SAT", "0 0 * * MON,WED,FRI,SUN"),
            (["0", "0", "*", "*", "0-6"], "0 0 * * *", "0 0 * * *"),
            (["0", "0", "*", "1-3", "mon-fri"], "0 0 * 1-3 MON-FRI", "0 0 * 1-3 MON-FRI"),
        ] {
            assert_eq!(convert(texts, Generation::Celery), celery, "{texts:?}");
            assert_eq!(convert(texts, Generation::Dramatiq), dramatiq, "{texts:?}");
        }
    }

    #[test]
    fn what_only_one_scheduler_reads_is_written_out() {
        assert_eq!(convert(["0", "22-2", "*", "*", "*"], Generation::Celery), "0 0,1,2,22,23 * * *");
        assert_eq!(convert(["0", "0", "*", "*", "fri-mon"], Generation::Celery), "0 0 * * SUN,MON,FRI,SAT");
        assert!(convert(["0", "22-2", "*", "*", "*"], Generation::Dramatiq).contains("ends before it begins"));
        assert_eq!(convert(["5/20", "0", "last", "*", "*"], Generation::Dramatiq), "5,25,45 0 L * *");
        assert!(convert(["5/20", "0", "*", "*", "*"], Generation::Celery).contains("step without a range"));
    }

    #[test]
    fn wrong_fields_are_named() {
        for (texts, expected) in [
            (["60", "*", "*", "*", "*"], "0: `minute` of the schedule is not valid: `60`"),
            (
                ["*", "x", "0", "*", "*"],
                "1: `hour` of the schedule is not valid: `x` is not one of its values; 2: `dayOfMonth`",
            ),
            (["*/0", "*", "*", "*", "7"], "0: `minute` of the schedule is not valid: the step `0`"),
            (["*", "*", "*", "*", "7"], "4: `dayOfWeek`"),
            (["", "*", "*", "*", "*"], "0: `minute`"),
        ] {
            let found = convert(texts, Generation::Celery);
            assert!(found.starts_with(expected), "{texts:?}: {found}");
        }
    }
}
