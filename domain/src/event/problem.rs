//! What can be wrong with a feed event. Names are part of the contract: they stay, and new ones are added.

use crate::named_enum;

macro_rules! problems {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $name:literal, $title:literal;)*) => {
        named_enum! {
            /// The kind of a fault in a feed event. Answers and dead letters carry its name, in kebab case.
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub enum EventProblem { $($(#[$doc])* $variant => $name,)* }
        }

        impl EventProblem {
            /// Returns one short sentence, the same for every occurrence (RFC 9457 `title`).
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// Returns the HTTP status of a request that holds this event alone.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }
        }
    };
}

problems! {
    /// The text is not JSON.
    MalformedJson = 400, "malformed-json", "The text is not JSON";
    /// The text is not UTF-8.
    InvalidUtf8 = 400, "invalid-utf8", "The text is not UTF-8";
    /// An object gives a member twice.
    DuplicateMember = 422, "duplicate-member", "An object gives a member twice";
    /// Arrays and objects nest too deep.
    TooDeep = 400, "too-deep", "Arrays and objects nest too deep";
    /// A number is beyond 2^53 in magnitude.
    NumberTooLarge = 422, "number-too-large", "A number is beyond 2^53 in magnitude";
    /// The event has too many bytes.
    EventTooLarge = 413, "event-too-large", "The event has too many bytes";

    /// `specversion` is not 1.0.
    UnsupportedSpecversion = 422, "unsupported-specversion", "The CloudEvents version is not supported";
    /// `datacontenttype` is not JSON, or the data came as `data_base64`.
    UnsupportedContentType = 422, "unsupported-content-type", "The event's data is not JSON";
    /// An extension's name is not one that CloudEvents allows.
    InvalidAttributeName = 422, "invalid-attribute-name", "An attribute's name is not legal in CloudEvents";
    /// The type is not a feed event type.
    UnknownType = 422, "unknown-type", "The type is not a feed event type";
    /// The type belongs to another source than the path's.
    WrongSource = 422, "wrong-source", "The type belongs to another source";
    /// The last segment of `source` is not the path's source.
    SourceMismatch = 422, "source-mismatch", "The event's source is not the path's";
    /// The subject is not a user id.
    InvalidSubject = 422, "invalid-subject", "The subject is not a user id";
    /// The time is not in the form of RFC 3339.
    InvalidTime = 422, "invalid-time", "The time is not in the form of RFC 3339";
    /// The time is too far ahead of the clock.
    TimeInFuture = 422, "time-in-future", "The time is too far ahead";
    /// The time is before 2000.
    TimeTooOld = 422, "time-too-old", "The time is before the year 2000";
    /// The source may not claim this kind.
    KindNotAllowed = 422, "kind-not-allowed", "The source may not claim this kind";

    /// A required member is missing.
    MissingMember = 422, "missing-member", "A member is missing";
    /// A member that is not in the contract.
    UnknownMember = 422, "unknown-member", "A member is unknown";
    /// A member that the server derives.
    DerivedMember = 422, "derived-member", "A derived member cannot be written";
    /// A member that another source owns.
    NotOwner = 422, "not-owner", "The source does not own this member";
    /// The event holds no value.
    NothingSaid = 422, "nothing-said", "The event holds no value";
    /// A value has another JSON type.
    WrongType = 422, "wrong-type", "A value has the wrong type";
    /// A value is none of the allowed words.
    UnknownValue = 422, "unknown-value", "A value is none of the allowed ones";
    /// A number is out of its range.
    OutOfRange = 422, "out-of-range", "A number is out of range";
    /// A string does not have the form that is asked for.
    InvalidFormat = 422, "invalid-format", "A string does not have the required form";
    /// A string has too many characters.
    TooLong = 422, "too-long", "A string is too long";
    /// A list has too many items.
    TooMany = 422, "too-many", "A list has too many items";
    /// A value has too many bytes.
    TooLarge = 422, "value-too-large", "A value is too large";
    /// Two items have the same id.
    DuplicateItem = 422, "duplicate-item", "Two items have the same id";
    /// A string is not in Unicode normalisation form C.
    NotNfc = 422, "not-nfc", "A string is not in Unicode normalisation form C";
    /// A string holds a control character.
    ControlCharacter = 422, "control-character", "A string holds a control character";
    /// A value looks like class RED: an Aadhaar number, a PAN or a phone number.
    ClassRed = 422, "class-red", "A value looks like data that must never enter a profile";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let names: BTreeSet<_> = EventProblem::ALL.iter().map(|problem| problem.name()).collect();
        assert_eq!(names.len(), EventProblem::ALL.len());
        assert!(
            names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        );
        assert!(EventProblem::ALL.iter().all(|problem| matches!(problem.status(), 400 | 413 | 422)));
    }
}
