//! Adding a business of a customer.

use serde::Serialize;

use super::super::output::{Output, aligned};
use super::super::place::{In, Place};
use super::super::{Failure, partner};
use super::{COMMAND, find, noted};
use crate::random::Random;
use crate::store::{Business, Location};

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"id\",\"name\",\"currency\",\"locations\":[{\"id\",\"name\",\"country\",\"timezone\"}]}; ids may exceed 2^53"
)]
pub(super) struct AddBusiness {
    #[command(flatten)]
    environment: In,
    /// The customer's address
    #[arg(long)]
    email: String,
    /// The business's name
    #[arg(long)]
    name: String,
    /// Its currency, in three letters (ISO 4217)
    #[arg(long)]
    currency: String,
    /// Its id in your API [default: a random one]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    id: Option<i64>,
    /// One of its places, as NAME;COUNTRY;TIMEZONE or NAME;COUNTRY;TIMEZONE;ID; may be repeated
    #[arg(long = "location", value_name = "NAME;COUNTRY;TIMEZONE[;ID]")]
    locations: Vec<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// A business, as `--json` shows it.
#[derive(Serialize)]
pub(super) struct BusinessData {
    /// May exceed 2^53.
    id: i64,
    pub(super) name: String,
    currency: String,
    locations: Vec<LocationData>,
}

#[derive(Serialize)]
struct LocationData {
    /// May exceed 2^53.
    id: i64,
    name: String,
    country: String,
    timezone: String,
}

impl AddBusiness {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let email = partner::email_address(&self.email, "--email")?;
        let random = Random::system();
        let business = Business {
            id: self.id.unwrap_or_else(|| random_id(&random)),
            name: partner::name(&self.name, "--name")?,
            currency: letters(&self.currency, 3).ok_or_else(|| {
                Failure::mendable(format!("--currency: {:?} is not a currency", self.currency))
                    .hint("three letters, as in EUR")
            })?,
            locations: self
                .locations
                .iter()
                .map(|text| location(text, &random))
                .collect::<Result<_, _>>()?,
        };
        let environment = self.environment.environment;
        let opened = self.place.open().await?;
        let customer = find(&opened.store, environment, &email, "--email").await?.id;
        let detail =
            format!("{} ({}) of {}", business.name, business.id, noted(customer, environment));
        let act = opened.act(COMMAND, "customer.business_added", detail);
        if !opened.store.add_business_noting(environment, customer, &business, &act).await? {
            return Err(Failure::mendable(format!(
                "there is a business {} in {environment} already",
                business.id
            )));
        }
        self.output.data(&BusinessData::from(business), |business| {
            let mut lines =
                vec![("business_id", business.id.to_string()), ("name", business.name.clone())];
            lines.extend(
                business
                    .locations
                    .iter()
                    .map(|location| ("location", format!("{} {}", location.id, location.name))),
            );
            aligned(&lines)
        })
    }
}

impl From<Business> for BusinessData {
    fn from(business: Business) -> BusinessData {
        BusinessData {
            id: business.id,
            name: business.name,
            currency: business.currency,
            locations: business
                .locations
                .into_iter()
                .map(|location| LocationData {
                    id: location.id,
                    name: location.name,
                    country: location.country,
                    timezone: location.timezone,
                })
                .collect(),
        }
    }
}

fn location(text: &str, random: &Random) -> Result<Location, Failure> {
    let parts: Vec<&str> = text.split(';').map(str::trim).collect();
    let (named, id) = match parts.as_slice() {
        [name, country, timezone] => (Some((*name, *country, *timezone)), Some(random_id(random))),
        [name, country, timezone, id] => {
            (Some((*name, *country, *timezone)), id.parse().ok().filter(|id| *id > 0))
        }
        _ => (None, None),
    };
    let zone = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+/".contains(&b))
    };
    match (named, id) {
        (Some((name, country, timezone)), Some(id)) if zone(timezone) => Ok(Location {
            id,
            name: partner::name(name, "--location")?,
            country: letters(country, 2).ok_or_else(|| wrong_location(text))?,
            timezone: timezone.to_owned(),
        }),
        _ => Err(wrong_location(text)),
    }
}

fn wrong_location(text: &str) -> Failure {
    Failure::mendable(format!("--location: {text:?} is not a place"))
        .hint("for example --location 'Aurora Ghent;BE;Europe/Brussels'")
}

/// So many ASCII letters, in upper case.
fn letters(text: &str, count: usize) -> Option<String> {
    let right = text.len() == count && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    right.then(|| text.to_ascii_uppercase())
}

/// A positive id that nobody guesses from another.
fn random_id(random: &Random) -> i64 {
    (i64::from_be_bytes(random.bytes()) & i64::MAX).max(1)
}
