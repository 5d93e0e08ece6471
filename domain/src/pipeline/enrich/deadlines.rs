//! Deadlines: what is upcoming and overdue on a day, and how many were completed in the last days.

use crate::canonical::{CanonicalJson, write_array};
use crate::day::Day;
use crate::documents::{Register, SourceDocument, SourceDocuments};
use crate::event::{RegisterPath, SharedText, time};
use crate::item_text::push_with_days;
use crate::rules::Rules;
use crate::scan;
use crate::source::{Source, ValueKind};
use crate::table::Leaf;

/// Days after its due date on which an overdue item leaves the view.
const OVERDUE_DAYS: i32 = 365;
/// How far back completions count, in days.
const COMPLETED_DAYS: i32 = 90;
/// Maximum number of items that are shown: the first by (due_date, deadline_id).
const SHOWN: usize = 256;

pub(super) fn assemble(documents: &SourceDocuments, today: Day, rules: &Rules) -> Vec<(Leaf, CanonicalJson)> {
    let Some(document) = documents.document(Source::Deadlines) else { return Vec::new() };
    let mut open: Vec<OpenDeadline<'_>> = Vec::new();
    let mut completed = 0;
    for register in document.registers() {
        match &register.path {
            RegisterPath::DeadlineDetails(id) if !is_done(document, id, register) => {
                open.extend(OpenDeadline::new(id, register))
            }
            RegisterPath::DeadlineCompletion(id) if counts(document, id, register, today, rules) => completed += 1,
            _ => {}
        }
    }
    open.retain(|item| item.due.0 > today.0 - OVERDUE_DAYS);
    open.sort_unstable_by(|a, b| (a.due, a.id.as_str()).cmp(&(b.due, b.id.as_str())));
    open.truncate(SHOWN);
    let (overdue, upcoming) = open.split_at(open.partition_point(|item| item.due < today));
    vec![
        (Leaf::DeadlinesCompletedLast90d, CanonicalJson::integer(completed)),
        (Leaf::DeadlinesOverdue, list(overdue, today)),
        (Leaf::DeadlinesUpcoming, list(upcoming, today)),
    ]
}

/// A deadline that is not done.
struct OpenDeadline<'a> {
    due: Day,
    id: &'a SharedText,
    details: &'a str,
}

impl<'a> OpenDeadline<'a> {
    fn new(id: &'a SharedText, register: &'a Register) -> Option<Self> {
        let details = register.value.as_ref()?.as_str();
        Some(Self { due: Day::parse(scan::text_member(details, "due_date")?)?, id, details })
    }
}

/// Returns whether a deadline is done: the completion's stamp is greater than that of the details. A withdrawn
/// completion completes nothing.
fn is_done(document: &SourceDocument, id: &SharedText, details: &Register) -> bool {
    let completion = document.get(&RegisterPath::DeadlineCompletion(id.clone()), ValueKind::Inferred);
    completion
        .filter(|completion| completion.value.is_some())
        .is_some_and(|completion| completion.compare_candidate(Source::Deadlines, details, Source::Deadlines).is_gt())
}

/// Returns whether a completion counts: its deadline is done now, and it falls into the last days. Details may be
/// missing.
fn counts(document: &SourceDocument, id: &SharedText, completion: &Register, today: Day, rules: &Rules) -> bool {
    let details = document.get(&RegisterPath::DeadlineDetails(id.clone()), ValueKind::Inferred);
    let done = details
        .is_none_or(|details| completion.compare_candidate(Source::Deadlines, details, Source::Deadlines).is_gt());
    let instant = completion.value.as_ref().and_then(|value| time::parse_micros(value.plain_str()?));
    done && instant.is_some_and(|instant| {
        let day = Day::at(instant, &rules.zone);
        day <= today && day.0 > today.0 - COMPLETED_DAYS
    })
}

fn list(items: &[OpenDeadline<'_>], today: Day) -> CanonicalJson {
    let mut out = String::with_capacity(2 + items.iter().map(|item| item.details.len() + 24).sum::<usize>());
    write_array(&mut out, items, |out, item| push_with_days(out, item.details, item.due.0 - today.0));
    CanonicalJson::from_canonical(out)
}
