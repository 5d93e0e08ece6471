//! Life goes on: a trickle of events, some of them about the citizen to show.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::super::http_client::{self, Call};
use super::{Hero, Stage, Tokens};
use crate::wiring;

/// One event in so many is about the citizen to show.
const HERO_EVERY: u64 = 4;
/// Tokens live an hour: the file has fresh ones in time.
const FRESH: Duration = Duration::from_secs(1_800);

impl Stage {
    /// Posts events until the server stops.
    pub(super) async fn trickle(&self, hero: &Hero) -> anyhow::Result<()> {
        let mut tokens = Tokens::make(&self.settings, &hero.id)?;
        let mut made = Instant::now();
        let mut beat = interval(Duration::from_secs(1) / self.rate.max(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0_u64.. {
            beat.tick().await;
            if made.elapsed() > FRESH {
                (tokens, made) = (Tokens::make(&self.settings, &hero.id)?, Instant::now());
                tokens.write(self, hero)?;
            }
            if self.rate > 0 && self.post_one(hero, number, &tokens).await.is_err() {
                // The server is stopping.
                break;
            }
        }
        Ok(())
    }

    async fn post_one(&self, hero: &Hero, number: u64, tokens: &Tokens) -> anyhow::Result<()> {
        let is_hero = number.is_multiple_of(HERO_EVERY);
        // A stride without a common factor with the number of people comes by everybody.
        let index = if is_hero { hero.index } else { number.wrapping_mul(7_919) % self.population.users() };
        let event = self.population.update_at(index, number, wiring::wall_clock().now_micros());
        if index == hero.index && event.source == "consent" {
            // That is for whoever watches to change.
            return Ok(());
        }
        let path = format!("/api/v2/feeds/{}", event.source);
        let body = ("application/cloudevents+json", event.json.as_slice());
        http_client::send(self.listen, &Call { method: "POST", path: &path, token: &tokens.service, body }).await?;
        Ok(())
    }
}
