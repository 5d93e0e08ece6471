//! Everything that the sources have said, whether or not the profile shows it.

use domain::canonical::CanonicalJson;
use domain::documents::Register;
use domain::event::RegisterPath;
use domain::source::Source;
use domain::table::LeafSet;

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks for the source documents.
#[derive(Debug, Clone, Copy)]
pub struct ReadDocuments;

/// The source documents of a profile, as a viewer may see them.
#[derive(Debug, Clone)]
pub struct Documents {
    /// The registers of each source that has sent something.
    pub sources: Vec<(Source, Vec<HeldValue>)>,
    /// The leaves that the viewer may see.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

/// One value that a source has sent, or has withdrawn.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldValue {
    /// What it is about: the dotted path of a field, or the name of what is kept beside the fields.
    pub path: &'static str,
    /// The item of a list that it is about, where it is about one.
    pub item: Option<String>,
    /// The kind of the value.
    pub kind: &'static str,
    /// The stamp's observed_at, in microseconds since the Unix epoch.
    pub observed_at: i64,
    /// The id of the event that brought it.
    pub event_id: String,
    /// The value; `None` if it was withdrawn.
    pub value: Option<CanonicalJson>,
}

impl Reading for ReadDocuments {
    type Answer = Documents;

    fn answer(&self, input: &ReadInput<'_>) -> Result<Documents, ReadError> {
        let ReadInput { state, mask, .. } = *input;
        let shown = |register: &&Register| is_shown(&register.path, mask);
        let sources = state.documents.iter().filter_map(|(source, document)| {
            let values: Vec<_> = document.registers().iter().filter(shown).map(HeldValue::new).collect();
            (!values.is_empty()).then_some((source, values))
        });
        Ok(Documents { sources: sources.collect(), leaves: mask, generation: state.generation })
    }
}

/// Returns whether a viewer may see a register: that of a field as the field, of an item as the lists with it, and what is in no
/// field only if the viewer may see everything.
fn is_shown(path: &RegisterPath, mask: LeafSet) -> bool {
    let leaves = path.leaves();
    if leaves.is_empty() { mask == LeafSet::ALL } else { leaves.without(mask).is_empty() }
}

impl HeldValue {
    fn new(register: &Register) -> Self {
        let (path, item) = match &register.path {
            RegisterPath::Leaf(leaf) => (leaf.field().path, None),
            RegisterPath::SourceConfidence => ("source_confidence", None),
            RegisterPath::AggregatedMetrics => ("aggregated_metrics", None),
            RegisterPath::SchemeStatus(id) => ("scheme_status", Some(id)),
            RegisterPath::DeadlineDetails(id) => ("deadline_details", Some(id)),
            RegisterPath::DeadlineCompletion(id) => ("deadline_completion", Some(id)),
        };
        Self {
            path,
            item: item.map(|id| id.as_str().to_owned()),
            kind: register.kind.name(),
            observed_at: register.time,
            event_id: register.event_id.as_str().to_owned(),
            value: register.value.clone(),
        }
    }
}
