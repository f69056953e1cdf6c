//! The engine below the store: the only folder that knows which database there is.
//!
//! A transaction is a value: a list of [`Statement`]s, each with the number of rows that it has to
//! change. Either all of it happens, or, where one statement changes another number, none of it.
//! That is all that a store of conditional writes needs, and it can be batched, retried and
//! injected with faults by whoever carries it out.

mod sqlite;

pub(super) use sqlite::Sqlite as Engine;

use super::StoreError;

/// A value that goes into a statement or comes out of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
}

/// One statement of a transaction. Its parameters are written `$1`, `$2`, ….
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    pub(super) expect: Expect,
}

/// How many rows a statement has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Any number: the statement is no condition of the transaction.
    Any,
    /// One. Otherwise the state was not the expected one, and nothing of the transaction happens.
    One,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is committed.
    Done,
    /// A statement found another state than it expected. Nothing happened.
    Refused,
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub(super) struct Row(pub(super) Vec<Value>);

impl Statement {
    pub(super) fn new(sql: &'static str, values: Vec<Value>) -> Statement {
        Statement { sql, values, expect: Expect::One }
    }

    pub(super) fn any(sql: &'static str, values: Vec<Value>) -> Statement {
        Statement { sql, values, expect: Expect::Any }
    }
}

impl Outcome {
    pub(super) fn is_done(self) -> bool {
        self == Outcome::Done
    }
}

/// Reads the columns of one row in order, and says which one cannot be read.
pub(super) struct Columns {
    table: &'static str,
    key: String,
    values: std::vec::IntoIter<Value>,
}

impl Row {
    /// Begins to read. `key` names the row in an error.
    pub(super) fn columns(self, table: &'static str, key: impl Into<String>) -> Columns {
        Columns { table, key: key.into(), values: self.0.into_iter() }
    }
}

impl Columns {
    pub(super) fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, row: self.key.clone() }
    }

    fn next(&mut self) -> Value {
        self.values.next().unwrap_or(Value::Null)
    }

    pub(super) fn text(&mut self, column: &'static str) -> Result<String, StoreError> {
        self.optional_text(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_text(
        &mut self,
        column: &'static str,
    ) -> Result<Option<String>, StoreError> {
        match self.next() {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(super) fn integer(&mut self, column: &'static str) -> Result<i64, StoreError> {
        self.optional_integer(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_integer(
        &mut self,
        column: &'static str,
    ) -> Result<Option<i64>, StoreError> {
        match self.next() {
            Value::Integer(integer) => Ok(Some(integer)),
            Value::Null => Ok(None),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(super) fn boolean(&mut self, column: &'static str) -> Result<bool, StoreError> {
        match self.integer(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(super) fn bytes(&mut self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        match self.next() {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.corrupt(column)),
        }
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        column: &'static str,
    ) -> Result<[u8; N], StoreError> {
        self.optional_array(column)?.ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn optional_array<const N: usize>(
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
        Value::Integer(i64::from(boolean))
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
