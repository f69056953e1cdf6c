//! What goes into a statement, and what comes out of a row.

use crate::store::StoreError;

/// A value that goes into a statement or comes out of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Value {
    Null,
    Text(String),
    Integer(i64),
    Boolean(bool),
    Bytes(Vec<u8>),
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub(in crate::store) struct Row(pub(in crate::store) Vec<Value>);

/// Reads the columns of one row in order, and says which one cannot be read.
pub(in crate::store) struct Columns {
    table: &'static str,
    key: String,
    values: std::vec::IntoIter<Value>,
}

impl Row {
    /// Begins to read. `key` names the row in an error.
    pub(in crate::store) fn columns(self, table: &'static str, key: impl Into<String>) -> Columns {
        Columns { table, key: key.into(), values: self.0.into_iter() }
    }
}

impl Columns {
    pub(in crate::store) fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, row: self.key.clone() }
    }

    fn next(&mut self) -> Value {
        self.values.next().unwrap_or(Value::Null)
    }

    pub(in crate::store) fn text(&mut self, column: &'static str) -> Result<String, StoreError> {
        self.optional_text(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(in crate::store) fn optional_text(
        &mut self,
        column: &'static str,
    ) -> Result<Option<String>, StoreError> {
        match self.next() {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(in crate::store) fn integer(&mut self, column: &'static str) -> Result<i64, StoreError> {
        self.optional_integer(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(in crate::store) fn optional_integer(
        &mut self,
        column: &'static str,
    ) -> Result<Option<i64>, StoreError> {
        match self.next() {
            Value::Integer(integer) => Ok(Some(integer)),
            Value::Null => Ok(None),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(in crate::store) fn boolean(&mut self, column: &'static str) -> Result<bool, StoreError> {
        match self.next() {
            Value::Boolean(boolean) => Ok(boolean),
            // SQLite has no type of its own for them.
            Value::Integer(0) => Ok(false),
            Value::Integer(1) => Ok(true),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(in crate::store) fn optional_boolean(
        &mut self,
        column: &'static str,
    ) -> Result<Option<bool>, StoreError> {
        match self.next() {
            Value::Null => Ok(None),
            Value::Boolean(boolean) => Ok(Some(boolean)),
            Value::Integer(0) => Ok(Some(false)),
            Value::Integer(1) => Ok(Some(true)),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(in crate::store) fn bytes(&mut self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        match self.next() {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(in crate::store) fn optional_bytes(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next() {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(in crate::store) fn array<const N: usize>(
        &mut self,
        column: &'static str,
    ) -> Result<[u8; N], StoreError> {
        self.optional_array(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(in crate::store) fn optional_array<const N: usize>(
        &mut self,
        column: &'static str,
    ) -> Result<Option<[u8; N]>, StoreError> {
        match self.next() {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => bytes.try_into().map(Some).map_err(|_| self.corrupt(column)),
            _ => Err(self.corrupt(column)),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Value {
        Value::Integer(integer)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Value {
        Value::Boolean(boolean)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Bytes(bytes)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
