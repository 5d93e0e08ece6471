use serde_json::json;

use super::*;

const SECOND: i64 = 1_000_000;

fn job() -> ExportJob {
    let id = ExportJobId::from_random([7; 16]);
    ExportJob::new(id, "adm:asha".to_owned(), r#"{"mode":"records"}"#.to_owned(), 0)
}

fn result() -> ExportResult {
    ExportResult {
        bytes: 4_096,
        rows_written: 95,
        rows_suppressed: 5,
        information_loss_ppm: Some(123_456),
        levels: Map::from_iter([("place".to_owned(), json!("state"))]),
        left_out: vec![LeftOutClasses {
            levels: Map::from_iter([("place".to_owned(), json!("region"))]),
            classes: vec![3, u64::MAX],
        }],
        expires_at: 86_400 * SECOND,
    }
}

fn progress(stage: ExportStage, steps_done: u64, steps: u64) -> ExportProgress {
    ExportProgress { stage, steps_done, steps, rows_scanned: 100, rows_written: 0, rows_suppressed: 0 }
}

/// Returns a job in each state, by the name of the state.
fn in_each_state() -> Vec<ExportJob> {
    let mut running = job();
    running.start(ExportBackend::Cpu, 2 * SECOND).expect("queued");
    running.advance(progress(ExportStage::Writing, 1, 2), ExportBackend::Cuda);
    let with = |change: &dyn Fn(&mut ExportJob)| {
        let mut job = running.clone();
        change(&mut job);
        job
    };
    let done = with(&|job| job.finish(result(), 3 * SECOND).expect("running"));
    let failed = with(&|job| job.fail("no row matches", 3 * SECOND).expect("running"));
    let cancelled = with(&|job| job.cancel(3 * SECOND).expect("running"));
    let interrupted = with(&|job| job.restarted(3 * SECOND));
    vec![job(), running, done, failed, cancelled, interrupted]
}

#[test]
fn a_job_only_goes_forwards() {
    let states: Vec<_> = in_each_state().iter().map(ExportJob::state).collect();
    assert_eq!(states, JobState::ALL);
    for job in in_each_state() {
        let accepted = |change: &dyn Fn(&mut ExportJob) -> Result<(), JobTransition>| {
            let mut changed = job.clone();
            let result = change(&mut changed);
            assert!(result.is_ok() || changed == job, "a refused change changes nothing");
            result.is_ok()
        };
        let by_change = [
            accepted(&|job| job.start(ExportBackend::Cpu, 9)),
            accepted(&|job| job.finish(result(), 9)),
            accepted(&|job| job.fail("", 9)),
            accepted(&|job| job.cancel(9)),
        ];
        let expected = match job.state() {
            JobState::Queued => [true, false, true, true],
            JobState::Running => [false, true, true, true],
            _ => [false; 4],
        };
        assert_eq!(by_change, expected, "{}", job.state().name());
        let mut deleted = job.clone();
        deleted.delete_file(9);
        assert_eq!(deleted.state(), job.state());
        assert_eq!(deleted.result().map(|result| result.expires_at), job.result().map(|_| 9));
        let mut restarted = job.clone();
        restarted.restarted(9);
        assert_eq!(restarted != job, job.state() == JobState::Running);
        let mut advanced = job.clone();
        advanced.advance(progress(ExportStage::Grouping, 0, 0), ExportBackend::Cpu);
        assert_eq!(advanced != job, job.state() == JobState::Running);
    }
}

#[test]
fn a_job_is_stored_whole() {
    for job in in_each_state() {
        let stored = job.to_record();
        assert!(stored.len() < 1_000);
        assert_eq!(ExportJob::from_record(job.id, &stored).expect("its own form"), job);
        assert!(ExportJob::from_record(job.id, &stored[1..]).is_err());
    }
    let other = String::from_utf8(job().to_record()).expect("JSON").replace("\"form\":1", "\"form\":2");
    assert!(ExportJob::from_record(job().id, other.as_bytes()).is_err());
}

#[test]
fn the_status_has_what_the_state_gives() {
    let jobs = in_each_state();
    assert_eq!(
        jobs[1].to_json(82 * SECOND),
        json!({
            "job_id": "exp_07070707070707070707070707070707", "state": "running", "stage": "writing", "percent": 82,
            "eta_seconds": 18, "backend": "cuda", "created_at": "1970-01-01T00:00:00Z",
            "started_at": "1970-01-01T00:00:02Z", "request": {"mode": "records"},
            "rows_scanned": 100, "rows_written": 0, "rows_suppressed": 0,
        })
    );
    let done = jobs[2].to_json(9 * SECOND);
    assert_eq!(
        (&done["percent"], &done["rows_written"], &done["rows_suppressed"]),
        (&json!(100), &json!(95), &json!(5))
    );
    assert_eq!((&done["levels"], &done["information_loss_ppm"]), (&json!({"place": "state"}), &json!(123_456)));
    assert_eq!(done["expires_at"], "1970-01-02T00:00:00Z");
    assert_eq!((done.get("stage"), done.get("eta_seconds")), (None, None));
    assert_eq!(jobs[3].to_json(9 * SECOND)["error"], "no row matches");
    assert_eq!(jobs[4].to_json(9 * SECOND).get("levels"), None);
}

#[test]
fn the_percentage_never_falls_from_a_stage_to_the_next() {
    let mut last = 0;
    for stage in ExportStage::ALL {
        for done in 0..=10 {
            let percent = progress(stage, done, 10).percent();
            assert!((last..100).contains(&percent), "{}", stage.name());
            last = percent;
        }
        assert!(progress(stage, 0, 0).percent() <= last, "steps that are not known");
    }
    assert_eq!((job().percent(), job().eta_seconds(9)), (0, None));
}

#[test]
fn a_failed_job_looks_the_same_however_far_it_came() {
    let failed_in = |stage, steps_done| {
        let mut job = job();
        job.start(ExportBackend::Cpu, SECOND).expect("queued");
        job.advance(progress(stage, steps_done, 10), ExportBackend::Cpu);
        job.fail("refused", 2 * SECOND).expect("running");
        (job.to_json(3 * SECOND), job.to_record())
    };
    let first = failed_in(ExportStage::Scanning, 0);
    assert_eq!((&first.0["percent"], &first.0["rows_scanned"]), (&json!(0), &json!(100)));
    for stage in ExportStage::ALL {
        assert_eq!(failed_in(stage, 7), first, "{}", stage.name());
    }
}

#[test]
fn what_is_left_is_not_guessed_while_the_steps_of_a_stage_are_not_known() {
    let mut job = job();
    job.start(ExportBackend::Cpu, SECOND).expect("queued");
    job.advance(progress(ExportStage::Searching, 3, 0), ExportBackend::Cpu);
    assert_eq!((job.percent(), job.eta_seconds(90 * SECOND)), (15, None));
    job.advance(progress(ExportStage::Searching, 3, 4), ExportBackend::Cpu);
    assert_eq!((job.percent(), job.eta_seconds(46 * SECOND)), (45, Some(55)));
}
