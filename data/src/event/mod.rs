//! Feed events about a person: what an engine says, and its CloudEvent in JSON.

mod json;
mod shared;
mod verdicts;

use json::Json;

use crate::day::{Day, MINUTE};
use crate::obligation::{Duty, duties};
use crate::outlook;
use crate::person::Person;
use crate::random::{Random, purpose};
use crate::traffic::{Launch, step};
use crate::verdict::SchemeVerdict;
use crate::words::{Confidence, Sharing};
pub(crate) use shared::Topic;

/// One feed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedEvent {
    /// Whose feed it goes to: the last segment of `/api/v2/feeds/{source}`.
    pub source: &'static str,
    /// A CloudEvent in one line of JSON, without a line end.
    pub json: Vec<u8>,
}

/// What an event says. Positions of a deadline among the next ones wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventContent {
    /// Identity checks who the person is and where they live; now and then from an old document.
    Identity { stale: bool },
    /// All that the metadata store knows.
    Metadata,
    /// The metadata store learns one thing: by a check, or by inference, rightly or not.
    MetadataChanged { topic: Topic, inferred: bool, wrong: bool },
    /// The metadata store takes one thing back.
    MetadataWithdrawn { topic: Topic },
    /// The citizen says one thing.
    Edited { topic: Topic, wrong: bool },
    /// The citizen takes one thing back.
    EditWithdrawn { topic: Topic },
    /// The citizen's usual consent, or another level for a while.
    Consented { sharing: Option<Sharing> },
    /// The engine looks at every scheme.
    Evaluated,
    /// An application moves on, where one is open.
    Applied,
    /// A deadline is found.
    Due { duty: u8 },
    /// A deadline is met.
    Met { duty: u8 },
    /// Predictions, advice and risks.
    Predicted,
    /// Risks alone.
    Risked,
    /// Trust, perhaps with a word on whom to believe about one thing.
    Trusted { topic: Option<Topic> },
    /// Cohorts.
    Counted,
}

impl EventContent {
    /// Short name, `source` and `type`.
    const fn envelope(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Identity { .. } => ("idn", "/engines/identity", "identity.verified"),
            Self::Metadata | Self::MetadataChanged { .. } | Self::MetadataWithdrawn { .. } => {
                ("met", "/engines/metadata", "user.metadata.updated")
            }
            Self::Edited { .. } | Self::EditWithdrawn { .. } => ("slf", "/engines/self", "user.profile.edited"),
            Self::Consented { .. } => ("con", "/engines/consent", "user.consent.updated"),
            Self::Evaluated => ("elg", "/engines/eligibility", "eligibility.batch.computed"),
            Self::Applied => ("sta", "/engines/schemes", "scheme.application.status_changed"),
            Self::Due { .. } => ("ddl", "/engines/deadlines", "deadline.detected"),
            Self::Met { .. } => ("ddl", "/engines/deadlines", "deadline.completed"),
            Self::Predicted | Self::Risked => ("prd", "/engines/predictions", "prediction.generated"),
            Self::Trusted { .. } => ("tru", "/engines/trust", "trust.score.updated"),
            Self::Counted => ("ana", "/engines/analytics", "analytics.cohort.computed"),
        }
    }

    /// Whose feed it goes to.
    pub(crate) fn source(self) -> &'static str {
        self.envelope().1.trim_start_matches("/engines/")
    }

    /// Whether it speaks of deadlines.
    const fn is_about_duties(self) -> bool {
        matches!(self, Self::Due { .. } | Self::Met { .. } | Self::Predicted | Self::Risked)
    }

    /// What can be said of this person: some have no deadline, some no application that could move.
    fn possible(self, duties: &[Duty], step: Option<&SchemeVerdict>) -> Self {
        match self {
            Self::Due { .. } | Self::Met { .. } if duties.is_empty() => Self::Risked,
            Self::Applied if step.is_none() => Self::Counted,
            act => act,
        }
    }
}

/// Of whom, when, and as which of their events something is said.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'p> {
    pub(crate) person: &'p Person,
    pub(crate) user_id: &'p str,
    /// The person's number.
    pub(crate) index: u64,
    /// The event's number among the person's.
    pub(crate) number: u64,
    /// observed_at, in microseconds since the Unix epoch.
    pub(crate) time: i64,
    /// How many of the person's changes come before it.
    pub(crate) changes: u64,
    /// The launch in the person's state, whether it is still to come or over.
    pub(crate) launch: Option<&'p Launch>,
}

impl Subject<'_> {
    /// The scheme that is new in these days, by its position.
    fn new_scheme(&self) -> Option<usize> {
        self.launch.map(|launch| launch.scheme)
    }
}

/// Appends the event's JSON and gives whose feed it goes to.
pub(crate) fn write(act: EventContent, subject: &Subject<'_>, out: &mut Vec<u8>) -> &'static str {
    let Subject { person, index, number, .. } = *subject;
    let new = subject.new_scheme();
    let duties = if act.is_about_duties() { duties(person, Day::from_micros(subject.time), new) } else { Vec::new() };
    let step = if act == EventContent::Applied { step(person, subject.changes, new) } else { None };
    let act = act.possible(&duties, step.as_ref());
    let (short, path, sort) = act.envelope();
    Json::new(out).object(|json| {
        json.word("specversion", "1.0");
        json.word("id", &format!("{short}-{index}-{number}"));
        json.word("source", path);
        json.word("type", sort);
        json.word("subject", subject.user_id);
        json.key("time");
        json.time(subject.time);
        json.word("datacontenttype", "application/json");
        if matches!(act, EventContent::MetadataChanged { inferred: true, .. }) {
            json.word("kind", "inferred");
        }
        json.section("data", |json| data(act, subject, (&duties, step.as_ref()), json));
    });
    act.source()
}

fn data(
    act: EventContent,
    subject: &Subject<'_>,
    (duties, step): (&[Duty], Option<&SchemeVerdict>),
    json: &mut Json<'_>,
) {
    let Subject { person, time, number, .. } = *subject;
    let random = &mut Random::new(person.key, purpose::EVENTS.wrapping_add(number));
    match act {
        EventContent::Identity { stale } => shared::identity(person, stale, json),
        EventContent::Metadata => shared::metadata(person, json),
        EventContent::MetadataChanged { topic, wrong, .. } | EventContent::Edited { topic, wrong } => {
            shared::patch(topic, json, |json| topic.write(person, wrong, json));
        }
        EventContent::MetadataWithdrawn { topic } | EventContent::EditWithdrawn { topic } => {
            shared::withdrawal(topic, json)
        }
        EventContent::Consented { sharing } => consent(person, sharing, json),
        EventContent::Evaluated => verdicts::batch(subject, json),
        EventContent::Applied => step.into_iter().for_each(|step| verdicts::status(step, json)),
        EventContent::Due { duty } => detected(&duties[usize::from(duty) % duties.len()], Day::from_micros(time), json),
        EventContent::Met { duty } => {
            json.word("deadline_id", &duties[usize::from(duty) % duties.len()].id());
            json.key("completed_at");
            json.time(time - random.range(1, 300) * MINUTE);
        }
        EventContent::Predicted => verdicts::predictions(subject, duties, random, json),
        EventContent::Risked => json.section("risk_scores", |json| risks(subject, duties, random, json)),
        EventContent::Trusted { topic } => trust(subject, topic, random, json),
        EventContent::Counted => cohorts(person, random, json),
    }
}

fn consent(person: &Person, sharing: Option<Sharing>, json: &mut Json<'_>) {
    let usual = person.consent;
    let level = sharing.unwrap_or(usual.sharing);
    let full = level == Sharing::Full;
    json.word("data_sharing_level", level.name());
    json.key("analytics_opt_in");
    json.flag(usual.analytics && level != Sharing::Minimal);
    json.key("third_party_sharing");
    json.flag(if sharing.is_some() { full } else { usual.third_parties });
}

fn detected(duty: &Duty, today: Day, json: &mut Json<'_>) {
    json.word("deadline_id", &duty.id());
    json.word("type", &duty.obligation.sort);
    json.word("description", &duty.obligation.description);
    json.key("due_date");
    json.date("", duty.due);
    json.word("priority", duty.priority(today).name());
    json.word("action_url", &duty.obligation.action_url);
}

fn risks(subject: &Subject<'_>, duties: &[Duty], random: &mut Random, json: &mut Json<'_>) {
    let risks = outlook::risks(subject.person, duties, Day::from_micros(subject.time), random.below(10) as u8);
    let names = ["deadline_miss_risk", "benefit_lapse_risk", "tax_penalty_risk", "document_expiry_risk"];
    for (name, risk) in names.into_iter().zip(risks) {
        json.key(name);
        json.fraction(risk);
    }
}

fn trust(subject: &Subject<'_>, topic: Option<Topic>, random: &mut Random, json: &mut Json<'_>) {
    let person = subject.person;
    let overall = match person.documents.len() {
        0..=1 => Confidence::Low,
        2 => Confidence::Medium,
        _ => Confidence::High,
    };
    json.word("overall_confidence", overall.name());
    json.section("source_trace", |json| {
        json.key("identity");
        json.date("verified_", Day::from_micros(subject.time).plus(-(random.below(5) as i32)));
    });
    if let Some(topic) = topic {
        json.section("source_confidence", |json| {
            for (source, from, to) in [("metadata", 35, 60), ("self", 70, 95)] {
                json.section(source, |json| {
                    json.key("confidence");
                    json.fraction(random.range(from, to) as u8);
                    json.key("fields");
                    json.array(|json| json.text(topic.path()));
                });
            }
        });
    }
}

fn cohorts(person: &Person, random: &mut Random, json: &mut Json<'_>) {
    json.key("cohort_tags");
    json.array(|json| outlook::cohorts(person).for_each(|tag| json.text(tag)));
    let most = if person.consent.sharing == Sharing::Full { 60 } else { 20 };
    json.section("aggregated_metrics", |json| {
        json.key("logins_90d");
        json.number(random.below(most));
    });
}
