//! Looking up registers for a section's chunk: in a state's documents, or in those of a packed state.

use crate::canonical::CanonicalJson;
use crate::documents::{Register, SourceDocument, SourceDocuments};
use crate::event::RegisterPath;
use crate::source::Source;
use crate::table::{Leaf, Owner};

/// The sources whose registers can hold a shared leaf, in the order in which they are asked.
const SHARING: [Source; 3] = [Source::Identity, Source::Metadata, Source::SelfEdit];

/// The registers of one state.
pub(super) trait Registers {
    /// Returns the document of a source.
    fn document(&self, source: Source) -> Option<&SourceDocument>;

    /// Returns the newest `observed_at` of a source's registers.
    fn newest(&self, source: Source) -> Option<i64>;

    /// Returns the value of a leaf's register; `kind` is the place of its kind among those of the source.
    fn value(&self, source: Source, leaf: Leaf, kind: u8) -> Option<&CanonicalJson> {
        let kind = source.kinds().get(usize::from(kind))?;
        self.document(source)?.get(&RegisterPath::Leaf(leaf), *kind)?.value.as_ref()
    }

    /// Returns the value of the first register of a leaf that holds one.
    fn owned(&self, leaf: Leaf) -> Option<&CanonicalJson> {
        sources(leaf).iter().find_map(|source| {
            let document = self.document(*source)?;
            let values =
                source.kinds().iter().map(|kind| document.get(&RegisterPath::Leaf(leaf), *kind)?.value.as_ref());
            values.flatten().next()
        })
    }

    /// Returns the source and the place of the kind of a leaf's register that holds `value`.
    fn holding(&self, leaf: Leaf, value: &CanonicalJson) -> Option<(Source, u8)> {
        places(leaf).find(|(source, kind)| self.value(*source, leaf, *kind) == Some(value))
    }

    /// Returns the details of all deadlines, in the order of their ids.
    fn deadline_details(&self) -> impl Iterator<Item = (&str, &CanonicalJson)> {
        let registers = self.document(Source::Deadlines).map_or(&[][..], SourceDocument::registers);
        registers.iter().filter_map(|Register { path, value, .. }| match path {
            RegisterPath::DeadlineDetails(id) => Some((id.as_str(), value.as_ref()?)),
            _ => None,
        })
    }
}

/// Returns the sources that have registers of a leaf, in the order in which they are asked.
fn sources(leaf: Leaf) -> &'static [Source] {
    match &leaf.field().owner {
        Owner::Source(source) => std::slice::from_ref(source),
        Owner::Shared => &SHARING,
        Owner::Derived => &[],
    }
}

/// Returns where the registers of a leaf are.
fn places(leaf: Leaf) -> impl Iterator<Item = (Source, u8)> {
    sources(leaf).iter().flat_map(|source| (0..source.kinds().len() as u8).map(move |kind| (*source, kind)))
}

impl Registers for SourceDocuments {
    fn document(&self, source: Source) -> Option<&SourceDocument> {
        self.document(source)
    }

    fn newest(&self, source: Source) -> Option<i64> {
        self.newest(source)
    }
}
