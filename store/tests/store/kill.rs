//! SIGKILL of a process that has the store open: at any moment, including start-ups, checkpoints and erasures.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::kit::erasing::{check_key_is_gone, check_user, erasing_record, finish_erasures, is_erased_often};
use crate::kit::{check_history, open, options, seed, try_open, user};

const DIRECTORY: &str = "STORE_TEST_KILL_DIRECTORY";
const USERS: usize = 40;

fn body(number: usize, sequence: u64) -> Vec<u8> {
    format!("{number}/{sequence}").repeat(1 + number * 3).into_bytes()
}

/// Is the process that is killed, and not a test by itself. It appends until then, and prints what was acknowledged.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let mut options = options(Path::new(&dir));
    options.checkpoint_interval = Duration::from_millis(5);
    let mut store = try_open(options, u64::from(std::process::id())).expect("the store opens");
    let mut next: Vec<u64> = (0..USERS).map(|number| check_user(&store, number, body, "the child") + 1).collect();
    for round in 0.. {
        let group: Vec<_> = (0..USERS)
            .filter(|number| (number + round) % 3 != 0)
            .map(|number| erasing_record(number, next[number], body(number, next[number])))
            .collect();
        let results = store.journal.append(&group).expect("taken");
        let rows: Vec<_> = results.into_iter().map(|row| row.expect("in sequence")).collect();
        finish_erasures(&store, &group, &rows);
        let mut line = String::new();
        for record in &group {
            let number = (0..USERS).find(|number| user(*number) == record.user).expect("one of ours");
            next[number] += 1;
            line += &format!("ack {number} {}\n", record.sequence);
        }
        std::io::stdout().write_all(line.as_bytes()).expect("the parent reads");
    }
}

fn kill_rounds(rounds: usize, longest: Duration) {
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = [0; USERS];
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "kill::child", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut stdout = child.stdout.take().expect("a pipe");
        let reader = thread::spawn(move || {
            let mut output = String::new();
            stdout.read_to_string(&mut output).expect("text");
            output
        });
        thread::sleep(longest.mul_f64(random.random()));
        let early = child.try_wait().expect("a status");
        assert!(early.is_none(), "round {round}: the child ended by itself: {early:?}");
        child.kill().expect("killed");
        child.wait().expect("ended");
        for line in reader.join().expect("read").lines() {
            let words: Vec<_> = line.split(' ').collect();
            if let ["ack", number, sequence] = words[..] {
                // The last line may be incomplete.
                let (Ok(number), Ok(sequence)) = (number.parse::<usize>(), sequence.parse::<u64>()) else { continue };
                if sequence == acknowledged[number] + 1 {
                    acknowledged[number] = sequence;
                }
            }
        }
        let store = open(dir.path());
        for (number, acknowledged) in acknowledged.iter_mut().enumerate() {
            let what = format!("round {round}");
            let found = check_user(&store, number, body, &what);
            assert!(found >= *acknowledged, "{what}: user {number} lost acknowledged records");
            check_key_is_gone(dir.path(), &store, number, *acknowledged, &what);
            if !is_erased_often(number) {
                check_history(&store, number, &what);
            }
            // Records whose acknowledgement was not printed may be there, and then have to stay.
            *acknowledged = found;
        }
    }
    assert!(acknowledged.iter().sum::<u64>() > 0 || longest < Duration::from_millis(100));
}

#[test]
fn a_kill_under_load_and_checkpoints_loses_nothing() {
    kill_rounds(15, Duration::from_millis(700));
}

#[test]
fn a_kill_during_start_up_loses_nothing() {
    kill_rounds(15, Duration::from_millis(60));
}
