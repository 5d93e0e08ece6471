//! Bytes of stored forms, and of users in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actors::columns::ColumnStore;
use domain::event::FeedEvent;
use domain::port::journal::RowId;
use domain::record;
use domain::state::UserState;

use super::ALLOCATOR;
use super::guard::chain::{advance, context};
use super::guard::live;
use super::ports::{accept, population, rules};

/// Number of users whose stored form is measured.
const STORED_USERS: u64 = 2_000;
/// Number of users in memory.
const LIVE_USERS: u64 = 1_000;
/// Number of updates of each: those of two months.
const UPDATES: u64 = 120;
/// Rows of the columns.
const ROWS: u32 = 1_000_000;
/// Users in one group of events.
const GROUP: usize = 50;

/// Prints all sizes. `frames` are the bytes of single frames.
///
/// # Errors
/// A thread could not be started.
pub(super) fn print(frames: Vec<u64>) -> io::Result<()> {
    print_distribution("frame", frames);
    print_distribution("packed state", packed_states());
    let system = actix_rt::System::new();
    let (users, hot) = (LIVE_USERS as usize, LIVE_USERS as usize);
    println!("bytes {:.0} live actor", system.block_on(live_bytes(users, hot))?);
    println!("bytes {:.0} warm user", system.block_on(live_bytes(users, 1))?);
    println!("bytes {:.2} row of the columns", row_bytes());
    Ok(())
}

fn print_distribution(name: &str, mut bytes: Vec<u64>) {
    bytes.sort_unstable();
    let mean = bytes.iter().sum::<u64>() as f64 / bytes.len() as f64;
    println!("bytes {mean:.0} {name}, mean");
    println!("bytes {} {name}, median", bytes[bytes.len() / 2]);
}

fn packed_states() -> Vec<u64> {
    let rules = rules();
    let context = context(&rules);
    let packed = events(STORED_USERS).map(|events| {
        let mut state: Option<Arc<UserState>> = None;
        for event in events {
            advance(&mut state, &event, &context);
        }
        state.map_or(0, |state| record::pack(&state).len() as u64)
    });
    packed.collect()
}

/// Returns the events of each of so many users.
fn events(users: u64) -> impl Iterator<Item = Vec<FeedEvent>> {
    let (rules, population) = (rules(), population(users));
    (0..users).map(move |index| {
        let first = population.first_events(index).into_iter();
        let all = first.chain((0..UPDATES).map(|n| population.update(index, n)));
        all.map(|event| accept(&event, &rules)).collect()
    })
}

/// Returns the bytes for each of so many users in memory, `hot` of which have an actor.
async fn live_bytes(users: usize, hot: usize) -> io::Result<f64> {
    let profiles = live::start(hot)?;
    // The rows of the columns are counted apart: a chunk of them has room for more users than there are here.
    profiles.columns().erase(RowId(0), 0, 0);
    let before = allocated();
    let mut events = events(users as u64);
    loop {
        let group: Vec<Vec<FeedEvent>> = events.by_ref().take(GROUP).collect();
        if group.is_empty() {
            break;
        }
        let longest = group.iter().map(Vec::len).max().unwrap_or(0);
        for n in 0..longest {
            live::submit(&profiles, group.iter().filter_map(|events| events.get(n).cloned()).collect()).await;
        }
    }
    drop(events);
    // The last actors may still be ending, and the two numbers are not read at one moment.
    loop {
        let counters = profiles.observe().await;
        if counters.live_actors + counters.warm_users == users {
            break;
        }
        actix_rt::time::sleep(Duration::from_millis(1)).await;
    }
    let bytes = allocated().saturating_sub(before) as f64 / users as f64;
    profiles.stop().await;
    Ok(bytes)
}

/// Returns the bytes of a row of the columns, its share of their tables included.
fn row_bytes() -> f64 {
    let before = allocated();
    let columns = ColumnStore::default();
    (0..ROWS).for_each(|row| columns.erase(RowId(row), 1, 1));
    allocated().saturating_sub(before) as f64 / f64::from(ROWS)
}

/// Returns the bytes that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}
