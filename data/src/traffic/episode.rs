//! What happens to people: short stories of eight events each, one after the other, so that the nth event of a person
//! follows from the number alone and yet belongs to something.

use crate::event::{Act, Topic};
use crate::person::Person;
use crate::random::{Random, purpose};
use crate::words::Sharing;

/// Events of a story.
pub(super) const STEPS: usize = 8;

/// One event of a story. What it is about is the story's: the same scheme, deadline or topic from end to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The story's application moves on by a step, whichever that is by now.
    Applied,
    Due,
    Met,
    /// The next deadline, not the story's own.
    NextDue,
    Edited,
    EditedWrongly,
    Unsaid,
    InferredWrongly,
    LearnedWrongly,
    Learned,
    Unlearned,
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

use Step::*;

/// How often each story comes, and its events.
const STORIES: [(f64, [Step; STEPS]); 6] = [
    // An application from the form to the money.
    (36.0, [Applied, Risked, Applied, Due, Met, Applied, Applied, Risked]),
    // A season of deadlines.
    (26.0, [Due, Risked, NextDue, Met, Predicted, Risked, Counted, Applied]),
    // The metadata store is wrong, the citizen objects, trust decides, the store gives in.
    (16.0, [InferredWrongly, Edited, LearnedWrongly, Adjudicated, Unlearned, Learned, Risked, Evaluated]),
    // The citizen errs and takes it back.
    (8.0, [EditedWrongly, Risked, Unsaid, Edited, Trusted, Risked, Counted, NextDue]),
    // Papers: an old document against a new one.
    (6.0, [IdentifiedByOldPapers, Edited, Identified, Trusted, Risked, Evaluated, Predicted, Applied]),
    // Second thoughts about consent.
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

/// One story of a person: what happens, and what it is about.
pub(super) struct Story {
    pub(super) steps: &'static [Step; STEPS],
    /// A position among the schemes whose application can move.
    pub(super) scheme: usize,
    /// Whether an application is turned down, should it be decided.
    pub(super) rejects: bool,
    duty: u8,
    topic: Topic,
}

impl Story {
    /// The person's story of that number, from 0.
    pub(super) fn of(person: &Person, number: u64) -> Self {
        let random = &mut Random::of(person.key, purpose::EPISODES + number);
        let steps = &STORIES[random.weighted(&STORIES.map(|(weight, _)| weight))].1;
        let (scheme, duty) = (random.below(64) as usize, random.below(4) as u8);
        let rejects = random.happens(REJECTED);
        Self { steps, scheme, rejects, duty, topic: random.pick(&Topic::ALL) }
    }
}

/// How many applications are turned down: assumed.
const REJECTED: f64 = 0.2;

/// The nth change of a person, from 0.
pub(crate) fn nth_act(person: &Person, n: u64) -> Act {
    let Story { steps, duty, topic, .. } = Story::of(person, n / STEPS as u64);
    match steps[n as usize % STEPS] {
        Applied => Act::Applied,
        Due => Act::Due { duty },
        Met => Act::Met { duty },
        NextDue => Act::Due { duty: duty + 1 },
        Edited => Act::Edited { topic, wrong: false },
        EditedWrongly => Act::Edited { topic, wrong: true },
        Unsaid => Act::Unsaid { topic },
        InferredWrongly => Act::Learned { topic, inferred: true, wrong: true },
        LearnedWrongly => Act::Learned { topic, inferred: false, wrong: true },
        Learned => Act::Learned { topic, inferred: false, wrong: false },
        Unlearned => Act::Unlearned { topic },
        Adjudicated => Act::Trusted { topic: Some(topic) },
        Trusted => Act::Trusted { topic: None },
        Identified => Act::Identity { stale: false },
        IdentifiedByOldPapers => Act::Identity { stale: true },
        Consented(sharing) => Act::Consented { sharing },
        Evaluated => Act::Evaluated,
        Predicted => Act::Predicted,
        Risked => Act::Risked,
        Counted => Act::Counted,
    }
}
