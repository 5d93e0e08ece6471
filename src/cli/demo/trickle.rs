//! Life goes on: a trickle of events, some of them about the citizen to show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use data::Event;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Hero, Stage, Tokens};
use crate::wiring;

/// At most one event in so many is about the citizen to show, and at most one a second.
const HERO_EVERY: u32 = 4;
/// What has come due is posted this often.
const BEAT: Duration = Duration::from_millis(50);
/// At most so many at once: a server that cannot follow is not pressed.
const AT_ONCE: u64 = 1_000;
/// Tokens live an hour: the file has fresh ones in time.
const FRESH: Duration = Duration::from_secs(1_800);
/// How long nothing is posted after something went wrong.
const PAUSE: Duration = Duration::from_secs(1);

impl Stage {
    /// Posts events until the server stops. What goes wrong is said, and life goes on.
    pub(super) async fn trickle(&self, hero: &Hero) -> anyhow::Result<()> {
        let (mut tokens, mut made) = (self.tokens(hero)?, Instant::now());
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Numbers are not used again at the next start, for event ids come from them.
        let mut next = wiring::wall_clock().now_micros().unsigned_abs() / 1_000;
        let (started, mut posted) = (Instant::now(), 0);
        loop {
            beat.tick().await;
            if made.elapsed() > FRESH {
                (tokens, made) = (self.tokens(hero)?, Instant::now());
                tokens.write(self, hero)?;
            }
            let due = (started.elapsed().as_secs_f64() * f64::from(self.events_per_second)) as u64;
            let count = (due - posted).min(AT_ONCE);
            if let Err(error) = self.post_all(hero, next..next + count, &tokens).await {
                super::super::complain(&format!("the demo's events: {}", super::super::line_of(&error)));
                sleep(PAUSE).await;
            }
            next += count;
            // What was too much is let go.
            posted = due;
        }
    }

    async fn post_all(&self, hero: &Hero, numbers: std::ops::Range<u64>, tokens: &Tokens) -> anyhow::Result<()> {
        let mut feeds: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for event in numbers.filter_map(|number| self.event(hero, number)) {
            let lines = feeds.entry(event.source).or_default();
            lines.extend_from_slice(&event.json);
            lines.push(b'\n');
        }
        for (source, lines) in feeds {
            self.post(source, &lines, tokens).await?;
        }
        Ok(())
    }

    /// The event of a number; none where its turn is left out.
    fn event(&self, hero: &Hero, number: u64) -> Option<Event> {
        // Everybody's own events are numbered without a gap, so that their stories go on.
        let users = self.population.users();
        let hero_every = u64::from(self.events_per_second.max(HERO_EVERY));
        let is_hero = number.is_multiple_of(hero_every);
        let others = number - number / hero_every;
        let (index, n) = if is_hero { (hero.index, number / hero_every) } else { (others % users, others / users) };
        let event = self.population.update_at(index, n, wiring::wall_clock().now_micros());
        // The hero has a turn of their own, and their consent is for whoever watches to change.
        let is_left_out = index == hero.index && (!is_hero || event.source == "consent");
        (!is_left_out).then_some(event)
    }
}
