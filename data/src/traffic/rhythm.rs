//! When events happen and when they arrive: the rhythm of day and week in India, and the delays of sources. All figures
//! are assumed.

use crate::day::{DAY, Day, HOUR, MINUTE, SECOND};
use crate::random::Random;

/// Events by hour of the day in India: offices open at ten, people are back at their phones in the evening.
pub(crate) const BY_HOUR: [f64; 24] = [
    8.0, 5.0, 3.0, 3.0, 4.0, 8.0, 16.0, 30.0, 48.0, 70.0, 92.0, 98.0, 90.0, 72.0, 74.0, 82.0, 84.0, 76.0, 72.0, 80.0,
    78.0, 60.0, 36.0, 18.0,
];

/// Events by day of the week in India, Monday first: offices are closed on Sundays, and many on Saturdays.
pub(crate) const BY_WEEKDAY: [f64; 7] = [100.0, 96.0, 94.0, 94.0, 90.0, 66.0, 40.0];

/// Maximum number of draws of a day; the last one is taken whatever its weight, since a span may consist of Sundays
/// only.
const DRAWS: usize = 8;

/// Draws a time between two, by the rhythms of the week and the day.
pub(crate) fn instant(from: i64, to: i64, random: &mut Random) -> i64 {
    let any = by_weekday(from, to, random);
    let of_day = random.weighted(&BY_HOUR) as i64 * HOUR + random.below(HOUR.unsigned_abs()) as i64;
    // On the first and the last day the result may fall outside the span; then the time drawn first is kept.
    let rhythmic = Day::from_micros(any).start() + of_day;
    if (from..to).contains(&rhythmic) { rhythmic } else { any }
}

/// Draws a time between two, by the rhythm of the week alone.
fn by_weekday(from: i64, to: i64, random: &mut Random) -> i64 {
    let busiest = BY_WEEKDAY.iter().copied().fold(0.0, f64::max);
    let mut any = from;
    for _ in 0..DRAWS {
        any = from + random.below(from.abs_diff(to).max(1)) as i64;
        if random.happens(BY_WEEKDAY[Day::from_micros(any).weekday()] / busiest) {
            break;
        }
    }
    any
}

/// Share of events that arrive hours or days late, for example from an office without a connection.
const STRAGGLERS: f64 = 0.02;

/// Draws how long a source takes to deliver, in microseconds.
pub(crate) fn delay(source: &str, random: &mut Random) -> i64 {
    let (least, most) = match source {
        _ if random.happens(STRAGGLERS) => (6 * HOUR, 5 * DAY),
        "self" | "consent" => (SECOND / 5, 3 * SECOND),
        "identity" | "deadlines" => (SECOND, MINUTE),
        // Departments send batches a few times a day.
        "schemes" => (MINUTE, 3 * HOUR),
        "metadata" => (10 * SECOND, 6 * HOUR),
        _ => (5 * SECOND, 15 * MINUTE),
    };
    random.log_between(least as f64, most as f64) as i64
}
