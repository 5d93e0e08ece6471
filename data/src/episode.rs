//! What happens to people: episodes of eight related events each, one after the other. The nth event of a person
//! follows from the number n alone, and still belongs to a plausible course of events.

use crate::content::{EventContent, Topic};
use crate::day::Day;
use crate::obligation::duties;
use crate::person::Person;
use crate::random::{Random, purpose};
use crate::words::Sharing;

/// Number of events of an episode.
pub(crate) const STEPS: usize = 8;

/// One event of an episode. All events of an episode are about the same scheme, deadline or topic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EpisodeStep {
    /// The episode's application moves on to its next status.
    Applied,
    Due,
    Met,
    /// The deadline after the episode's own.
    NextDue,
    Edited,
    EditedWrongly,
    EditWithdrawn,
    InferredWrongly,
    LearnedWrongly,
    MetadataChanged,
    MetadataWithdrawn,
    Adjudicated,
    Trusted,
    Identified,
    IdentifiedByOldPapers,
    Consented(Option<Sharing>),
    Evaluated,
    Predicted,
    Risked,
    Counted,
}

use EpisodeStep::*;

/// How often each episode comes, and its events.
const EPISODES_BY_WEIGHT: [(f64, [EpisodeStep; STEPS]); 6] = [
    // An application from the form to the payment.
    (36.0, [Applied, Risked, Applied, Due, Met, Applied, Applied, Risked]),
    // A season of deadlines.
    (26.0, [Due, Risked, NextDue, Met, Predicted, Risked, Counted, Applied]),
    // The metadata store is wrong, the citizen corrects it, trust decides, and the metadata store follows.
    (
        16.0,
        [InferredWrongly, Edited, LearnedWrongly, Adjudicated, MetadataWithdrawn, MetadataChanged, Risked, Evaluated],
    ),
    // The citizen enters a wrong value and withdraws it.
    (8.0, [EditedWrongly, Risked, EditWithdrawn, Edited, Trusted, Risked, Counted, NextDue]),
    // Documents: an old one against a new one.
    (6.0, [IdentifiedByOldPapers, Edited, Identified, Trusted, Risked, Evaluated, Predicted, Applied]),
    // The citizen changes the consent, and changes it back.
    (
        8.0,
        [
            Consented(Some(Sharing::Minimal)),
            Risked,
            Applied,
            Consented(Some(Sharing::Full)),
            Applied,
            Risked,
            Counted,
            Consented(None),
        ],
    ),
];

/// One episode of a person: its events, and what they are about.
pub(crate) struct Episode {
    pub(crate) steps: &'static [EpisodeStep; STEPS],
    /// A position among the schemes whose application can move.
    pub(crate) scheme: usize,
    /// Whether an application is turned down, should it be decided.
    pub(crate) rejects: bool,
    duty: u8,
    topic: Topic,
}

impl Episode {
    /// Returns the person's episode of that number, from 0.
    pub(crate) fn new(person: &Person, number: u64) -> Self {
        let random = &mut Random::new(person.key, purpose::EPISODES + number);
        let steps = &EPISODES_BY_WEIGHT[random.weighted(&EPISODES_BY_WEIGHT.map(|(weight, _)| weight))].1;
        let (scheme, duty) = (random.below(64) as usize, random.below(4) as u8);
        let rejects = random.happens(REJECTED);
        Self { steps, scheme, rejects, duty, topic: random.pick(&Topic::ALL) }
    }
}

/// Share of applications that are rejected: assumed.
const REJECTED: f64 = 0.2;

/// The number of a person's first change among their events.
pub(crate) const FIRST_CHANGE: u64 = 100;

/// Maximum number of deadlines in the first events: the soonest.
const FIRST_DUTIES: usize = 3;

/// Returns the first events of a person, in order; `new` is the position of a scheme that is launched in these days.
pub(crate) fn first_contents(person: &Person, begin: i64, new: Option<usize>) -> Vec<EventContent> {
    let mut contents = Vec::with_capacity(13);
    contents.extend([
        EventContent::Identity { stale: false },
        EventContent::Metadata,
        EventContent::Consented { sharing: None },
        EventContent::Evaluated,
    ]);
    let mut duties: Vec<_> =
        duties(person, Day::from_micros(begin), new).iter().map(|duty| duty.due).zip(0..).collect();
    duties.sort_unstable();
    contents.extend(duties.into_iter().take(FIRST_DUTIES).map(|(_, duty)| EventContent::Due { duty }));
    contents.extend([EventContent::Predicted, EventContent::Trusted { topic: None }, EventContent::Counted]);
    // Four in ten also send data themselves.
    if person.key % 10 < 4 {
        contents.push(EventContent::Edited { topic: Topic::ALL[(person.key / 10 % 9) as usize], wrong: false });
    }
    contents
}

/// Returns the nth change of a person, from 0.
pub(crate) fn nth_change(person: &Person, n: u64) -> EventContent {
    let Episode { steps, duty, topic, .. } = Episode::new(person, n / STEPS as u64);
    match steps[n as usize % STEPS] {
        Applied => EventContent::Applied,
        Due => EventContent::Due { duty },
        Met => EventContent::Met { duty },
        NextDue => EventContent::Due { duty: duty + 1 },
        Edited => EventContent::Edited { topic, wrong: false },
        EditedWrongly => EventContent::Edited { topic, wrong: true },
        EditWithdrawn => EventContent::EditWithdrawn { topic },
        InferredWrongly => EventContent::MetadataChanged { topic, inferred: true, wrong: true },
        LearnedWrongly => EventContent::MetadataChanged { topic, inferred: false, wrong: true },
        MetadataChanged => EventContent::MetadataChanged { topic, inferred: false, wrong: false },
        MetadataWithdrawn => EventContent::MetadataWithdrawn { topic },
        Adjudicated => EventContent::Trusted { topic: Some(topic) },
        Trusted => EventContent::Trusted { topic: None },
        Identified => EventContent::Identity { stale: false },
        IdentifiedByOldPapers => EventContent::Identity { stale: true },
        Consented(sharing) => EventContent::Consented { sharing },
        Evaluated => EventContent::Evaluated,
        Predicted => EventContent::Predicted,
        Risked => EventContent::Risked,
        Counted => EventContent::Counted,
    }
}
