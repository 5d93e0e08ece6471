//! Data of the eligibility, scheme and prediction engines.

use super::json::Json;
use super::{Subject, risks};
use crate::application::standing;
use crate::day::Day;
use crate::obligation::Duty;
use crate::outlook::{advice, ahead};
use crate::random::Random;
use crate::scheme::schemes;
use crate::verdict::SchemeVerdict;

impl Subject<'_> {
    /// Returns whether the scheme has been launched in the person's state.
    fn has_launched(&self, scheme: &str) -> bool {
        let to_come = self.launch.filter(|launch| self.time < launch.at);
        to_come.is_none_or(|launch| schemes()[launch.scheme].id != scheme)
    }
}

/// Returns the verdicts on the schemes that have been launched in the person's state, with their current status.
fn launched(subject: &Subject<'_>) -> Vec<SchemeVerdict> {
    let mut verdicts = standing(subject.person, subject.changes, subject.new_scheme());
    verdicts.retain(|verdict| subject.has_launched(&verdict.scheme.id));
    verdicts
}

/// Writes the verdict on every scheme that has been launched in the person's state.
pub(super) fn batch(subject: &Subject<'_>, json: &mut Json<'_>) {
    let today = Day::from_micros(subject.time);
    json.key("schemes");
    json.array(|json| {
        for SchemeVerdict { scheme, confidence, status } in launched(subject) {
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

/// Writes the new status of one application.
pub(super) fn status(step: &SchemeVerdict, json: &mut Json<'_>) {
    json.word("scheme_id", &step.scheme.id);
    json.word("application_status", step.status.name());
}

pub(super) fn predictions(subject: &Subject<'_>, duties: &[Duty], random: &mut Random, json: &mut Json<'_>) {
    let today = Day::from_micros(subject.time);
    json.key("predicted_events");
    json.array(|json| {
        for event in ahead(subject.person, today) {
            json.object(|json| {
                json.word("event", event.event);
                json.key("estimated_date");
                json.date("", event.day);
                json.key("related_schemes");
                let related = event.schemes.iter().filter(|scheme| subject.has_launched(scheme));
                json.array(|json| related.for_each(|scheme| json.text(scheme)));
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
