//! What happens to people: short stories of eight events each, one after the other, so that the nth event of a person
//! follows from the number alone and yet belongs to something.

use crate::event::{Act, Topic};
use crate::person::Person;
use crate::random::{Random, purpose};
use crate::words::{Sharing, Status};

const STEPS: usize = 8;

/// One event of a story. What it is about is the story's: the same scheme, deadline or topic from end to end.
#[derive(Clone, Copy)]
enum Step {
    Applied(Status),
    /// Approved and active for most, rejected for some.
    Decided,
    Settled,
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
    (36.0, [Applied(Status::Applied), Risked, Applied(Status::UnderReview), Due, Met, Decided, Settled, Risked]),
    // A season of deadlines.
    (26.0, [Due, Risked, NextDue, Met, Predicted, Risked, Counted, Applied(Status::UnderReview)]),
    // The metadata store is wrong, the citizen objects, trust decides, the store gives in.
    (16.0, [InferredWrongly, Edited, LearnedWrongly, Adjudicated, Unlearned, Learned, Risked, Evaluated]),
    // The citizen errs and takes it back.
    (8.0, [EditedWrongly, Risked, Unsaid, Edited, Trusted, Risked, Counted, NextDue]),
    // Papers: an old document against a new one.
    (6.0, [IdentifiedByOldPapers, Edited, Identified, Trusted, Risked, Evaluated, Predicted, Applied(Status::Applied)]),
    // Second thoughts about consent.
    (
        8.0,
        [
            Consented(Some(Sharing::Minimal)),
            Risked,
            Applied(Status::Applied),
            Consented(Some(Sharing::Full)),
            Applied(Status::UnderReview),
            Risked,
            Counted,
            Consented(None),
        ],
    ),
];

/// The nth change of a person, from 0.
pub(crate) fn nth_act(person: &Person, n: u64) -> Act {
    let random = &mut Random::of(person.key, purpose::EPISODES + n / STEPS as u64);
    let story = &STORIES[random.weighted(&STORIES.map(|(weight, _)| weight))].1;
    let (scheme, duty) = (random.below(64) as u8, random.below(4) as u8);
    let rejected = random.happens(0.2);
    let topic = random.pick(&Topic::ALL);
    match story[n as usize % STEPS] {
        Applied(status) => Act::Applied { scheme, status },
        Decided => Act::Applied { scheme, status: if rejected { Status::Rejected } else { Status::Approved } },
        Settled => Act::Applied { scheme, status: if rejected { Status::Applied } else { Status::Active } },
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
