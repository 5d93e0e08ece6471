//! What the eligibility, scheme and prediction engines say.

use super::json::Json;
use super::{Subject, risks};
use crate::day::Day;
use crate::obligation::Duty;
use crate::outlook::{advice, ahead};
use crate::person::Person;
use crate::random::Random;
use crate::scheme::schemes;
use crate::verdict::{Verdict, verdicts};
use crate::words::Status;

/// What the person's state has by now.
fn launched(subject: &Subject<'_>) -> Vec<Verdict> {
    let mut verdicts = verdicts(subject.person);
    if let Some(unlaunched) = subject.unlaunched {
        verdicts.retain(|verdict| verdict.scheme.id != schemes()[unlaunched].id);
    }
    verdicts
}

/// Whether any scheme accepts the person.
pub(super) fn has_any(person: &Person) -> bool {
    schemes().iter().any(|scheme| scheme.accepts(person))
}

/// The full verdict.
pub(super) fn batch(subject: &Subject<'_>, json: &mut Json<'_>) {
    let today = Day::of(subject.time);
    json.key("schemes");
    json.array(|json| {
        for Verdict { scheme, confidence, status } in launched(subject) {
            json.object(|json| {
                json.word("scheme_id", &scheme.id);
                json.word("scheme_name", &scheme.name);
                json.key("confidence");
                json.fraction(confidence);
                json.key("matched_rules");
                json.array(|json| scheme.rules.keys().for_each(|rule| json.text(rule)));
                json.word("application_status", status.name());
                if let Some(day) = scheme.closes.iter().map(|day| today.next(*day)).min() {
                    json.key("deadline");
                    json.date("", day);
                }
                if let Some(benefit) = scheme.annual_benefit_inr {
                    json.key("annual_benefit_inr");
                    json.number(benefit.into());
                }
            });
        }
    });
}

/// A step of one application: of those still open, if there is one.
pub(super) fn status(subject: &Subject<'_>, scheme: u8, status: Status, json: &mut Json<'_>) {
    let all = verdicts(subject.person);
    let open: Vec<&Verdict> = all.iter().filter(|verdict| verdict.status != Status::Active).collect();
    let position = usize::from(scheme);
    let chosen = match open.len() {
        0 => all[position % all.len()].scheme,
        count => open[position % count].scheme,
    };
    json.word("scheme_id", &chosen.id);
    json.word("application_status", status.name());
}

pub(super) fn predictions(subject: &Subject<'_>, duties: &[Duty], random: &mut Random, json: &mut Json<'_>) {
    let today = Day::of(subject.time);
    json.key("predicted_events");
    json.array(|json| {
        for event in ahead(subject.person, today) {
            json.object(|json| {
                json.word("event", event.event);
                json.key("estimated_date");
                json.date("", event.day);
                json.key("related_schemes");
                json.array(|json| event.schemes.iter().for_each(|scheme| json.text(scheme)));
                json.key("confidence");
                json.fraction(event.confidence);
            });
        }
    });
    json.key("recommended_actions");
    json.array(|json| {
        for (place, advice) in advice(subject.person, &launched(subject), duties, today).into_iter().enumerate() {
            json.object(|json| {
                json.word("action", advice.action);
                if let Some(scheme) = advice.scheme {
                    json.word("scheme_id", scheme);
                }
                json.word("reason", advice.reason);
                json.key("priority");
                json.number(place as u64 + 1);
            });
        }
    });
    json.section("risk_scores", |json| risks(subject, duties, random, json));
}
