//! Test customers.

use askama::Template;

use super::Shell;
use crate::pages::filters;

/// The test customers of a partner.
#[derive(Clone, Template)]
#[template(path = "portal/test_customers.html")]
pub(crate) struct TestCustomersPage {
    pub(crate) shell: Shell,
    /// How many a partner can have.
    pub(crate) most: i64,
    /// Whether there is no room for another.
    pub(crate) full: bool,
    /// A password that was just drawn: this page alone shows it.
    pub(crate) drawn: Option<DrawnLine>,
    pub(crate) customers: Vec<TestCustomerLine>,
}

/// A password, and who signs in with it.
#[derive(Clone)]
pub(crate) struct DrawnLine {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct TestCustomerLine {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) made: String,
    /// Each with its locations, in words.
    pub(crate) businesses: Vec<String>,
}
