//! Posts new events while the demo runs, some of them about the sample citizen.

use std::time::{Duration, Instant};

use data::GeneratedEvent;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::super::output::{error_line, print_error};
use super::server::DemoServer;
use super::state::{DemoState, NewEventCount};
use crate::wiring;

/// The sample citizen gets at most one event in this many, and at most one a second.
const SAMPLE_CITIZEN_EVERY: u32 = 4;
/// How often the events that are due are posted.
const POST_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum number of events to post at a time. The others that are due are skipped.
const MAX_BATCH_EVENTS: usize = 1_000;
/// How often new tokens are written. The shortest are valid for an hour.
const TOKEN_INTERVAL: Duration = Duration::from_secs(1_800);
/// How often the number of posted events is saved.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait after an error.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Posts events until the future is dropped. Errors of a feed are printed, and do not end it.
pub(super) async fn post_new_events(server: &DemoServer, state: &mut DemoState) -> anyhow::Result<()> {
    let (mut tokens, mut signed_at) = (server.sign_tokens()?, Instant::now());
    let (mut count, mut saved_at) = (state.new_events(), Instant::now());
    let mut ticks = interval(POST_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (started, mut posted) = (Instant::now(), 0);
    loop {
        ticks.tick().await;
        if signed_at.elapsed() > TOKEN_INTERVAL {
            (tokens, signed_at) = (server.sign_tokens()?, Instant::now());
            tokens.write(&server.settings, server.listen, &server.sample_citizen.id)?;
        }
        let due = (started.elapsed().as_secs_f64() * f64::from(server.events_per_second)) as u64;
        let mut count_after = count;
        let numbers = (posted..due).take(MAX_BATCH_EVENTS);
        let events: Vec<_> = numbers.filter_map(|number| next_event(server, number, &mut count_after)).collect();
        match server.post(events.into_iter(), &tokens).await {
            Ok(_) => count = count_after,
            // The count stays, so the same events are posted again. Those that were applied change nothing then.
            Err(error) => {
                print_error(&format!("could not post the demo's events: {}", error_line(&error)));
                sleep(RETRY_DELAY).await;
            }
        }
        posted = due;
        if saved_at.elapsed() > SAVE_INTERVAL {
            state.set_new_events(count)?;
            saved_at = Instant::now();
        }
    }
}

/// Makes the event with this number since the start, or none where it would be about the sample citizen's consent, which
/// belongs to the visitor, or about the sample citizen out of its own turn.
fn next_event(server: &DemoServer, number: u64, count: &mut NewEventCount) -> Option<GeneratedEvent> {
    let every = u64::from(server.events_per_second.max(SAMPLE_CITIZEN_EVERY));
    let (sample, users) = (server.sample_citizen.index, server.population.users());
    let is_sample_turn = number.is_multiple_of(every);
    let turn = if is_sample_turn { &mut count.sample_citizen } else { &mut count.everybody };
    let (index, change) = if is_sample_turn { (sample, *turn) } else { (*turn % users, *turn / users) };
    *turn += 1;
    let history = server.population.traffic(server.history_events);
    let event = history.later_change(index, change, wiring::wall_clock().now_micros());
    let is_skipped = index == sample && (!is_sample_turn || event.source == "consent");
    (!is_skipped).then_some(event)
}
