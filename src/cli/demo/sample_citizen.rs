//! The citizen that a demo shows.

use data::Population;

/// Candidates are the first citizens of the population.
const CANDIDATES: u64 = 100;
const MIN_AGE: u8 = 25;

/// One citizen of the population, with a name for the banner.
pub(super) struct SampleCitizen {
    /// Number of the citizen in the population.
    pub(super) index: u64,
    /// User id.
    pub(super) id: String,
    pub(super) name: String,
}

impl SampleCitizen {
    /// Chooses the adult with the most event data in a history of `history_events` events.
    pub(super) fn choose(population: &Population, history_events: u64) -> Self {
        let history = population.traffic(history_events);
        let event_bytes =
            |index: &u64| history.of_person(*index).iter().map(|arrival| arrival.event.json.len()).sum::<usize>();
        let is_adult = |index: &u64| population.person(*index).age >= MIN_AGE;
        let candidates = 0..population.users().min(CANDIDATES);
        let index = candidates.filter(is_adult).max_by_key(event_bytes).unwrap_or(0);
        let person = population.person(index);
        let name = format!("{} {}.", person.given_name, person.initial);
        Self { index, id: population.user_id(index), name }
    }
}
