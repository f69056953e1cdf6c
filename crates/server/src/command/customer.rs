//! `grantor customer`: the people who sign in and allow, and the businesses that they belong to.

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use serde::Serialize;
use uuid::Uuid;

use super::output::{Output, aligned, table, time};
use super::place::{In, Opened, Place, environment_parser};
use super::{Failure, partner, prompt};
use crate::demo;
use crate::password::{MIN_PASSWORD_CHARACTERS, Password, Passwords};
use crate::random::Random;
use crate::store::{Business, Location, NewCustomer};

/// The arguments of `grantor customer`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a customer; the password comes from a prompt or from standard input
    Create(Create),
    /// List the customers
    List(List),
    /// Set a customer's password, which ends their sessions and connections
    SetPassword(SetPassword),
    /// Add a business that a customer belongs to
    AddBusiness(AddBusiness),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"environment\",\"id\",\"email\",\"name\",\"businesses\":[],\"created_at\"}, with times in Unix seconds"
)]
struct Create {
    #[command(flatten)]
    environment: In,
    /// The address to sign in with
    #[arg(long)]
    email: String,
    /// The person's name
    #[arg(long)]
    name: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"customers\":[{\"environment\",\"id\",\"email\",\"name\",\"businesses\":[...],\"created_at\"}]}, each business as `customer add-business` answers"
)]
struct List {
    /// Only the customers of this environment
    #[arg(long, value_parser = environment_parser())]
    environment: Option<Environment>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: {\"environment\",\"email\"}")]
struct SetPassword {
    #[command(flatten)]
    environment: In,
    /// The address to sign in with
    #[arg(long)]
    email: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"id\",\"name\",\"currency\",\"locations\":[{\"id\",\"name\",\"country\",\"timezone\"}]}; ids may exceed 2^53"
)]
struct AddBusiness {
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

/// A customer, as `--json` shows it.
#[derive(Serialize)]
struct CustomerData {
    environment: &'static str,
    id: String,
    email: String,
    name: String,
    businesses: Vec<BusinessData>,
    /// In Unix seconds.
    created_at: i64,
}

#[derive(Serialize)]
struct BusinessData {
    /// May exceed 2^53.
    id: i64,
    name: String,
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

#[derive(Serialize)]
struct CustomerList {
    customers: Vec<CustomerData>,
}

#[derive(Serialize)]
struct PasswordSet {
    environment: &'static str,
    email: String,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::Create(create) => create.run().await,
        Action::List(list) => list.run().await,
        Action::SetPassword(set) => set.run().await,
        Action::AddBusiness(add) => add.run().await,
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let email = partner::email_address(&self.email, "--email")?;
        let name = partner::name(&self.name, "--name")?;
        let environment = self.environment.environment;
        let Opened { store, clock, random } = self.place.open().await?;
        let password_hash = new_password_hash(&random).await?;
        let id = random.id(&clock);
        let now = clock.now();
        let customer = NewCustomer {
            environment,
            id,
            email: &email,
            name: &name,
            password_hash: &password_hash,
            demo: false,
        };
        if !store.add_customer(&customer, now).await? {
            return Err(Failure::mendable(format!(
                "there is a customer {email} in {environment} already"
            ))
            .hint("`grantor customer set-password` sets a new password"));
        }
        let data = CustomerData {
            environment: environment.as_str(),
            id: Uuid::from_bytes(id).to_string(),
            email,
            name,
            businesses: Vec::new(),
            created_at: now,
        };
        self.output.data(&data, |data| {
            aligned(&[
                ("customer_id", data.id.clone()),
                ("environment", data.environment.to_owned()),
                ("email", data.email.clone()),
            ])
        })?;
        self.output
            .say("Next: grantor customer add-business, so that there is something to connect.");
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let Opened { store, .. } = self.place.open().await?;
        let mut customers = Vec::new();
        for environment in Environment::ALL {
            if self.environment.is_some_and(|wanted| wanted != environment) {
                continue;
            }
            for customer in store.customers(environment).await? {
                let businesses = store.businesses(environment, customer.id).await?;
                customers.push(CustomerData {
                    environment: environment.as_str(),
                    id: Uuid::from_bytes(customer.id).to_string(),
                    email: customer.email,
                    name: customer.name,
                    businesses: businesses.into_iter().map(BusinessData::from).collect(),
                    created_at: customer.created_at,
                });
            }
        }
        if customers.is_empty() {
            self.output.say("There is no customer yet: grantor customer create --help");
        }
        self.output.data(&CustomerList { customers }, |list| {
            let rows = list.customers.iter().map(|customer| {
                let businesses: Vec<&str> =
                    customer.businesses.iter().map(|business| business.name.as_str()).collect();
                vec![
                    customer.environment.to_owned(),
                    customer.email.clone(),
                    customer.name.clone(),
                    businesses.join(", "),
                    time(customer.created_at),
                ]
            });
            table(&["ENVIRONMENT", "EMAIL", "NAME", "BUSINESSES", "CREATED"], rows.collect())
        })
    }
}

impl SetPassword {
    async fn run(self) -> Result<(), Failure> {
        let email = partner::email_address(&self.email, "--email")?;
        let environment = self.environment.environment;
        let opened = self.place.open().await?;
        customer_id(&opened, environment, &email).await?;
        let hash = new_password_hash(&opened.random).await?;
        if !opened.store.set_customer_password(environment, &email, &hash).await? {
            return Err(no_customer(environment, &email));
        }
        let set = PasswordSet { environment: environment.as_str(), email };
        self.output.data(&set, |set| {
            format!("the password of {} is set; sessions and connections ended", set.email)
        })
    }
}

impl AddBusiness {
    async fn run(self) -> Result<(), Failure> {
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
        let customer = customer_id(&opened, environment, &email).await?;
        if !opened.store.add_business(environment, customer, &business).await? {
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

/// Asks for a new password and hashes it. The demo's words are refused: everybody knows them.
async fn new_password_hash(random: &Random) -> Result<String, Failure> {
    let typed = prompt::new_password("Password:")?;
    let password = Password::new(typed.to_string());
    if password.is(demo::PASSWORD) {
        return Err(Failure::mendable(
            "this is the password of `grantor dev`, which everybody knows",
        )
        .hint("choose another"));
    }
    let passwords = Passwords::start(1, random.clone())?;
    passwords.hash(password).await.map_err(|error| {
        Failure::from(error).hint(format!(
            "{MIN_PASSWORD_CHARACTERS} characters or more; a few words that belong together to nobody else do well"
        ))
    })
}

async fn customer_id(
    opened: &Opened,
    environment: Environment,
    email: &str,
) -> Result<[u8; 16], Failure> {
    let found = opened.store.credentials(environment, email).await?;
    found.map(|found| found.customer_id).ok_or_else(|| no_customer(environment, email))
}

fn no_customer(environment: Environment, email: &str) -> Failure {
    Failure::mendable(format!("there is no customer {email} in {environment}"))
        .hint("`grantor customer list` shows all, in both environments")
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
