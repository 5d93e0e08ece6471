//! Reads structs from JSON objects only.
//!
//! serde also reads a struct from a JSON array, in the order of its fields in the source code. No protocol here allows
//! that, so structs in received JSON are read through [`JsonObject`].

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

/// A `T` that is an object in its JSON text.
#[derive(Debug, Clone)]
pub(crate) struct JsonObject<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

impl<T: Serialize> Serialize for JsonObject<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Point {
        x: u8,
    }

    #[test]
    fn an_array_is_not_an_object() {
        let read = |text| serde_json::from_str::<JsonObject<Point>>(text).map(|JsonObject(point)| point.x);
        assert_eq!(read(r#"{"x":7}"#).ok(), Some(7));
        assert!(serde_json::from_str::<Point>("[7]").is_ok(), "what serde does by itself");
        for text in ["[7]", "7", "null", "[{\"x\":7}]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
