//! The types of published events.

use crate::named_enum;

named_enum! {
    /// The type of a published event.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum PublishedEventType {
        /// A revision was assembled.
        ProfileAssembled => "profile.assembled",
        /// The patch from one revision to the next was generated.
        ProfileDeltaGenerated => "profile.delta.generated",
        /// The percentage of completeness changed.
        ProfileCompletenessChanged => "profile.completeness.changed",
        /// A snapshot was taken, or the last revision of a day became one.
        ProfileSnapshotCreated => "profile.snapshot.created",
        /// A profile was erased.
        ProfileErased => "profile.erased",
    }
}

/// A set of event types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedEventTypes(u8);

/// The error for a name that is not an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name in the list is not a published event type")]
pub struct UnknownEventType;

impl PublishedEventTypes {
    /// The set of every type.
    pub const ALL: Self = Self(u8::MAX);

    /// Parses a comma-separated list of type names.
    ///
    /// # Errors
    /// A name is not one of [`PublishedEventType::name`].
    pub fn parse(list: &str) -> Result<Self, UnknownEventType> {
        list.split(',').map(str::trim).try_fold(Self(0), |set, name| {
            let found = PublishedEventType::parse(name).ok_or(UnknownEventType)?;
            Ok(Self(set.0 | 1 << found as u8))
        })
    }

    /// Returns whether `kind` is in the set.
    pub const fn has(self, kind: PublishedEventType) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_types_of_the_contract_and_nothing_else() {
        let types = PublishedEventTypes::parse("profile.erased, profile.assembled").expect("two types");
        let found: Vec<_> = PublishedEventType::ALL.into_iter().filter(|kind| types.has(*kind)).collect();
        assert_eq!(found, [PublishedEventType::ProfileAssembled, PublishedEventType::ProfileErased]);
        assert!(PublishedEventType::ALL.into_iter().all(|kind| PublishedEventTypes::ALL.has(kind)));
        for bad in ["", "profile", "profile.assembled,", "profile.assembled profile.erased"] {
            assert_eq!(PublishedEventTypes::parse(bad), Err(UnknownEventType), "{bad}");
        }
    }
}
