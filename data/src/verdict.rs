//! Eligibility: which schemes accept a person, with which confidence, and the status of the application.

use crate::person::Person;
use crate::random::{Random, purpose};
use crate::scheme::{Scheme, schemes};
use crate::words::{Document, Status};

/// The verdict of the eligibility engine on a scheme that accepts a person.
#[derive(Debug, Clone, Copy)]
pub struct SchemeVerdict {
    /// The scheme that the verdict is about.
    pub scheme: &'static Scheme,
    /// The confidence, in hundredths.
    pub confidence: u8,
    /// The status of the application.
    pub status: Status,
}

/// Returns every scheme whose rules hold, in the order of [`schemes`].
#[must_use]
pub fn verdicts(person: &Person) -> Vec<SchemeVerdict> {
    let accepted = schemes().iter().enumerate().filter(|(_, scheme)| scheme.accepts(person));
    accepted.map(|(index, scheme)| verdict(person, index, scheme)).collect()
}

/// Returns the status of a person's application to a scheme; `None` if the scheme does not accept them.
pub(crate) fn status_of(person: &Person, id: &str) -> Option<Status> {
    let (index, scheme) = schemes().iter().enumerate().find(|(_, scheme)| scheme.id == id)?;
    scheme.accepts(person).then(|| status(person, index, scheme))
}

/// Returns the documents that the scheme asks for and the person has not shown.
pub(crate) fn missing_documents(scheme: &Scheme, person: &Person) -> impl Iterator<Item = Document> {
    let shown = person.documents;
    scheme.needs.iter().copied().filter(move |document| !shown.has_document(*document))
}

fn verdict(person: &Person, index: usize, scheme: &'static Scheme) -> SchemeVerdict {
    let missing = missing_documents(scheme, person).count();
    // The confidence is lower for rules that a profile cannot show and for missing documents, and varies at random.
    let doubt = Random::new(person.key, purpose::DOUBT + index as u64).below(8) as u8;
    let confidence = 97 - doubt - 9 * scheme.inferred_rules() as u8 - 12 * missing as u8;
    SchemeVerdict { scheme, confidence, status: status(person, index, scheme) }
}

fn status(person: &Person, index: usize, scheme: &Scheme) -> Status {
    let mut random = Random::new(person.key, purpose::STANDING + index as u64);
    if missing_documents(scheme, person).next().is_none() && random.happens(scheme.take_up()) {
        return if random.happens(0.94) { Status::Active } else { Status::Approved };
    }
    match random.unit() {
        ..0.62 => Status::NotApplied,
        ..0.76 => Status::Applied,
        ..0.86 => Status::UnderReview,
        ..0.94 => Status::Rejected,
        _ => Status::Lapsed,
    }
}
