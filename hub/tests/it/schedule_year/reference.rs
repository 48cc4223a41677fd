//! [`TestSchedule`]: a random schedule, and when it is due by a computation of its own: day by day, and with the first minute at
//! which a clock on the wall shows the time or a later one.

use bue_model::RunId;
use fastrand::Rng;
use jiff::civil::{Date, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use uuid::Uuid;

/// 2027-07-01T00:00:00Z; the year has a leap day and both changes of the clock.
pub(super) const START: i64 = 1_814_400_000_000;
/// 2028-07-01T00:00:00Z
pub(super) const END: i64 = START + 366 * 86_400_000;

const MINUTE: i64 = 60_000;
const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"];
/// The namespace of the ids of runs that schedules start.
const NAMESPACE: Uuid = Uuid::from_u128(0x6275_6520_7363_6865_6475_6c65_2072_756e);

/// When a schedule is due.
#[derive(Debug)]
enum Times {
    Every(i64),
    Cron { minutes: Vec<i8>, hours: Vec<i8>, day: Option<i8>, month: Option<i8>, weekdays: Vec<i8> },
}

/// A schedule.
#[derive(Debug)]
pub(super) struct TestSchedule {
    pub(super) name: String,
    times: Times,
    zone: &'static str,
    jitter_s: i64,
    /// Only its first run starts, because that never ends.
    skips: bool,
}

impl TestSchedule {
    /// A schedule that is due daily, weekly, monthly, or on a leap day; often while clocks change.
    pub(super) fn random(number: usize, rng: &mut Rng) -> Self {
        let hour = if rng.bool() { rng.i8(0..4) } else { rng.i8(0..24) };
        let (minutes, hours) = (vec![[0, 15, 30, 59][rng.usize(..4)]], vec![hour]);
        let cron = |day, month, weekdays| Times::Cron { minutes, hours, day, month, weekdays };
        let times = match number % 20 {
            0 => cron(None, None, Vec::new()),
            1 => Times::Every(rng.i64(2_000..20_000) * MINUTE),
            2 => cron(Some(29), Some(2), Vec::new()),
            3..8 => cron(Some(rng.i8(1..32)), None, Vec::new()),
            8 => Times::Cron {
                minutes: vec![0, 20, 40],
                hours: vec![1, 2, 3],
                day: None,
                month: Some([3, 10, 11, 4][rng.usize(..4)]),
                weekdays: vec![0],
            },
            _ => cron(None, None, vec![rng.i8(0..7)]),
        };
        let jitter_s = if rng.u8(..4) == 0 { 300 } else { 0 };
        Self { name: format!("s{number}"), times, zone: ZONES[rng.usize(..6)], jitter_s, skips: number % 20 == 19 }
    }

    /// The schedule as a user writes it. After days without a hub, everything is caught up.
    pub(super) fn json(&self) -> String {
        let list = |numbers: &[i8]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let star = |numbers: &[i8]| if numbers.is_empty() { "*".to_owned() } else { list(numbers) };
        let one = |number: &Option<i8>| number.map_or("*".to_owned(), |number| number.to_string());
        let times = match &self.times {
            Times::Every(ms) => format!(r#""every": "{}m""#, ms / MINUTE),
            Times::Cron { minutes, hours, day, month, weekdays } => {
                let (minutes, hours, weekdays) = (list(minutes), list(hours), star(weekdays));
                format!(r#""cron": "{minutes} {hours} {} {} {weekdays}""#, one(day), one(month))
            }
        };
        format!(
            r#"{{"pipeline": "p", "params": {{"day": "x"}}, {times}, "timezone": "{}", "jitter": "{}s",
                "overlap": "{}", "catch_up": "all:100"}}"#,
            self.zone,
            self.jitter_s,
            if self.skips { "skip" } else { "allow" },
        )
    }

    /// The runs of the year.
    pub(super) fn runs(&self) -> Vec<RunId> {
        let mut due = self.due_times();
        due.sort_unstable();
        due.dedup();
        // after its random delay, which the last due times of the year may not have had
        due.retain(|due| *due > START && *due <= END - self.jitter_s * 1_000);
        if self.skips {
            due.truncate(1);
        }
        let run = |due: i64| RunId(Uuid::new_v5(&NAMESPACE, format!("{}\0{due}", self.name).as_bytes()));
        due.into_iter().map(run).collect()
    }

    fn due_times(&self) -> Vec<i64> {
        match &self.times {
            Times::Every(ms) => (START / ms..=END / ms).map(|number| number * ms).collect(),
            Times::Cron { minutes, hours, day, month, weekdays } => {
                let zone = TimeZoneDatabase::bundled().get(self.zone).expect("a zone");
                let days = (0..370).map(|number| date(2027, 6, 29) + number.days());
                let fits = |date: &Date| {
                    day.is_none_or(|day| day == date.day())
                        && month.is_none_or(|month| month == date.month())
                        && (weekdays.is_empty() || weekdays.contains(&date.weekday().to_sunday_zero_offset()))
                };
                let minutes = |date: Date| {
                    hours.iter().flat_map(move |hour| minutes.iter().map(move |minute| date.at(*hour, *minute, 0, 0)))
                };
                let all = days.filter(fits).flat_map(minutes);
                all.map(|local| first_minute(local, &zone)).collect()
            }
        }
    }
}

/// Returns the first minute at which a clock of the zone shows this time or a later one.
fn first_minute(local: jiff::civil::DateTime, zone: &TimeZone) -> i64 {
    let as_utc = TimeZone::UTC.to_timestamp(local).expect("a time").as_millisecond();
    let offset = |at: i64| {
        let at = Timestamp::from_millisecond(at).expect("a time");
        i64::from(zone.to_offset(at).seconds()) * 1_000
    };
    let day = 86_400_000;
    let mut at = as_utc - offset(as_utc - day).max(offset(as_utc + day));
    while at + offset(at) < as_utc {
        at += MINUTE;
    }
    at
}
