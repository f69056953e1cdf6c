//! Values as PostgreSQL takes and gives them.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::super::{Parameter, Row, StoreError, Value};

/// The values of one statement.
pub(in crate::store) fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// One parameter of many members, as an array.
#[derive(Debug)]
pub(super) enum Column<'a> {
    Text(Vec<Option<&'a str>>),
    Integer(Vec<Option<i64>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl<'a> Column<'a> {
    /// Gathers the values that the members have for one parameter; `None` where one of them is of
    /// another type.
    pub(super) fn gather(
        parameter: Parameter,
        values: impl Iterator<Item = &'a Value>,
    ) -> Option<Column<'a>> {
        let values: Vec<&Value> = values.collect();
        if !values.iter().all(|value| parameter.takes(value)) {
            return None;
        }
        Some(match parameter {
            Parameter::Text => Column::Text(pick(&values, |value| match value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            })),
            Parameter::Integer => Column::Integer(pick(&values, |value| match value {
                Value::Integer(integer) => Some(*integer),
                _ => None,
            })),
            Parameter::Bytes => Column::Bytes(pick(&values, |value| match value {
                Value::Bytes(bytes) => Some(bytes.as_slice()),
                _ => None,
            })),
        })
    }

    pub(super) fn as_parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Column::Text(values) => values,
            Column::Integer(values) => values,
            Column::Bytes(values) => values,
        }
    }
}

fn pick<'a, T>(values: &[&'a Value], of: impl Fn(&'a Value) -> Option<T>) -> Vec<Option<T>> {
    values.iter().map(|value| of(value)).collect()
}

/// Reads a row.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let columns = row.columns().iter().enumerate();
    let values = columns.map(|(at, column)| {
        let read = match *column.type_() {
            Type::TEXT => row.try_get::<_, Option<String>>(at).map(Value::from),
            Type::INT8 => row.try_get::<_, Option<i64>>(at).map(Value::from),
            Type::INT4 => row.try_get::<_, Option<i32>>(at).map(|int| int.map(i64::from).into()),
            Type::BOOL => row.try_get::<_, Option<bool>>(at).map(Value::from),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(Value::from),
            ref other => {
                return Err(StoreError::Engine(format!(
                    "the column {} is a {other}, which no column of ours is",
                    column.name()
                )));
            }
        };
        read.map_err(|error| StoreError::Engine(error.to_string()))
    });
    values.collect::<Result<_, _>>().map(Row)
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Text(text) => text.to_sql_checked(ty, out),
            Value::Integer(integer) if *ty == Type::INT4 => {
                i32::try_from(*integer)?.to_sql(ty, out)
            }
            Value::Integer(integer) => integer.to_sql_checked(ty, out),
            Value::Boolean(boolean) => boolean.to_sql_checked(ty, out),
            Value::Bytes(bytes) => bytes.to_sql_checked(ty, out),
        }
    }

    /// Which variant it is shows only with the value: each checks for itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
