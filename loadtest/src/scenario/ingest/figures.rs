//! The figures of an ingest run, and their goals.

use super::samples::{memory_growth, slowest_tenth};
use super::{FloorSlice, IngestScenario, ServerRun};
use crate::report::{Goal, ScenarioReport};

const GOAL_RATE: Goal = Goal::AtLeast(0.15);
const GOAL_CPU: Goal = Goal::AtMost(8.0);
const GOAL_SLOWEST: Goal = Goal::AtLeast(0.8);
const GOAL_DISK_PER_EVENT: Goal = Goal::AtMost(400.0);
const GOAL_MEMORY_GROWTH: Goal = Goal::AtMost(1.1);
const GOAL_STOP_S: Goal = Goal::AtMost(5.0);

/// Adds all figures and details of a run.
pub(super) fn add(scenario: &IngestScenario, run: &ServerRun, slices: &[FloorSlice; 2], report: &mut ScenarioReport) {
    add_rates(run, slices, report);
    add_processor_time(run, slices, report);
    add_disk(scenario, run, slices, report);
    report.figure("memory (resident), peak", run.peak_memory as f64 / 1e6, "MB");
    if let Some(growth) = memory_growth(&run.samples) {
        report.goal("  at the end to the middle", growth, "", GOAL_MEMORY_GROWTH);
    }
    let how = if run.stopped.clean { "stopped after" } else { "killed, since it did not stop, after" };
    report.goal(how, run.stopped.took.as_secs_f64(), "s", GOAL_STOP_S);
    report.detail("settings", scenario);
    report.detail("tally", run.fed.tally);
    report.detail("first_rejection", &run.fed.first_rejection);
    report.detail("samples", &run.samples);
    report.detail("floor", slices);
}

fn add_rates(run: &ServerRun, slices: &[FloorSlice; 2], report: &mut ScenarioReport) {
    let (acknowledged, seconds) = (run.fed.tally.acknowledged() as f64, run.fed.took.as_secs_f64());
    let sum = FloorSlice::sum(slices);
    let (rate, floor) = (acknowledged / seconds, sum.rate());
    report.figure("durable events", rate, "/s");
    report.figure("  bare durable log, in the same run", floor, "/s");
    report.figure("    before", slices[0].rate(), "/s");
    report.figure("    after", slices[1].rate(), "/s");
    report.goal("  ratio to the bare log", rate / floor, "", GOAL_RATE);
    if let Some(slowest) = slowest_tenth(&run.samples) {
        report.figure("  in the slowest of ten parts", slowest, "/s");
        report.goal("  slowest part to the mean", slowest / rate, "", GOAL_SLOWEST);
    }
    report.figure("  acknowledged", acknowledged, "");
    report.figure("  distinct users", run.fed.users as f64, "");
    report.figure("  over", seconds, "s");
    report.goal("  busy", run.fed.tally.busy as f64, "", Goal::AtMost(0.0));
    report.goal("  rejected", run.fed.tally.rejected as f64, "", Goal::AtMost(0.0));
    report.figure("  mean event", run.fed.bytes as f64 / run.fed.sent as f64, "B");
    // The bare log gets further in the same events, and later rounds have smaller ones.
    report.figure("  mean event of the bare log", sum.bytes as f64 / sum.events as f64, "B");
}

fn add_processor_time(run: &ServerRun, slices: &[FloorSlice; 2], report: &mut ScenarioReport) {
    let (acknowledged, floor) = (run.fed.tally.acknowledged() as f64, FloorSlice::sum(slices));
    let per_event = |seconds: f64, events: f64| seconds * 1e6 / events;
    let cpu = per_event(run.cpu_s, acknowledged);
    let floor_cpu = per_event(floor.cpu_s, floor.events as f64);
    report.figure("processor time per event", cpu, "µs");
    report.figure("  with the last checkpoint", per_event(run.cpu_to_end_s, acknowledged), "µs");
    report.figure("  of the bare log", floor_cpu, "µs");
    report.goal("  ratio to the bare log", cpu / floor_cpu, "", GOAL_CPU);
    report.figure("  of this generator", per_event(run.own_cpu_s, acknowledged), "µs");
    report.figure("  of this generator, with the bare log", per_event(floor.own_cpu_s, floor.events as f64), "µs");
}

/// Disk per event is what was appended to the journal and what the store has grown by, beside an allowance for the
/// states of the users.
fn add_disk(scenario: &IngestScenario, run: &ServerRun, slices: &[FloorSlice; 2], report: &mut ScenarioReport) {
    let (acknowledged, floor) = (run.fed.tally.acknowledged() as f64, FloorSlice::sum(slices));
    let store = run.disk.used.saturating_sub(run.disk.journal);
    let states = run.fed.users * scenario.state_bytes;
    let beside_states = run.journal as f64 + store as f64 - states as f64;
    report.goal("disk per event, beside states", beside_states / acknowledged, "B", GOAL_DISK_PER_EVENT);
    report.figure("  journal, with removed segments", run.journal as f64 / acknowledged, "B");
    report.figure("  store, beside states", (store as f64 - states as f64) / acknowledged, "B");
    report.figure("  allowance for a user's state", scenario.state_bytes as f64, "B");
    report.figure("  written to the disk", run.written as f64 / acknowledged, "B");
    report.figure("  written by the bare log", floor.written as f64 / floor.events as f64, "B");
    report.figure("  left after the run", run.disk.used as f64 / 1e6, "MB");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskUsage;
    use crate::exposition::Exposition;
    use crate::scenario::feeding::FeedingResult;
    use crate::server::StopResult;
    use crate::tally::Tally;
    use std::time::Duration;

    fn run() -> ServerRun {
        let fed = FeedingResult {
            tally: Tally { applied: 900, unchanged: 100, ..Tally::default() },
            sent: 1_000,
            bytes: 450_000,
            users: 100,
            took: Duration::from_secs(10),
            per_second: Vec::new(),
            first_rejection: None,
        };
        ServerRun {
            fed,
            samples: Vec::new(),
            cpu_s: 0.02,
            cpu_to_end_s: 0.03,
            own_cpu_s: 0.001,
            journal: 300_000,
            written: 700_000,
            peak_memory: 0,
            disk: DiskUsage { used: 265_000, journal: 100_000, ..DiskUsage::default() },
            stopped: StopResult { took: Duration::from_secs(4), clean: true, peak_memory: 0 },
            exposition: Exposition::default(),
        }
    }

    #[test]
    fn the_server_is_compared_with_both_slices_and_states_do_not_count_as_disk_per_event() {
        let slice = |events, took_s| FloorSlice { events, took_s, cpu_s: 0.001, ..FloorSlice::default() };
        let text = crate::scenario::find("ingest").expect("built in").1;
        let Ok(crate::scenario::Scenario::Ingest(scenario)) = crate::scenario::Scenario::read(&text, false, &[]) else {
            panic!("an ingest scenario")
        };
        let mut report = ScenarioReport::new("ingest");
        add(&scenario, &run(), &[slice(300, 1.0), slice(700, 1.0)], &mut report);
        let figure =
            |what: &str| report.figures.iter().find(|figure| figure.what.trim() == what).expect("a figure").value;
        assert_eq!((figure("durable events"), figure("bare durable log, in the same run")), (100.0, 500.0));
        assert!((figure("processor time per event") - 20.0).abs() < 1e-9);
        let ratios: Vec<f64> =
            report.figures.iter().filter(|it| it.what == "  ratio to the bare log").map(|it| it.value).collect();
        assert!((ratios[0] - 0.2).abs() < 1e-9 && (ratios[1] - 10.0).abs() < 1e-9, "{ratios:?}");
        // 300,000 of the journal and 165,000 of the store, less 100 states of 650 bytes, for 1,000 events.
        assert!((figure("disk per event, beside states") - 400.0).abs() < 1e-9);
    }
}
