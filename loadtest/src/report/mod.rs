//! What was measured, beside what was wanted.

pub(crate) mod promises;
mod table;

pub(crate) use table::grouped;

use crate::exposition::Exposition;
use serde::Serialize;
use serde_json::Value;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// This or less, and anything above is missed: for shares, of which the double says little.
    NotAbove(f64),
}

/// How a figure stands to its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The goal is reached.
    Met,
    /// Less than a factor of two is missing.
    WithinTwo,
    /// More is missing.
    Missed,
}

impl Goal {
    /// Compares.
    #[must_use]
    pub(crate) fn verdict(self, value: f64) -> Verdict {
        let (met, within_two) = match self {
            Self::AtLeast(goal) => (value >= goal, value * 2.0 >= goal),
            Self::AtMost(goal) => (value <= goal, value <= goal * 2.0),
            Self::NotAbove(goal) => (value <= goal, false),
        };
        match (met, within_two) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::WithinTwo,
            (false, false) => Verdict::Missed,
        }
    }
}

/// One number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: String,
    /// The number.
    pub(crate) value: f64,
    /// Its unit; empty for ratios and counts.
    pub(crate) unit: &'static str,
    /// What it should be, if anything is wanted of it.
    pub(crate) goal: Option<Goal>,
}

/// What a scenario gave.
#[derive(Serialize)]
pub(crate) struct Outcome {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The numbers, in the order of the report.
    pub(crate) figures: Vec<Figure>,
    /// Everything else: its settings, series over time, whole latency summaries.
    pub(crate) details: Value,
    /// The server's own metrics at the end.
    #[serde(skip)]
    pub(crate) exposition: Exposition,
}

impl Outcome {
    pub(crate) fn new(scenario: &str) -> Self {
        let details = Value::Object(serde_json::Map::new());
        Self { scenario: scenario.to_owned(), figures: Vec::new(), details, exposition: Exposition::default() }
    }

    /// Adds a number of which nothing is wanted.
    pub(crate) fn figure(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { what: what.into(), value, unit, goal: None });
    }

    /// Adds a number with its goal.
    pub(crate) fn goal(&mut self, what: impl Into<String>, value: f64, unit: &'static str, goal: Goal) {
        self.figures.push(Figure { what: what.into(), value, unit, goal: Some(goal) });
    }

    /// Keeps a detail for the JSON file.
    pub(crate) fn detail(&mut self, name: &str, value: impl Serialize) {
        self.details[name] = serde_json::to_value(value).unwrap_or_default();
    }
}

/// The whole report.
#[derive(Serialize)]
pub(crate) struct Report {
    /// How many cores the machine has; the generator takes its share of them.
    pub(crate) cores: usize,
    /// What each scenario gave.
    pub(crate) outcomes: Vec<Outcome>,
    /// The original design's own promises.
    pub(crate) promises: Vec<promises::Promise>,
}

impl Report {
    /// Puts the outcomes together.
    #[must_use]
    pub(crate) fn new(outcomes: Vec<Outcome>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores, promises: promises::of(&outcomes), outcomes }
    }

    /// The report for people.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        table::render(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_near_or_missed() {
        let verdicts = [39.0, 40.0, 20.0, 19.9].map(|value| Goal::AtLeast(40.0).verdict(value));
        assert_eq!(verdicts, [Verdict::WithinTwo, Verdict::Met, Verdict::WithinTwo, Verdict::Missed]);
        let verdicts = [10.0, 10.1, 20.0, 20.1].map(|value| Goal::AtMost(10.0).verdict(value));
        assert_eq!(verdicts, [Verdict::Met, Verdict::WithinTwo, Verdict::WithinTwo, Verdict::Missed]);
        let verdicts = [0.6, 0.61].map(|value| Goal::NotAbove(0.6).verdict(value));
        assert_eq!(verdicts, [Verdict::Met, Verdict::Missed]);
    }

    #[test]
    fn the_report_shows_figures_goals_and_what_could_not_be_measured() {
        let mut outcome = Outcome::new("post");
        outcome.goal("one-event POSTs", 12_500.0, "/s", Goal::AtLeast(25_000.0));
        outcome.figure("p50", 0.123_4, "ms");
        let text = Report::new(vec![outcome]).text();
        assert!(text.contains("one-event POSTs"), "{text}");
        assert!(text.contains("12,500 /s") && text.contains("≥ 25,000 /s") && text.contains("within 2 ×"), "{text}");
        assert!(text.contains("0.123 ms"), "{text}");
        assert!(text.contains("encryption") && text.contains("not measured here"), "{text}");
    }
}
