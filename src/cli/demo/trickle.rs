//! Life goes on: a trickle of events, some of them about the citizen to show.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::super::http_client::{self, Call};
use super::{Hero, Stage, Tokens};
use crate::wiring;

/// At most one event in so many is about the citizen to show, and at most one a second.
const HERO_EVERY: u32 = 4;
/// Tokens live an hour: the file has fresh ones in time.
const FRESH: Duration = Duration::from_secs(1_800);

impl Stage {
    /// Posts events until the server stops.
    pub(super) async fn trickle(&self, hero: &Hero) -> anyhow::Result<()> {
        let mut tokens = Tokens::make(&self.settings, &hero.id)?;
        let mut made = Instant::now();
        let mut beat = interval(Duration::from_secs(1) / self.events_per_second.max(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Numbers are not used again at the next start, for event ids come from them.
        for number in wiring::wall_clock().now_micros().unsigned_abs() / 1_000.. {
            beat.tick().await;
            if made.elapsed() > FRESH {
                (tokens, made) = (Tokens::make(&self.settings, &hero.id)?, Instant::now());
                tokens.write(self, hero)?;
            }
            if self.events_per_second > 0 {
                self.post_one(hero, number, &tokens).await?;
            }
        }
        Ok(())
    }

    async fn post_one(&self, hero: &Hero, number: u64, tokens: &Tokens) -> anyhow::Result<()> {
        // Everybody's own events are numbered without a gap, so that their stories go on.
        let users = self.population.users();
        let hero_every = u64::from(self.events_per_second.max(HERO_EVERY));
        let is_hero = number.is_multiple_of(hero_every);
        let others = number - number / hero_every;
        let (index, n) = if is_hero { (hero.index, number / hero_every) } else { (others % users, others / users) };
        let event = self.population.update_at(index, n, wiring::wall_clock().now_micros());
        // The hero has a turn of their own, and their consent is for whoever watches to change.
        if index == hero.index && (!is_hero || event.source == "consent") {
            return Ok(());
        }
        let path = format!("/api/v2/feeds/{}", event.source);
        let body = ("application/cloudevents+json", event.json.as_slice());
        http_client::send(self.listen, &Call { method: "POST", path: &path, token: &tokens.service, body }).await?;
        Ok(())
    }
}
