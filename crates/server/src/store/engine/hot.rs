//! A conditional write of the hot path, written once.
//!
//! In its text a parameter is written `{1}`, `{2}`, …, and `{MEMBERS}` stands where the members of a
//! batch come in: behind `SET …` of an UPDATE, or first in the FROM of an `INSERT … SELECT`. An
//! `INSERT … SELECT` that reads no table has `{ONLY_MEMBERS}` there. From that come two forms:
//!
//! 1. [`HotWrite::single`]: one member, on either engine;
//! 2. [`HotWrite::batch`]: as many as wait, in one statement of PostgreSQL, and so with one round
//!    trip and one flush of its log. Each parameter is an array, and the answer is the ids of the
//!    rows that were written.
//!
//! A write may give back columns of the row as it is now ([`HotWrite::giving_back`]): who knows what
//! it wants needs no read before it.
//!
//! The first two parameters are the environment and the id of the row; that is how a batch tells
//! its members apart.

use std::sync::OnceLock;

use super::value::Value;

/// A write that many callers make at once, each for one row.
#[derive(Debug)]
pub(in crate::store) struct HotWrite {
    parts: &'static [&'static str],
    parameters: &'static [Parameter],
    /// The columns that are given back, separated by commas.
    back: &'static str,
    single: OnceLock<String>,
    batch: OnceLock<String>,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Parameter {
    Text,
    Integer,
    Bytes,
}

impl HotWrite {
    pub(in crate::store) const fn new(
        parts: &'static [&'static str],
        parameters: &'static [Parameter],
    ) -> HotWrite {
        HotWrite::giving_back("", parts, parameters)
    }

    /// The same, giving back these columns of the row that was written.
    pub(in crate::store) const fn giving_back(
        back: &'static str,
        parts: &'static [&'static str],
        parameters: &'static [Parameter],
    ) -> HotWrite {
        HotWrite { parts, parameters, back, single: OnceLock::new(), batch: OnceLock::new() }
    }

    /// Whether it gives back the row that it wrote.
    pub(super) fn gives_back(&self) -> bool {
        !self.back.is_empty()
    }

    /// The types of the parameters, in order.
    pub(super) fn parameters(&self) -> &'static [Parameter] {
        self.parameters
    }

    /// The form for one member: `{2}` becomes `$2`.
    pub(super) fn single(&'static self) -> &'static str {
        self.single.get_or_init(|| {
            let members = if self.is_insert() { "FROM " } else { "" };
            let text = self.fill(|at| format!("${at}"), [members, ""]);
            if self.gives_back() { format!("{text} RETURNING {}", self.back) } else { text }
        })
    }

    /// The form for many members: `{2}` becomes the member's own `m.p2`.
    pub(super) fn batch(&'static self) -> &'static str {
        self.batch.get_or_init(|| {
            let arrays: Vec<String> = (1..)
                .zip(self.parameters)
                .map(|(at, parameter)| format!("${at}::{}[]", parameter.postgres()))
                .collect();
            let names: Vec<String> =
                (1..=self.parameters.len()).map(|at| format!("p{at}")).collect();
            let more = if self.is_insert() { ", " } else { " " };
            let only = format!("FROM unnest({}) AS m({})", arrays.join(", "), names.join(", "));
            let members = [format!("{only}{more}"), format!("{only} ")];
            let text = self.fill(|at| format!("m.p{at}"), members.each_ref().map(String::as_str));
            let back = if self.gives_back() { format!(", {}", self.back) } else { String::new() };
            format!("{text} RETURNING id{back}")
        })
    }

    fn is_insert(&self) -> bool {
        self.parts.first().is_some_and(|text| text.starts_with("INSERT"))
    }

    fn fill(&self, parameter: impl Fn(usize) -> String, [members, only]: [&str; 2]) -> String {
        let text = self.parts.concat().replace("{MEMBERS}", members);
        let text = text.replace("{ONLY_MEMBERS}", only);
        (1..=self.parameters.len())
            .fold(text, |text, at| text.replace(&format!("{{{at}}}"), &parameter(at)))
    }
}

impl Parameter {
    fn postgres(self) -> &'static str {
        match self {
            Parameter::Text => "text",
            Parameter::Integer => "bigint",
            Parameter::Bytes => "bytea",
        }
    }

    /// Whether a value may stand here.
    pub(super) fn takes(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (_, Value::Null)
                | (Parameter::Text, Value::Text(_))
                | (Parameter::Integer, Value::Integer(_))
                | (Parameter::Bytes, Value::Bytes(_))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TURN: HotWrite = HotWrite::new(
        &["UPDATE grants SET generation = {3} {MEMBERS}", "WHERE environment = {1} AND id = {2}"],
        &[Parameter::Text, Parameter::Bytes, Parameter::Integer],
    );
    static GIVING: HotWrite = HotWrite::giving_back(
        "scope, ends_at",
        &["UPDATE grants SET generation = 1 {MEMBERS}WHERE environment = {1} AND id = {2}"],
        &[Parameter::Text, Parameter::Bytes],
    );
    static INSERT: HotWrite = HotWrite::new(
        &[
            "INSERT INTO grants (environment, id) SELECT {1}, {2} {MEMBERS}clients c WHERE c.id = {2}",
        ],
        &[Parameter::Text, Parameter::Bytes],
    );

    static ALONE: HotWrite = HotWrite::new(
        &["INSERT INTO once_values (environment, id) SELECT {1}, {2} {ONLY_MEMBERS}WHERE TRUE"],
        &[Parameter::Text, Parameter::Bytes],
    );

    #[test]
    fn one_text_gives_the_form_for_one_and_the_form_for_many() {
        assert_eq!(
            TURN.single(),
            "UPDATE grants SET generation = $3 WHERE environment = $1 AND id = $2"
        );
        assert_eq!(
            TURN.batch(),
            "UPDATE grants SET generation = m.p3 \
             FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS m(p1, p2, p3) \
             WHERE environment = m.p1 AND id = m.p2 RETURNING id"
        );
        assert!(
            GIVING
                .single()
                .ends_with("WHERE environment = $1 AND id = $2 RETURNING scope, ends_at")
        );
        assert!(GIVING.batch().ends_with("AND id = m.p2 RETURNING id, scope, ends_at"));
        assert_eq!(
            INSERT.single(),
            "INSERT INTO grants (environment, id) SELECT $1, $2 FROM clients c WHERE c.id = $2"
        );
        assert_eq!(
            INSERT.batch(),
            "INSERT INTO grants (environment, id) SELECT m.p1, m.p2 \
             FROM unnest($1::text[], $2::bytea[]) AS m(p1, p2), clients c WHERE c.id = m.p2 \
             RETURNING id"
        );
        assert_eq!(
            ALONE.single(),
            "INSERT INTO once_values (environment, id) SELECT $1, $2 WHERE TRUE"
        );
        assert_eq!(
            ALONE.batch(),
            "INSERT INTO once_values (environment, id) SELECT m.p1, m.p2 \
             FROM unnest($1::text[], $2::bytea[]) AS m(p1, p2) WHERE TRUE RETURNING id"
        );
    }
}
