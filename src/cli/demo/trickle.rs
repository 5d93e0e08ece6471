//! Life goes on: a trickle of events, some of them about the citizen to show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use data::GeneratedEvent;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::memory::{Memory, Turns};
use super::{Hero, Stage, Tokens};
use crate::wiring;

/// At most one event in so many is about the citizen to show, and at most one a second.
const HERO_EVERY: u32 = 4;
/// What has come due is posted this often.
const BEAT: Duration = Duration::from_millis(50);
/// At most so many at once: a server that cannot follow is not pressed.
const AT_ONCE: usize = 1_000;
/// Tokens live an hour: the file has fresh ones in time.
const FRESH: Duration = Duration::from_secs(1_800);
/// How far the trickle has come is written down this often.
const REMEMBERED: Duration = Duration::from_secs(2);
/// How long nothing is posted after something went wrong.
const PAUSE: Duration = Duration::from_secs(1);

impl Stage {
    /// Posts events until the server stops. What goes wrong is said, and life goes on.
    pub(super) async fn trickle(&self, hero: &Hero, memory: &mut Memory) -> anyhow::Result<()> {
        let (mut tokens, mut made) = (self.tokens(hero)?, Instant::now());
        let (mut turns, mut remembered) = (memory.turns(), Instant::now());
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (started, mut posted) = (Instant::now(), 0);
        loop {
            beat.tick().await;
            if made.elapsed() > FRESH {
                (tokens, made) = (self.tokens(hero)?, Instant::now());
                tokens.write(self, hero)?;
            }
            let due = (started.elapsed().as_secs_f64() * f64::from(self.events_per_second)) as u64;
            let mut after = turns;
            let events = (posted..due).take(AT_ONCE).filter_map(|number| self.event(hero, number, &mut after));
            match self.post_all(events.collect(), &tokens).await {
                Ok(()) => turns = after,
                // The same events are posted again: what was applied already changes nothing.
                Err(error) => {
                    super::super::complain(&format!("the demo's events: {}", super::super::line_of(&error)));
                    sleep(PAUSE).await;
                }
            }
            // What was too much is let go.
            posted = due;
            if remembered.elapsed() > REMEMBERED {
                memory.reach_turns(turns)?;
                remembered = Instant::now();
            }
        }
    }

    async fn post_all(&self, events: Vec<GeneratedEvent>, tokens: &Tokens) -> anyhow::Result<()> {
        let mut feeds: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for event in events {
            let lines = feeds.entry(event.source).or_default();
            lines.extend_from_slice(&event.json);
            lines.push(b'\n');
        }
        for (source, lines) in feeds {
            self.post(source, &lines, tokens).await?;
        }
        Ok(())
    }

    /// The event with this number since the start; none where its turn is left out. Everybody has their turns one after
    /// the other, so that their stories go on.
    fn event(&self, hero: &Hero, number: u64, turns: &mut Turns) -> Option<GeneratedEvent> {
        let is_hero = number.is_multiple_of(u64::from(self.events_per_second.max(HERO_EVERY)));
        let turn = if is_hero { &mut turns.hero } else { &mut turns.everybody };
        let users = self.population.users();
        let (index, later) = if is_hero { (hero.index, *turn) } else { (*turn % users, *turn / users) };
        *turn += 1;
        let traffic = self.population.traffic(self.events());
        let event = traffic.later_change(index, later, wiring::wall_clock().now_micros());
        // The hero has a turn of their own, and their consent is for whoever watches to change.
        let is_left_out = index == hero.index && (!is_hero || event.source == "consent");
        (!is_left_out).then_some(event)
    }
}
