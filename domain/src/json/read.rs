//! The strict reader. serde_json reads the tokens; this module decides which values are allowed.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Json, MAX_SAFE_INTEGER};
use crate::canonical::CanonicalJson;

/// The error for text that the strict reader refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct JsonError {
    /// The kind of fault.
    pub problem: JsonProblem,
    /// The position of the fault as a JSON Pointer; `None` if the text is not JSON and has no pointers.
    pub pointer: Option<String>,
}

/// The kind of a fault in a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// The text is not JSON.
    #[error("the text is not JSON: it goes wrong at line {line}, column {column}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1; 0 is the line's very start.
        column: usize,
    },
    /// The text is JSON, but no array.
    #[error("the text is not a JSON array")]
    NotAnArray,
    /// The text is not UTF-8.
    #[error("the text is not UTF-8 at byte {offset}")]
    InvalidUtf8 {
        /// The first bad byte, from 0.
        offset: usize,
    },
    /// An object gives a member twice.
    #[error("a member is given twice")]
    DuplicateMember,
    /// Arrays and objects nest deeper than the limit.
    #[error("arrays and objects nest deeper than {limit} levels")]
    TooDeep {
        /// Maximum nesting depth.
        limit: usize,
    },
    /// A number beyond 2^53 in magnitude: implementations differ in what they read there.
    #[error("a number is beyond 2^53 in magnitude")]
    NumberTooLarge,
}

/// Reads one JSON text.
///
/// Text that is not JSON is reported as such, even if a rule of this reader is broken before the syntax error.
///
/// A number that is written with a fraction or an exponent and reaches 2^53 is refused too:
/// a double of that size may denote another number.
///
/// # Errors
/// The text is not JSON, an object gives a name twice, arrays and objects nest deeper than `depth`, or a number is
/// beyond 2^53. The error says where.
pub fn parse(bytes: &[u8], depth: usize) -> Result<Json<'_>, JsonError> {
    let text = utf8(bytes)?;
    let fault = ReadFault { limit: depth, problem: Cell::new(None), path: RefCell::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Value { fault: &fault, depth_left: depth }.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let error = fault.into_error(&error);
        // The strict reader stopped at its own rule, and has not looked at what follows.
        match check_well_formed(text) {
            Err(malformed) if !matches!(error.problem, JsonProblem::Malformed { .. }) => malformed,
            _ => error,
        }
    })
}

fn check_well_formed(text: &str) -> Result<(), JsonError> {
    let malformed = |error: serde_json::Error| JsonProblem::Malformed { line: error.line(), column: error.column() };
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(IgnoredAny) => Ok(()),
        Err(error) => Err(JsonError { problem: malformed(error), pointer: None }),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    std::str::from_utf8(bytes)
        .map_err(|error| JsonError { problem: JsonProblem::InvalidUtf8 { offset: error.valid_up_to() }, pointer: None })
}

/// Reads a value that this server wrote. Bytes that are not JSON, which only a damaged store can hold, read as null.
pub fn parse_canonical(value: &CanonicalJson) -> Json<'_> {
    let parsed = parse(value.as_bytes(), usize::MAX);
    debug_assert!(parsed.is_ok(), "a canonical value is JSON");
    parsed.unwrap_or(Json::Null)
}

/// What went wrong, kept beside serde's error, which can carry text only.
struct ReadFault {
    limit: usize,
    problem: Cell<Option<JsonProblem>>,
    /// The way to the fault, innermost step first: it grows while the error travels out.
    path: RefCell<Vec<String>>,
}

impl ReadFault {
    fn raise<E: serde::de::Error>(&self, problem: JsonProblem) -> E {
        self.problem.set(Some(problem));
        E::custom("refused")
    }

    fn step(&self, name: &str) {
        self.path.borrow_mut().push(name.replace('~', "~0").replace('/', "~1"));
    }

    fn into_error(self, error: &serde_json::Error) -> JsonError {
        let problem = self.problem.get().unwrap_or_else(|| {
            // serde_json does not expose the reason; only the text of its error differs.
            let text = error.to_string();
            if text.starts_with("number out of range") {
                JsonProblem::NumberTooLarge
            } else if text.starts_with("recursion limit exceeded") {
                JsonProblem::TooDeep { limit: self.limit }
            } else {
                JsonProblem::Malformed { line: error.line(), column: error.column() }
            }
        });
        let pointer = (!matches!(problem, JsonProblem::Malformed { .. })).then(|| {
            self.path.take().iter().rev().fold(String::new(), |mut pointer, step| {
                pointer.push('/');
                pointer.push_str(step);
                pointer
            })
        });
        JsonError { problem, pointer }
    }
}

/// Maximum number of members whose names are compared pair by pair; names of larger objects are sorted.
const FEW_MEMBERS: usize = 16;

#[derive(Clone, Copy)]
struct Value<'f> {
    fault: &'f ReadFault,
    depth_left: usize,
}

impl Value<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.fault.raise(JsonProblem::TooDeep { limit: self.fault.limit })),
        }
    }

    fn duplicate<E: serde::de::Error>(self, name: &str) -> E {
        self.fault.step(name);
        self.fault.raise(JsonProblem::DuplicateMember)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json<'de>, E> {
        if value < -MAX_SAFE_INTEGER {
            return Err(self.fault.raise(JsonProblem::NumberTooLarge));
        }
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json<'de>, E> {
        match i64::try_from(value) {
            Ok(value) if value <= MAX_SAFE_INTEGER => Ok(Json::Integer(value)),
            _ => Err(self.fault.raise(JsonProblem::NumberTooLarge)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        if value.abs() >= MAX_SAFE_INTEGER as f64 {
            return Err(self.fault.raise(JsonProblem::NumberTooLarge));
        }
        Ok(if value.fract() == 0.0 { Json::Integer(value as i64) } else { Json::Number(value) })
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        loop {
            match items.next_element_seed(inner) {
                Ok(Some(item)) => array.push(item),
                Ok(None) => return Ok(Json::Array(array)),
                Err(error) => {
                    self.fault.step(&array.len().to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let inner = self.inner()?;
        let mut object: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(name) = members.next_key_seed(Name)? {
            if object.len() < FEW_MEMBERS && object.iter().any(|(earlier, _)| *earlier == name) {
                return Err(self.duplicate(&name));
            }
            match members.next_value_seed(inner) {
                Ok(value) => object.push((name, value)),
                Err(error) => {
                    self.fault.step(&name);
                    return Err(error);
                }
            }
        }
        if object.len() > FEW_MEMBERS {
            // Comparing all pairs would let a client spend a second of CPU with one large object.
            let mut names: Vec<&str> = object.iter().map(|(name, _)| name.as_ref()).collect();
            names.sort_unstable();
            if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(self.duplicate(pair[0]));
            }
        }
        Ok(Json::Object(object))
    }
}

/// A member's name, borrowed where it holds no escape.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
