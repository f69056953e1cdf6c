//! Customers: those that partners made for themselves, and those that connected apps on staging, one
//! of them very many.

use grantor::programme::test_customer::MOST_TEST_CUSTOMERS;
use grantor::store::{Business, Location, NewConsent, NewCustomer, NewGrant, Store, Turn};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::Binding;
use grantor_protocol::scope::Scope;

use super::super::ground::Ground;
use super::super::visitor::{CUSTOMER, OWNER};
use super::{Apps, LARGEST, Size, at_once, done};
use crate::failure::Failure;
use crate::server::SCOPES;

/// One customer connected so many apps.
const CONNECTED: usize = 300;
/// And has so many businesses.
const BUSINESSES: i64 = 20;
/// One partner of so many has test customers.
const WITH_TEST_CUSTOMERS: usize = 10;
/// An id of a business begins here, as real ones do.
const FIRST_BUSINESS: i64 = 9_007_199_254_740_993;
const STAGING: Environment = Environment::Staging;
const DAY_SECONDS: i64 = 24 * 3600;

/// Makes test customers: the largest partner has as many as it may, some have two.
pub(super) async fn test_customers(ground: &Ground, partners: &[[u8; 16]]) -> Result<(), Failure> {
    let mut next = FIRST_BUSINESS + 1_000_000;
    for (number, partner_id) in partners.iter().enumerate().step_by(WITH_TEST_CUSTOMERS) {
        let count = if number == LARGEST { MOST_TEST_CUSTOMERS } else { 2 };
        for at in 0..count {
            let email = format!("test-{number}-{at}@partners.test");
            let customer = customer(ground, ground.id(), &email);
            let businesses = [business(next), business(next + 10)];
            next += 20;
            let mut act = ground.act(OWNER, "test_customer.made", email.clone());
            act.partner_id = Some(*partner_id);
            let most = (*partner_id, MOST_TEST_CUSTOMERS);
            let made = ground.store.make_test_customer(most, &customer, &businesses, &act);
            done(made.await?, "a test customer")?;
        }
    }
    Ok(())
}

/// Makes the customer of very many apps, and the others, each with one.
pub(super) async fn customers(ground: &Ground, size: Size, apps: &Apps) -> Result<(), Failure> {
    let id = ground.id();
    let now = ground.clock.now();
    done(ground.store.add_customer(&customer(ground, id, CUSTOMER), now).await?, "a customer")?;
    let mut held = Vec::new();
    for number in 0..BUSINESSES {
        let business = business(FIRST_BUSINESS + number * 10);
        held.push(business.id);
        done(ground.store.add_business(STAGING, id, &business).await?, "a business")?;
    }
    let connected = apps.staging.iter().take(CONNECTED);
    at_once(connected.map(|app| connect(ground, id, app, held.clone()))).await?;

    let others: Vec<_> = (0..size.clients / 5).map(|number| (number, ground.id())).collect();
    at_once(others.into_iter().map(|(number, id)| {
        let app = &apps.staging[number % apps.staging.len()];
        let connect = connect(ground, id, app, Vec::new());
        let (store, hash) = (ground.store.clone(), ground.password_hash.clone());
        async move {
            let email = format!("customer-{number}@customers.example");
            let new = NewCustomer {
                environment: STAGING,
                id,
                email: &email,
                name: "Casey Customer",
                password_hash: &hash,
                demo: false,
            };
            done(store.add_customer(&new, now).await?, "a customer")?;
            connect.await
        }
    }))
    .await
}

/// Allows, and exchanges the code.
fn connect(
    ground: &Ground,
    customer_id: [u8; 16],
    client_id: &str,
    businesses: Vec<i64>,
) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
    let store: Store = ground.store.clone();
    let (id, attempt) = (ground.id(), ground.random.bytes());
    let epoch = ground.keys.sealer(STAGING).epoch();
    let (now, client_id) = (ground.clock.now(), client_id.to_owned());
    async move {
        let scope = Scope::parse(SCOPES).map_err(|_| Failure::said("no scope"))?;
        let given = NewConsent { scope: scope.clone(), asked_scope: scope.clone() };
        let grant = NewGrant {
            environment: STAGING,
            id,
            client_id,
            customer_id,
            customer_counter: 0,
            consent_counter: None,
            scope,
            businesses,
            redirect_uri: "https://app.apps.example/oauth/callback".to_owned(),
            code_challenge: None,
            binding: Binding::default(),
            openid: None,
            code_expires_at: now + 60,
            ends_at: None,
        };
        done(store.allow(&grant, Some(&given), epoch, now).await?, "a consent")?;
        let turn = Turn {
            environment: STAGING,
            id,
            attempt,
            idle_expires_at: now + 14 * DAY_SECONDS,
            from: "192.0.2.1",
            key: None,
            binds_refresh: false,
            now,
        };
        done(store.redeem_code(&turn).await?, "a code")
    }
}

fn customer<'a>(ground: &'a Ground, id: [u8; 16], email: &'a str) -> NewCustomer<'a> {
    let password_hash = ground.password_hash.as_str();
    let name = "Casey Customer";
    NewCustomer { environment: STAGING, id, email, name, password_hash, demo: false }
}

fn business(id: i64) -> Business {
    let location = |at: i64, name: &str| Location {
        id: id + at,
        name: name.to_owned(),
        country: "FR".to_owned(),
        timezone: "Europe/Paris".to_owned(),
    };
    Business {
        id,
        name: format!("Bistro {}", id - FIRST_BUSINESS),
        currency: "EUR".to_owned(),
        locations: vec![location(1, "Centre"), location(2, "Station")],
    }
}
