//! Single events about a person, generated without the traffic of the others.

use crate::content::EventContent;
use crate::day::SECOND;
use crate::episode::{FIRST_CHANGE, first_contents, nth_change};
use crate::event::{self, GeneratedEvent, Subject};
use crate::person::Person;
use crate::population::Population;

impl Population {
    /// Returns the first events of a person, a second apart and oldest first: identity, metadata, consent, eligibility,
    /// up to three deadlines, predictions, trust, analytics, and for some an edit by the citizen.
    #[must_use]
    pub fn first_events(&self, index: u64) -> Vec<GeneratedEvent> {
        let (person, user_id) = (self.person(index), self.user_id(index));
        let begin = self.begin(&person);
        let contents = first_contents(&person, begin, None).into_iter().zip(0_u32..);
        let events = contents.map(|(content, number)| {
            let time = (begin + i64::from(number) * SECOND).min(self.options.base_time);
            let number = number.into();
            event_of(
                content,
                &Subject { person: &person, user_id: &user_id, index, number, time, changes: 0, launch: None },
            )
        });
        events.collect()
    }

    /// Returns the nth small change of a person, from 0, later than the one before it and not after `base_time`.
    #[must_use]
    pub fn update(&self, index: u64, n: u64) -> GeneratedEvent {
        let person = self.person(index);
        let rest = (self.options.base_time - self.begin(&person)) / 2;
        let time = self.options.base_time - rest / i64::try_from(n.saturating_add(1)).unwrap_or(i64::MAX);
        self.change(index, n, &person, time)
    }

    /// Returns the same change at another time, in microseconds since the Unix epoch, such as the current time.
    #[must_use]
    pub fn update_at(&self, index: u64, n: u64, time: i64) -> GeneratedEvent {
        self.change(index, n, &self.person(index), time)
    }

    fn change(&self, index: u64, n: u64, person: &Person, time: i64) -> GeneratedEvent {
        // First events have small numbers, so changes are counted from a number above them.
        let number = n.saturating_add(FIRST_CHANGE);
        let user_id = self.user_id(index);
        let subject = Subject { person, user_id: &user_id, index, number, time, changes: n, launch: None };
        event_of(nth_change(person, n), &subject)
    }
}

fn event_of(content: EventContent, subject: &Subject<'_>) -> GeneratedEvent {
    let mut json = Vec::with_capacity(1_024);
    let source = event::write(content, subject, &mut json);
    GeneratedEvent { source, json }
}
