//! JSON in which no object has a member twice. RFC 7515 4, RFC 7517 4 and RFC 7519 4 let a reader
//! take the last one; two readers that disagree about which one counts are how a check is passed by.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Why bytes are no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonFault {
    /// not JSON, nested too deeply, or followed by something
    NotJson,
    /// JSON, but no object
    NotObject,
    /// a member stands twice, here or further in
    Repeated,
}

/// Reads one object and nothing behind it.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader).map_err(|error| {
        // The visitor takes every kind of value: all that it refuses is a member that comes twice.
        if error.is_data() { JsonFault::Repeated } else { JsonFault::NotJson }
    })?;
    reader.end().map_err(|_| JsonFault::NotJson)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonFault::NotObject),
    }
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without a member twice")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element_seed(Strict)? {
            all.push(element);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match all.entry(name) {
                Entry::Occupied(_) => return Err(A::Error::custom("a member stands twice")),
                Entry::Vacant(place) => place.insert(members.next_value_seed(Strict)?),
            };
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s27_a_member_twice_is_refused_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[{"a":1,"a":2}]}"#,
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonFault::Repeated), "{text}");
        }
        assert!(parse_object(br#"{"a":{"a":1},"b":{"a":2}}"#).is_ok());
    }

    #[test]
    fn s27_what_is_no_single_object_is_refused() {
        for text in ["", " ", "{", "{}x", "{} {}", r#"{"a":}"#, r#"{"a":1e999}"#, "\u{feff}{}"] {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonFault::NotJson), "{text}");
        }
        for text in ["[]", "null", "\"a\"", "1", "true"] {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonFault::NotObject), "{text}");
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(JsonFault::NotJson));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse_object(deep.as_bytes()), Err(JsonFault::NotJson));
    }

    #[test]
    fn s27_a_document_reads_as_serde_json_reads_it() {
        let text = r#" {"a":[1,-2,3.5,true,null,"x\n",{"b":{}}],"c":18446744073709551615} "#;
        let expected: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(parse_object(text.as_bytes()).unwrap(), expected);
    }
}
