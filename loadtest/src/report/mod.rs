//! The report: measured figures and their goals.

pub(crate) mod promises;
mod table;

pub(crate) use table::grouped;

use crate::exposition::Exposition;
use serde::Serialize;
use serde_json::Value;

/// The goal for a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// The figure should be at least this.
    AtLeast(f64),
    /// The figure should be at most this.
    AtMost(f64),
    /// The figure should be at most this, and a figure above it counts as missed even within a factor of two. For
    /// shares.
    NotAbove(f64),
}

/// Whether a figure meets its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GoalStatus {
    /// The goal is reached.
    Met,
    /// The goal is missed by less than a factor of two.
    WithinTwo,
    /// The goal is missed by more.
    Missed,
}

impl Goal {
    /// Compares a figure with the goal.
    #[must_use]
    pub(crate) fn status(self, value: f64) -> GoalStatus {
        let (met, within_two) = match self {
            Self::AtLeast(goal) => (value >= goal, value * 2.0 >= goal),
            Self::AtMost(goal) => (value <= goal, value <= goal * 2.0),
            Self::NotAbove(goal) => (value <= goal, false),
        };
        match (met, within_two) {
            (true, _) => GoalStatus::Met,
            (false, true) => GoalStatus::WithinTwo,
            (false, false) => GoalStatus::Missed,
        }
    }
}

/// A measured number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: String,
    pub(crate) value: f64,
    /// Its unit; empty for ratios and counts.
    pub(crate) unit: &'static str,
    /// The goal, if there is one.
    pub(crate) goal: Option<Goal>,
}

/// The results of one scenario.
#[derive(Serialize)]
pub(crate) struct ScenarioReport {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The figures, in the order of the report.
    pub(crate) figures: Vec<Figure>,
    /// Details for the JSON file: settings, series over time, latency summaries.
    pub(crate) details: Value,
    /// The server's metrics at the end of the scenario.
    #[serde(skip)]
    pub(crate) exposition: Exposition,
}

impl ScenarioReport {
    pub(crate) fn new(scenario: &str) -> Self {
        let details = Value::Object(serde_json::Map::new());
        Self { scenario: scenario.to_owned(), figures: Vec::new(), details, exposition: Exposition::default() }
    }

    /// Adds a figure without a goal.
    pub(crate) fn figure(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { what: what.into(), value, unit, goal: None });
    }

    /// Adds a figure with a goal.
    pub(crate) fn goal(&mut self, what: impl Into<String>, value: f64, unit: &'static str, goal: Goal) {
        self.figures.push(Figure { what: what.into(), value, unit, goal: Some(goal) });
    }

    /// Adds a detail for the JSON file.
    pub(crate) fn detail(&mut self, name: &str, value: impl Serialize) {
        self.details[name] = serde_json::to_value(value).unwrap_or_default();
    }
}

/// The whole report.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Number of cores, which the server and the generator share.
    pub(crate) cores: usize,
    /// The results of each scenario.
    #[serde(rename = "outcomes")]
    pub(crate) scenarios: Vec<ScenarioReport>,
    /// The targets that the original design named for itself.
    pub(crate) promises: Vec<promises::Promise>,
}

impl Report {
    /// Makes a report of the scenarios that were run.
    #[must_use]
    pub(crate) fn new(scenarios: Vec<ScenarioReport>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores, promises: promises::from_reports(&scenarios), scenarios }
    }

    /// Renders the report as text.
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
        let statuses = [39.0, 40.0, 20.0, 19.9].map(|value| Goal::AtLeast(40.0).status(value));
        assert_eq!(statuses, [GoalStatus::WithinTwo, GoalStatus::Met, GoalStatus::WithinTwo, GoalStatus::Missed]);
        let statuses = [10.0, 10.1, 20.0, 20.1].map(|value| Goal::AtMost(10.0).status(value));
        assert_eq!(statuses, [GoalStatus::Met, GoalStatus::WithinTwo, GoalStatus::WithinTwo, GoalStatus::Missed]);
        let statuses = [0.6, 0.61].map(|value| Goal::NotAbove(0.6).status(value));
        assert_eq!(statuses, [GoalStatus::Met, GoalStatus::Missed]);
    }

    #[test]
    fn the_report_shows_figures_goals_and_what_could_not_be_measured() {
        let mut report = ScenarioReport::new("post");
        report.goal("one-event POSTs", 12_500.0, "/s", Goal::AtLeast(25_000.0));
        report.figure("p50", 0.123_4, "ms");
        let text = Report::new(vec![report]).text();
        assert!(text.contains("one-event POSTs"), "{text}");
        assert!(text.contains("12,500 /s") && text.contains("≥ 25,000 /s") && text.contains("within 2 ×"), "{text}");
        assert!(text.contains("0.123 ms"), "{text}");
        assert!(text.contains("encryption") && text.contains("not measured"), "{text}");
    }
}
