//! The report as text.

use super::{Goal, Report, Verdict};
use std::fmt::Write;

/// Renders everything.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    for outcome in &report.outcomes {
        let rows = outcome.figures.iter().map(|figure| {
            let measured = quantity(figure.value, figure.unit);
            let (goal, verdict) = match figure.goal {
                Some(goal) => (wanted(goal, figure.unit), said(goal.verdict(figure.value))),
                None => (String::new(), ""),
            };
            [figure.what.clone(), measured, goal, verdict.to_owned()]
        });
        table(&mut out, &outcome.scenario, ["", "measured", "goal", ""], rows.collect());
    }
    let rows = report.promises.iter().map(|promise| {
        let measured = promise.measured.map_or_else(|| "not measured here".to_owned(), |it| quantity(it, promise.unit));
        let verdict = promise.measured.map_or("", |it| said(promise.goal.verdict(it)));
        [promise.what.clone(), measured, wanted(promise.goal, promise.unit), verdict.to_owned()]
    });
    if !report.promises.is_empty() {
        table(&mut out, "the original design's own promises", ["", "measured", "promised", ""], rows.collect());
    }
    let _ = writeln!(
        out,
        "{} cores, shared by the server and this generator. Latencies of open loops count from when a request was due.",
        report.cores
    );
    out
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::WithinTwo => "within 2 ×",
        Verdict::Missed => "missed",
    }
}

fn wanted(goal: Goal, unit: &str) -> String {
    match goal {
        Goal::AtLeast(value) => format!("≥ {}", quantity(value, unit)),
        Goal::AtMost(value) | Goal::NotAbove(value) => format!("≤ {}", quantity(value, unit)),
    }
}

/// A number with three or four digits that say something, and its unit.
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

/// 0.900 as 0.9.
fn trimmed(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 1234567 as 1,234,567.
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
    for [what, measured, goal, verdict] in rows {
        let line = format!("{what:<first$}  {measured:>second$}  {goal:>third$}  {verdict}");
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
