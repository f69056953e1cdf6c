//! Test customers: made by a partner for itself, on staging, whenever it wants one.
//!
//! A test customer signs in like any other, with a password that is drawn here and shown once, and
//! has two businesses. There is no way from here to production: no function takes an environment.

use grantor_protocol::environment::Environment;
use zeroize::Zeroizing;

use super::{Actor, Refused};
use crate::hex;
use crate::password::{Password, PasswordError};
use crate::random::Random;
use crate::site::Site;
use crate::store::{Act, Business, Location, NewCustomer, TestCustomer};
use crate::throttle::{Credential, Subject};
use crate::webhook::{Ended, EndedBy, Event, Notice};

/// No partner has more.
pub const MOST_TEST_CUSTOMERS: i64 = 20;
/// An id of a business begins here: it exceeds 2^53, as real ones do, so that whoever reads it into
/// a floating-point number finds out on staging.
const FIRST_ID: i64 = 9_007_199_254_740_993;
/// No slug in an address is longer, in characters.
const MAX_SLUG_CHARACTERS: usize = 40;

const FIRST_NAMES: [&str; 16] = [
    "Alex", "Amina", "Bruno", "Chiara", "Daan", "Elif", "Femke", "Hugo", "Ines", "Jonas", "Kofi",
    "Lena", "Mateo", "Noor", "Olga", "Priya",
];
const LAST_NAMES: [&str; 16] = [
    "Almeida", "Bakker", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hughes", "Ivanova",
    "Janssens", "Kaya", "Laurent", "Moreau", "Novak", "Okafor", "Peeters",
];
const BUSINESS_FIRST: [&str; 16] = [
    "Amber", "Blue", "Cedar", "Copper", "Corner", "Golden", "Green", "Harbour", "Little", "Maple",
    "Old", "Olive", "River", "Silver", "Velvet", "Wild",
];
const BUSINESS_LAST: [&str; 8] =
    ["Bakery", "Bistro", "Brasserie", "Canteen", "Diner", "Grill", "Kitchen", "Wine Bar"];
/// Place, country, time zone, currency.
const PLACES: [(&str, &str, &str, &str); 8] = [
    ("Ghent", "BE", "Europe/Brussels", "EUR"),
    ("Lyon", "FR", "Europe/Paris", "EUR"),
    ("Utrecht", "NL", "Europe/Amsterdam", "EUR"),
    ("Leith", "GB", "Europe/London", "GBP"),
    ("Basel", "CH", "Europe/Zurich", "CHF"),
    ("Montréal", "CA", "America/Toronto", "CAD"),
    ("Portland", "US", "America/Los_Angeles", "USD"),
    ("Hobart", "AU", "Australia/Hobart", "AUD"),
];

/// A test customer with a password that was just drawn: it is shown this once.
pub struct DrawnPassword {
    /// The customer's id.
    pub id: [u8; 16],
    /// The address that signs in.
    pub email: String,
    /// The password.
    pub password: Zeroizing<String>,
}

/// The test customers of the actor's own partner, each with its businesses.
///
/// # Errors
/// [`Refused`]
pub async fn list(
    portal: &Site,
    actor: &Actor,
) -> Result<Vec<(TestCustomer, Vec<Business>)>, Refused> {
    let mut all = Vec::new();
    for customer in portal.store.test_customers(own_partner(portal, actor)?).await? {
        let businesses = portal.store.businesses(Environment::Staging, customer.id).await?;
        all.push((customer, businesses));
    }
    Ok(all)
}

/// Makes one.
///
/// # Errors
/// [`Refused`]: a partner has at most [`MOST_TEST_CUSTOMERS`].
pub async fn make(portal: &Site, actor: &Actor) -> Result<DrawnPassword, Refused> {
    let partner_id = own_partner(portal, actor)?;
    let partner = portal.store.partner(partner_id).await?.ok_or(Refused::NotFound)?;
    // Hashing costs: who is at the end already does not pay for it.
    let many = portal.store.test_customers(partner_id).await?.len();
    if i64::try_from(many).unwrap_or(i64::MAX) >= MOST_TEST_CUSTOMERS {
        return Err(too_many());
    }
    let random = &portal.random;
    let email = format!("test-{}@{}.test", random.hex::<4>(), slug(&partner.name));
    let name = format!("{} {}", one_of(&FIRST_NAMES, random), one_of(&LAST_NAMES, random));
    let (password, password_hash) = draw(portal, partner_id).await?;
    let customer = NewCustomer {
        environment: Environment::Staging,
        id: random.id(&portal.clock),
        email: &email,
        name: &name,
        password_hash: &password_hash,
        demo: false,
    };
    let businesses = businesses(random);
    let act = actor.act(portal, "test_customer.made", format!("{email}, {name}"));
    let made = portal
        .store
        .make_test_customer((partner_id, MOST_TEST_CUSTOMERS), &customer, &businesses, &act)
        .await?;
    if made { Ok(DrawnPassword { id: customer.id, email, password }) } else { Err(too_many()) }
}

/// Draws a password anew. Sessions and connections of the one before end.
///
/// # Errors
/// [`Refused::NotFound`] also where it is another partner's.
pub async fn draw_password(
    portal: &Site,
    actor: &Actor,
    id: [u8; 16],
) -> Result<DrawnPassword, Refused> {
    let (partner_id, customer) = find(portal, actor, id).await?;
    let (password, hash) = draw(portal, partner_id).await?;
    let act = ending(portal, actor, &customer, "test_customer.password_drawn").await?;
    match portal.store.set_test_customer_password((partner_id, id), &hash, &act).await? {
        true => Ok(DrawnPassword { id, email: customer.email, password }),
        false => Err(Refused::NotFound),
    }
}

/// Removes one, which ends all that it allowed.
///
/// # Errors
/// [`Refused::NotFound`] also where it is another partner's.
pub async fn remove(portal: &Site, actor: &Actor, id: [u8; 16]) -> Result<(), Refused> {
    let (partner_id, customer) = find(portal, actor, id).await?;
    let act = ending(portal, actor, &customer, "test_customer.removed").await?;
    match portal.store.remove_test_customer((partner_id, id), &act).await? {
        true => Ok(()),
        false => Err(Refused::NotFound),
    }
}

/// The partner that the actor belongs to; and staging has to be served here.
fn own_partner(portal: &Site, actor: &Actor) -> Result<[u8; 16], Refused> {
    let served = portal.portal.as_ref().and_then(|portal| portal.site(Environment::Staging));
    served.ok_or(Refused::NotFound)?;
    actor.partner_id().ok_or(Refused::NotAllowed)
}

async fn find(
    portal: &Site,
    actor: &Actor,
    id: [u8; 16],
) -> Result<([u8; 16], TestCustomer), Refused> {
    let partner_id = own_partner(portal, actor)?;
    let all = portal.store.test_customers(partner_id).await?;
    let found = all.into_iter().find(|customer| customer.id == id).ok_or(Refused::NotFound)?;
    Ok((partner_id, found))
}

/// An act that ends what a test customer allowed: the partners of those apps are told.
async fn ending(
    portal: &Site,
    actor: &Actor,
    customer: &TestCustomer,
    name: &'static str,
) -> Result<Act, Refused> {
    let mut act = actor.act(portal, name, customer.email.clone());
    let clients = portal.store.clients_allowed_by(Environment::Staging, customer.id).await?;
    let ended = Ended::OfCustomer { customer_id: customer.id };
    let event = Event::GrantRevoked { ended, by: EndedBy::Company };
    let from = (&portal.clock, &portal.random);
    act.notices = clients
        .iter()
        .map(|id| Notice::new(from, Environment::Staging, id, event.clone()))
        .collect();
    Ok(act)
}

fn too_many() -> Refused {
    Refused::Conflict(format!(
        "Your organisation has {MOST_TEST_CUSTOMERS} test customers, and that is the most. Remove \
         one that nobody uses."
    ))
}

/// A password of 80 random bits, in groups that can be typed, and its hash.
///
/// Each one costs a hash, in the queue that everybody's sign-in waits in: a partner has so many.
async fn draw(portal: &Site, partner_id: [u8; 16]) -> Result<(Zeroizing<String>, String), Refused> {
    let subject = Subject::new(Credential::DrawnPassword, &partner_id);
    portal.throttle.count_named(&subject).await?;
    let digits = Zeroizing::new(hex::hex(&portal.random.bytes::<10>()));
    let groups: Vec<&str> = (0..5).filter_map(|at| digits.get(at * 4..at * 4 + 4)).collect();
    let password = Zeroizing::new(groups.join("-"));
    let hash = portal.passwords.hash(Password::new(password.to_string())).await;
    let hash = hash.map_err(|error| match error {
        PasswordError::Busy => Refused::Busy,
        error @ (PasswordError::Length | PasswordError::Corrupt) => {
            Refused::Conflict(format!("The password could not be set: {error}."))
        }
    })?;
    Ok((password, hash))
}

/// Two, of which the first has two locations.
fn businesses(random: &Random) -> Vec<Business> {
    let first = place(random, None);
    let second = place(random, Some(first));
    let names = |(city, ..): (&str, &str, &str, &str), more: &str| format!("{city}{more}");
    [(first, &[" Centre", " Station"][..]), (second, &[""][..])]
        .into_iter()
        .map(|(at, locations)| {
            let (_, country, timezone, currency) = at;
            Business {
                id: id(random),
                name: format!(
                    "{} {}",
                    one_of(&BUSINESS_FIRST, random),
                    one_of(&BUSINESS_LAST, random)
                ),
                currency: currency.to_owned(),
                locations: locations
                    .iter()
                    .map(|more| Location {
                        id: id(random),
                        name: names(at, more),
                        country: country.to_owned(),
                        timezone: timezone.to_owned(),
                    })
                    .collect(),
            }
        })
        .collect()
}

/// A place, and another one than that.
fn place(
    random: &Random,
    but: Option<(&str, &str, &str, &str)>,
) -> (&'static str, &'static str, &'static str, &'static str) {
    let places: Vec<_> = PLACES.iter().copied().filter(|place| Some(*place) != but).collect();
    let [drawn] = random.bytes::<1>();
    places.get(usize::from(drawn) % places.len().max(1)).copied().unwrap_or(PLACES[0])
}

fn one_of(words: &'static [&'static str], random: &Random) -> &'static str {
    let [drawn] = random.bytes::<1>();
    words.get(usize::from(drawn) % words.len().max(1)).copied().unwrap_or_default()
}

/// An id above 2^53, of sixteen or seventeen digits; odd or even, so that some have no exact double.
fn id(random: &Random) -> i64 {
    let drawn = u64::from_be_bytes(random.bytes()) >> 10;
    FIRST_ID + i64::try_from(drawn).unwrap_or(0)
}

/// The letters and digits of a partner's name, as a label of a host name.
fn slug(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let cut = joined.get(..MAX_SLUG_CHARACTERS).unwrap_or(&joined).trim_end_matches('-');
    if cut.is_empty() { "partner".to_owned() } else { cut.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_customer_has_two_businesses_with_ids_that_no_double_can_be_trusted_with() {
        for _ in 0..200 {
            let businesses = businesses(&Random::system());
            assert_eq!(businesses.len(), 2);
            assert_ne!(businesses[0].locations[0].country, businesses[1].locations[0].country);
            for business in &businesses {
                assert!(business.id > 1 << 53, "{}", business.id);
                assert!(!business.locations.is_empty());
                assert!(business.locations.iter().all(|location| location.id > 1 << 53));
            }
        }
    }

    #[test]
    fn an_address_is_a_host_name_whatever_the_partner_is_called() {
        for (name, expected) in
            [("Demo Partner Ltd", "demo-partner-ltd"), ("寿司", "partner"), ("  A & b!", "a-b")]
        {
            assert_eq!(slug(name), expected);
        }
    }
}
