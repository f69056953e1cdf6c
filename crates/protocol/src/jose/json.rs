//! JSON in which no object has a member twice. RFC 7515 4, RFC 7517 4 and RFC 7519 4 let a reader
//! take the last one; two readers that disagree about which one counts are how a check is passed by.
//!
//! A text is borrowed from the document, unless it stands there with an escape: most of what is read
//! is compared once, and forgotten.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// The members of an object.
pub type Members<'a> = BTreeMap<Cow<'a, str>, Value<'a>>;

/// A value, with the names of [`serde_json::Value`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// a number
    Number(Number),
    /// text
    String(Cow<'a, str>),
    /// a list
    Array(Vec<Value<'a>>),
    /// an object, no member twice
    Object(Members<'a>),
}

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
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Members<'_>, JsonFault> {
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

impl<'a> Value<'a> {
    /// The text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, where it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// Whether it is true, where it is `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The elements, where it is a list.
    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members, where it is an object.
    pub fn as_object(&self) -> Option<&Members<'a>> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// A member, where it is an object that has it.
    pub fn get(&self, member: &str) -> Option<&Value<'a>> {
        self.as_object()?.get(member)
    }

    /// The same, with texts of its own.
    pub(crate) fn into_owned(self) -> Value<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Value::Null => Value::Null,
            Value::Bool(flag) => Value::Bool(flag),
            Value::Number(number) => Value::Number(number),
            Value::String(text) => Value::String(own(text)),
            Value::Array(all) => Value::Array(all.into_iter().map(Value::into_owned).collect()),
            Value::Object(members) => {
                let owned =
                    members.into_iter().map(|(name, value)| (own(name), value.into_owned()));
                Value::Object(owned.collect())
            }
        }
    }
}

/// The name of a member.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without a member twice")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(value.to_owned().into()))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value<'de>, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element_seed(Strict)? {
            all.push(element);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let mut all = Members::new();
        while let Some(Name(name)) = members.next_key()? {
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
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        let read = Value::Object(parse_object(text.as_bytes()).unwrap());
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
        assert_eq!(read.clone().into_owned(), read);
    }

    #[test]
    fn a_text_is_copied_only_where_it_stands_with_an_escape() {
        let members = parse_object(br#"{"a":"x","\u0062":"\u0079"}"#).unwrap();
        let copied = |text: &Cow<'_, str>| matches!(text, Cow::Owned(_));
        let read = members.iter().map(|(name, value)| match value {
            Value::String(text) => (name.as_ref(), copied(name), text.as_ref(), copied(text)),
            _ => panic!("{value:?}"),
        });
        let expected = [("a", false, "x", false), ("b", true, "y", true)];
        assert_eq!(read.collect::<Vec<_>>(), expected);
    }
}
