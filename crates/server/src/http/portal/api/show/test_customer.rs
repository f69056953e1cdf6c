//! Test customers.

use serde::Serialize;
use utoipa::ToSchema;

use super::{id, time};
use crate::programme::test_customer::DrawnPassword;
use crate::store;

/// A customer on staging that a partner made for itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestCustomer {
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    /// What signs in.
    email: String,
    name: String,
    /// By whom, in words.
    made_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    businesses: Vec<TestBusiness>,
}

/// A business of one.
#[derive(Serialize, ToSchema)]
struct TestBusiness {
    /// A number, as text: it may exceed 2^53.
    #[schema(example = "9007199254740993")]
    id: String,
    name: String,
    #[schema(example = "EUR")]
    currency: String,
    locations: Vec<TestLocation>,
}

/// Where a business is.
#[derive(Serialize, ToSchema)]
struct TestLocation {
    /// A number, as text: it may exceed 2^53.
    #[schema(example = "9007199254740993")]
    id: String,
    name: String,
    #[schema(example = "BE")]
    country: String,
    #[schema(example = "Europe/Brussels")]
    timezone: String,
}

/// A part of the list of test customers.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestCustomers {
    pub(crate) items: Vec<TestCustomer>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// A test customer with a password that was just drawn.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestCustomerWithPassword {
    test_customer: TestCustomer,
    /// It is shown this once.
    password: String,
}

impl TestCustomer {
    pub(crate) fn of(
        customer: &store::TestCustomer,
        businesses: &[store::Business],
    ) -> TestCustomer {
        TestCustomer {
            id: id(customer.id),
            email: customer.email.clone(),
            name: customer.name.clone(),
            made_by: customer.made_by.clone(),
            created_at: time(customer.created_at),
            businesses: businesses.iter().map(TestBusiness::from).collect(),
        }
    }
}

impl From<&store::Business> for TestBusiness {
    fn from(business: &store::Business) -> TestBusiness {
        let location = |location: &store::Location| TestLocation {
            id: location.id.to_string(),
            name: location.name.clone(),
            country: location.country.clone(),
            timezone: location.timezone.clone(),
        };
        TestBusiness {
            id: business.id.to_string(),
            name: business.name.clone(),
            currency: business.currency.clone(),
            locations: business.locations.iter().map(location).collect(),
        }
    }
}

impl TestCustomerWithPassword {
    pub(crate) fn of(
        test_customer: TestCustomer,
        drawn: &DrawnPassword,
    ) -> TestCustomerWithPassword {
        TestCustomerWithPassword { test_customer, password: drawn.password.as_str().to_owned() }
    }
}
