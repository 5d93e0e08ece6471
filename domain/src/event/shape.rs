//! What a value in an event must look like: read by the checks and by the JSON Schema.

use crate::rules::Limits;
use crate::table::{DOCUMENTS, Leaf, SetOf, ValueType};

/// The required shape of a value.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    /// A number from 0 to 1.
    Fraction,
    Word(&'static [&'static str]),
    Token,
    DisplayName,
    State,
    Slug,
    Pincode,
    /// The id of a scheme or a deadline.
    ItemId,
    Date,
    /// A path within the site, not a URL.
    Path,
    /// Free text of at most that many characters.
    Text(Limit),
    /// A set of words, sorted bytewise.
    WordSet(&'static [&'static str]),
    /// A set of free texts, sorted bytewise.
    TextSet(Limit),
    /// Names of rules in the order they were sent in.
    RuleNames(Limit),
    /// Ids in the order they were sent in.
    ItemIds(Limit),
    /// A list of objects: how many there may be, and of how many bytes in canonical form.
    Items(&'static Item, Limit, Limit),
    SourceTrace,
    SourceConfidence,
    /// Any object whose canonical form is small enough.
    Metrics,
}

/// Which limit bounds a value.
pub(crate) type Limit = fn(&Limits) -> usize;

const STRING: Limit = |limits| limits.string_chars;
const DESCRIPTION: Limit = |limits| limits.description_chars;
pub(crate) const STATUSES: &[&str] =
    &["not_applied", "applied", "under_review", "approved", "rejected", "active", "lapsed"];

/// An object of a list, closed.
pub(crate) struct Item {
    /// Its members, in canonical order.
    pub(crate) members: &'static [ItemMember],
    /// The member that identifies items and that lists are sorted by; `None` where a list stays as it was sent.
    pub(crate) key: Option<&'static str>,
}

/// A member of an item.
pub(crate) struct ItemMember {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
    pub(crate) shape: Shape,
}

/// Whether a member must, may or must not be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
    /// The server adds it.
    Derived,
}

use Presence::{Derived, Optional, Required};

const fn member(name: &'static str, presence: Presence, shape: Shape) -> ItemMember {
    ItemMember { name, presence, shape }
}

/// The shape of an item of `eligibility.eligible_schemes`.
pub(crate) static SCHEME: Item = Item {
    members: &[
        // Bounded, so that the sum over a batch stays exact.
        member("annual_benefit_inr", Optional, Shape::Integer { min: 0, max: 1_000_000_000_000 }),
        member("application_status", Required, Shape::Word(STATUSES)),
        member("confidence", Required, Shape::Fraction),
        member("deadline", Optional, Shape::Date),
        member("matched_rules", Required, Shape::RuleNames(|limits| limits.matched_rules)),
        member("scheme_id", Required, Shape::ItemId),
        member("scheme_name", Required, Shape::Text(STRING)),
    ],
    key: Some("scheme_id"),
};

/// One of `deadlines.upcoming` and `deadlines.overdue`.
pub(crate) static DEADLINE: Item = Item {
    members: &[
        member("action_url", Required, Shape::Path),
        member("days_remaining", Derived, Shape::Integer { min: -3_652_424, max: 3_652_424 }),
        member("deadline_id", Required, Shape::ItemId),
        member("description", Required, Shape::Text(DESCRIPTION)),
        member("due_date", Required, Shape::Date),
        member("priority", Required, Shape::Word(&["low", "medium", "high", "critical"])),
        member("type", Required, Shape::Text(STRING)),
    ],
    key: Some("deadline_id"),
};

/// The shape of an item of `predictions.predicted_events`.
pub(crate) static PREDICTED_EVENT: Item = Item {
    members: &[
        member("confidence", Required, Shape::Fraction),
        member("estimated_date", Required, Shape::Date),
        member("event", Required, Shape::Text(STRING)),
        // An event cannot relate to more schemes than the maximum number of schemes.
        member("related_schemes", Required, Shape::ItemIds(|limits| limits.schemes)),
    ],
    key: None,
};

/// The shape of an item of `predictions.recommended_actions`.
pub(crate) static RECOMMENDED_ACTION: Item = Item {
    members: &[
        member("action", Required, Shape::Text(STRING)),
        member("priority", Required, Shape::Integer { min: 1, max: 1_000_000 }),
        member("reason", Required, Shape::Text(STRING)),
        member("scheme_id", Optional, Shape::ItemId),
    ],
    key: None,
};

impl Shape {
    /// Returns what a source may send for a leaf; `None` for leaves that only the server writes.
    pub(crate) fn for_leaf(leaf: Leaf) -> Option<Self> {
        Some(match leaf.field().value {
            ValueType::Bool => Self::Bool,
            ValueType::Integer { min, max } => Self::Integer { min, max },
            ValueType::Fraction => Self::Fraction,
            ValueType::Enum(words) => Self::Word(words),
            ValueType::Token => Self::Token,
            ValueType::DisplayName => Self::DisplayName,
            ValueType::State => Self::State,
            ValueType::Slug => Self::Slug,
            ValueType::Pincode => Self::Pincode,
            ValueType::Set(SetOf::Documents) => Self::WordSet(&DOCUMENTS),
            ValueType::Set(SetOf::Tags) => Self::TextSet(|limits| limits.cohort_tags),
            ValueType::Schemes => {
                Self::Items(&SCHEME, |limits| limits.schemes, |limits| limits.eligibility_batch_bytes)
            }
            ValueType::PredictedEvents => {
                let bytes = |limits: &Limits| limits.predicted_events_bytes;
                Self::Items(&PREDICTED_EVENT, |limits| limits.predicted_events, bytes)
            }
            ValueType::RecommendedActions => {
                let bytes = |limits: &Limits| limits.recommended_actions_bytes;
                Self::Items(&RECOMMENDED_ACTION, |limits| limits.recommended_actions, bytes)
            }
            ValueType::SourceTrace => Self::SourceTrace,
            // Deadlines are lists of registers: no event holds the list.
            ValueType::Count | ValueType::Percent | ValueType::Hours | ValueType::Instant | ValueType::Deadlines => {
                return None;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_list_their_members_in_canonical_order() {
        for item in [&SCHEME, &DEADLINE, &PREDICTED_EVENT, &RECOMMENDED_ACTION] {
            assert!(item.members.is_sorted_by_key(|member| member.name));
            assert!(item.key.is_none_or(|key| item.members.iter().any(|member| member.name == key)));
        }
    }
}
