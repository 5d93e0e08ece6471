//! Writes the CloudEvents of feeds about a person, as JSON.

mod json;
mod shared;
mod verdicts;

use json::Json;

use crate::application::step;
use crate::content::{EventContent, Topic};
use crate::day::{Day, MINUTE};
use crate::launch::Launch;
use crate::obligation::{Duty, duties};
use crate::outlook;
use crate::person::Person;
use crate::random::{Random, purpose};
use crate::verdict::SchemeVerdict;
use crate::words::{Confidence, Sharing};

/// A generated feed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedEvent {
    /// The name of the feed: the last segment of `/api/v2/feeds/{source}`.
    pub source: &'static str,
    /// A CloudEvent in one line of JSON, without a line end.
    pub json: Vec<u8>,
}

/// The person that an event is about, with the event's time and number.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'p> {
    pub(crate) person: &'p Person,
    pub(crate) user_id: &'p str,
    /// The person's index in the population.
    pub(crate) index: u64,
    /// The event's number among the person's.
    pub(crate) number: u64,
    /// observed_at, in microseconds since the Unix epoch.
    pub(crate) time: i64,
    /// Number of the person's changes before the event.
    pub(crate) changes: u64,
    /// The launch in the person's state, past or future.
    pub(crate) launch: Option<&'p Launch>,
}

impl Subject<'_> {
    /// Returns the position of the scheme that is launched in these days.
    fn new_scheme(&self) -> Option<usize> {
        self.launch.map(|launch| launch.scheme)
    }
}

/// Replaces content that is impossible for a person without deadlines or without an open application.
fn possible(content: EventContent, duties: &[Duty], step: Option<&SchemeVerdict>) -> EventContent {
    match content {
        EventContent::Due { .. } | EventContent::Met { .. } if duties.is_empty() => EventContent::Risked,
        EventContent::Applied if step.is_none() => EventContent::Counted,
        content => content,
    }
}

/// Appends the event's JSON and returns the name of its feed.
pub(crate) fn write(content: EventContent, subject: &Subject<'_>, out: &mut Vec<u8>) -> &'static str {
    let Subject { person, index, number, .. } = *subject;
    let new = subject.new_scheme();
    let duties =
        if content.is_about_duties() { duties(person, Day::from_micros(subject.time), new) } else { Vec::new() };
    let step = if content == EventContent::Applied { step(person, subject.changes, new) } else { None };
    let content = possible(content, &duties, step.as_ref());
    let (short, path, sort) = content.envelope();
    Json::new(out).object(|json| {
        json.word("specversion", "1.0");
        json.word("id", &format!("{short}-{index}-{number}"));
        json.word("source", path);
        json.word("type", sort);
        json.word("subject", subject.user_id);
        json.key("time");
        json.time(subject.time);
        json.word("datacontenttype", "application/json");
        if matches!(content, EventContent::MetadataChanged { inferred: true, .. }) {
            json.word("kind", "inferred");
        }
        json.section("data", |json| data(content, subject, (&duties, step.as_ref()), json));
    });
    content.source()
}

fn data(
    content: EventContent,
    subject: &Subject<'_>,
    (duties, step): (&[Duty], Option<&SchemeVerdict>),
    json: &mut Json<'_>,
) {
    let Subject { person, time, number, .. } = *subject;
    let random = &mut Random::new(person.key, purpose::EVENTS.wrapping_add(number));
    match content {
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
