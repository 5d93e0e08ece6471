//! Measures how long the columns take to be filled at a start: by a scan of all users, and from what a checkpoint saved.
//!
//! ```text
//! cargo run --release -p actors --example columns_fill -- 100000
//! ```
//!
//! The argument is the number of users, whose first events are stored before. Times are printed per million users.
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

#[path = "../merge_bench/ports.rs"]
mod ports;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actors::{Options, Ports, Profiles};
use domain::day::Day;
use domain::id::ProfileId;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::port::clock::Entropy;
use domain::port::journal::Record;
use domain::record::Replay;
use domain::splitmix64::mix;
use store::{MasterKey, Store, StoreOptions};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes that look random.
#[derive(Default)]
struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = mix(self.0.fetch_add(1, Ordering::Relaxed));
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }
}

fn main() -> io::Result<()> {
    let users: u64 = std::env::args().nth(1).and_then(|users| users.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir()?;
    store_users(directory.path(), users)?;
    for name in ["scan of all users", "saved columns"] {
        let store = open(directory.path())?;
        actix_rt::System::new().block_on(fill(name, store, users))?;
    }
    Ok(())
}

fn open(directory: &Path) -> io::Result<Store> {
    let options = StoreOptions {
        checkpoint_interval: Duration::from_secs(86_400),
        checkpoint_users_per_second: 0,
        checkpoint_stop: Duration::from_secs(86_400),
        dictionaries: data::STATE_DICTIONARIES.map(<[u8]>::to_vec).to_vec(),
        ..StoreOptions::new(directory)
    };
    let entropy = Arc::new(CountingEntropy::default());
    store::open(options, &MasterKey::new(1, [1; 32]), Arc::new(Replay), entropy).map_err(io::Error::other)
}

/// Stores users, all in a checkpoint.
fn store_users(directory: &Path, users: u64) -> io::Result<()> {
    let mut store = open(directory)?;
    let (rules, population) = (ports::rules(), ports::population(users));
    let day = Day::at(ports::NOW, &rules.zone);
    let context = AssemblyContext { rules: &rules, rules_fingerprint: rules.fingerprint(), policy_version: 1, day };
    let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] };
    let mut group: Vec<Record> = Vec::new();
    for index in 0..users {
        let mut state = None;
        for event in population.first_events(index) {
            let event = ports::accept(&event, &rules);
            if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
                let finished = change.finish(&event.user, ports::NOW, 1);
                group.push(finished.record);
                state = Some(finished.state);
            }
        }
        if group.len() >= 4_000 || index + 1 == users {
            store.journal.append(&group).map_err(io::Error::other)?;
            group.clear();
        }
    }
    store.closer.close().map_err(io::Error::other)
}

async fn fill(name: &str, store: Store, users: u64) -> io::Result<()> {
    let ports = Ports {
        journal: store.journal,
        store: store.reader,
        projections: store.projections,
        log: store.log,
        ..ports::ports()
    };
    let started = Instant::now();
    let profiles = Profiles::start(Options::default(), ports)?;
    let columns = profiles.columns();
    while !columns.is_ready() {
        actix_rt::time::sleep(Duration::from_millis(1)).await;
    }
    print(name, started.elapsed(), users);
    let (started, mut opted_in) = (Instant::now(), 0);
    if let Some(snapshot) = columns.snapshot() {
        snapshot.visit(|_, rows| opted_in += rows.iter().filter(|row| row.is_opted_in()).count());
    }
    print(&format!("snapshot, {opted_in} opted in"), started.elapsed(), users);
    store.closer.save_projection(profiles.columns_to_save());
    profiles.stop().await;
    let started = Instant::now();
    store.closer.close().map_err(io::Error::other)?;
    print("clean stop", started.elapsed(), users);
    Ok(())
}

fn print(name: &str, took: Duration, users: u64) {
    let millis = took.as_secs_f64() * 1e3;
    println!("{name}: {millis:.0} ms, {:.0} ms per million users", millis * 1e6 / users as f64);
}
