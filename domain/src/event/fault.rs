//! One fault of an event, and its position.

use std::borrow::Cow;

use super::EventProblem;
use crate::json::{JsonError, JsonProblem};

/// Maximum number of faults of one event that are reported.
pub(crate) const MAX_REPORTED_FAULTS: usize = 16;

/// One thing that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFault {
    /// The kind of fault.
    pub problem: EventProblem,
    /// The position as a JSON Pointer into the event; `None` where the text is not JSON.
    pub pointer: Option<String>,
    /// What would have been accepted: names of known members, limits and allowed words, never a value from the event.
    pub detail: Cow<'static, str>,
}

impl EventFault {
    pub(crate) fn new(problem: EventProblem, at: &Location<'_>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { problem, pointer: Some(at.pointer()), detail: detail.into() }
    }

    /// Returns the fault of a text that the strict reader refuses.
    pub(crate) fn from_json(error: JsonError) -> Self {
        let problem = match error.problem {
            JsonProblem::Malformed { .. } => EventProblem::MalformedJson,
            JsonProblem::NotAnArray => EventProblem::WrongType,
            JsonProblem::InvalidUtf8 { .. } => EventProblem::InvalidUtf8,
            JsonProblem::DuplicateMember => EventProblem::DuplicateMember,
            JsonProblem::TooDeep { .. } => EventProblem::TooDeep,
            JsonProblem::NumberTooLarge => EventProblem::NumberTooLarge,
        };
        Self { problem, pointer: error.pointer.map(cut_to_repeatable), detail: error.problem.to_string().into() }
    }
}

/// A position in an event: a chain on the stack, so that no pointer is built unless there is a fault.
#[derive(Clone, Copy)]
pub(crate) struct Location<'a> {
    step: PointerToken<'a>,
    outer: Option<&'a Location<'a>>,
}

#[derive(Clone, Copy)]
enum PointerToken<'a> {
    Member(&'a str),
    Index(usize),
}

/// Maximum number of characters of a member's name in a pointer. No name of the contract is longer.
const NAME_CHARS: usize = 64;
/// Maximum length of a pointer. A longer one is cut after a step, so that it names an enclosing object: the names
/// come from the event, and each may be part of sixteen faults.
const POINTER_BYTES: usize = 512;

impl<'a> Location<'a> {
    /// The location of the whole event.
    pub(crate) const ROOT: Location<'static> = Location { step: PointerToken::Index(0), outer: None };

    pub(crate) fn member(&'a self, name: &'a str) -> Self {
        Location { step: PointerToken::Member(name), outer: Some(self) }
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Location { step: PointerToken::Index(index), outer: Some(self) }
    }

    /// Returns the JSON Pointer (RFC 6901).
    pub(crate) fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut at = self;
        while let Some(outer) = at.outer {
            steps.push(at.step);
            at = outer;
        }
        let mut pointer = String::new();
        for step in steps.iter().rev() {
            match step {
                PointerToken::Index(index) => pointer.push_str(&format!("/{index}")),
                PointerToken::Member(name) => {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
            }
        }
        // A pointer that is cut before a member whose name must not be repeated names the object that holds the member.
        cut_to_repeatable(pointer)
    }
}

/// Cuts a pointer before the first member's name that must not be repeated in an answer, and where it becomes too long.
fn cut_to_repeatable(pointer: String) -> String {
    let mut end = 0;
    for step in pointer.split('/').skip(1) {
        if end + 1 + step.len() > POINTER_BYTES || !may_be_repeated(&step.replace("~1", "/").replace("~0", "~")) {
            return pointer[..end].to_owned();
        }
        end += step.len() + 1;
    }
    pointer
}

/// Returns whether a member's name may be repeated in an answer. It comes from the event, so it could be anything, even
/// an Aadhaar number.
fn may_be_repeated(name: &str) -> bool {
    name.chars().count() <= NAME_CHARS && !name.chars().any(char::is_control) && !crate::sensitive::in_text(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_escaped_and_stops_before_what_must_not_be_repeated() {
        let root = Location::ROOT;
        let (data, long) = (root.member("data"), "x".repeat(65));
        let (item, secret) = (data.index(3), data.member("2341 2341 2346"));
        assert_eq!((root.pointer(), item.member("a/~b").pointer()), (String::new(), "/data/3/a~1~0b".to_owned()));
        assert_eq!((secret.member("x").pointer(), item.member(&long).pointer()), ("/data".into(), "/data/3".into()));
        assert_eq!(cut_to_repeatable("/data/2341 2341 2346/x".to_owned()), "/data");
        assert_eq!(cut_to_repeatable("/data/a~1b/0".to_owned()), "/data/a~1b/0");
        assert_eq!(cut_to_repeatable(String::new()), "");
        let step = format!("/{}", "é".repeat(50));
        assert_eq!(cut_to_repeatable(step.repeat(64)), step.repeat(5), "at most 512 bytes, and a whole step");
    }
}
