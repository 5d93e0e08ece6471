//! Renders the report as text.

use super::{Goal, GoalStatus, Report};
use std::fmt::Write;

/// Renders the whole report.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    for scenario in &report.scenarios {
        let rows = scenario.figures.iter().map(|figure| {
            let measured = quantity(figure.value, figure.unit);
            let (goal, status) = match figure.goal {
                Some(goal) => (goal_text(goal, figure.unit), status_text(goal.status(figure.value))),
                None => (String::new(), ""),
            };
            [figure.what.clone(), measured, goal, status.to_owned()]
        });
        table(&mut out, &scenario.scenario, ["", "measured", "goal", ""], rows.collect());
    }
    let rows = report.promises.iter().map(|promise| {
        let measured = promise.measured.map_or_else(|| "not measured".to_owned(), |it| quantity(it, promise.unit));
        let status = promise.measured.map_or("", |it| status_text(promise.goal.status(it)));
        [promise.what.clone(), measured, goal_text(promise.goal, promise.unit), status.to_owned()]
    });
    if !report.promises.is_empty() {
        table(&mut out, "targets of the original design", ["", "measured", "target", ""], rows.collect());
    }
    let _ = writeln!(
        out,
        "{} cores, shared by the server and this generator. In open loops, latency counts from when a request was due.",
        report.cores
    );
    out
}

fn status_text(status: GoalStatus) -> &'static str {
    match status {
        GoalStatus::Met => "met",
        GoalStatus::WithinTwo => "within 2 ×",
        GoalStatus::Missed => "missed",
    }
}

fn goal_text(goal: Goal, unit: &str) -> String {
    match goal {
        Goal::AtLeast(value) => format!("≥ {}", quantity(value, unit)),
        Goal::AtMost(value) | Goal::NotAbove(value) => format!("≤ {}", quantity(value, unit)),
    }
}

/// Formats a number with three or four significant digits, and its unit.
fn quantity(value: f64, unit: &str) -> String {
    let mut text = match value.abs() {
        0.0 => "0".to_owned(),
        100.0.. => grouped(value),
        10.0..100.0 => trimmed(&format!("{value:.1}")),
        0.01..10.0 => trimmed(&format!("{value:.3}")),
        _ => format!("{value:.2e}"),
    };
    if !unit.is_empty() {
        text.push(' ');
        text.push_str(unit);
    }
    text
}

/// Removes trailing zeros: 0.900 becomes 0.9.
fn trimmed(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Groups digits: 1234567 becomes 1,234,567.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn table(out: &mut String, title: &str, heads: [&str; 4], rows: Vec<[String; 4]>) {
    let mut widths = heads.map(|head| head.chars().count());
    widths[0] = widths[0].max(title.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [first, second, third, _] = widths;
    let _ = writeln!(out, "{title:<first$}  {:>second$}  {:>third$}  {}", heads[1], heads[2], heads[3]);
    let _ = writeln!(out, "{}", "─".repeat(widths.iter().sum::<usize>() + 6));
    for [what, measured, goal, status] in rows {
        let line = format!("{what:<first$}  {measured:>second$}  {goal:>third$}  {status}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_the_digits_that_matter() {
        let shown = [0.0, 0.000_002, 0.0123, 0.9, 10.0, 42.25, 999.6, 1_234_567.0].map(|value| quantity(value, ""));
        assert_eq!(shown, ["0", "2.00e-6", "0.012", "0.9", "10", "42.2", "1,000", "1,234,567"]);
        assert_eq!(quantity(-1_234.0, "ms"), "-1,234 ms");
    }
}
