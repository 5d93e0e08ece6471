//! Posts the population's history through the feeds, as the source engines would.

use std::io::{IsTerminal, stderr};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output::print_notice;
use super::server::{DemoServer, FeedTally};
use super::tokens::Tokens;

/// Events to post between two moves of the progress bar.
const BATCH_EVENTS: usize = 1_000;

/// Posts the whole history. Returns a sentence for the banner.
pub(super) async fn post_history(server: &DemoServer, tokens: &Tokens) -> anyhow::Result<String> {
    let started = Instant::now();
    let (users, total) = (server.population.users(), server.history_events);
    let bar = progress_bar(total);
    if !stderr().is_terminal() {
        print_notice(&format!("posting {total} events about {users} citizens"));
    }
    let mut history = server.population.traffic(total).peekable();
    let mut tally = FeedTally::default();
    while history.peek().is_some() {
        let batch: Vec<_> = history.by_ref().take(BATCH_EVENTS).map(|arrival| arrival.event).collect();
        let count = batch.len() as u64;
        tally.add(server.post(batch.into_iter(), tokens).await?);
        bar.inc(count);
    }
    bar.finish_and_clear();
    let (seconds, FeedTally { applied, unchanged, .. }) = (started.elapsed().as_secs_f64(), tally);
    Ok(format!("Loaded {users} citizens in {seconds:.1} s: {applied} events applied, {unchanged} without a change."))
}

/// A bar on stderr, which is hidden if stderr is no terminal.
fn progress_bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} events, {eta} left") {
        bar.set_style(style);
    }
    bar
}
