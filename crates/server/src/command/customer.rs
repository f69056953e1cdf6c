//! `grantor customer`: the people who sign in and allow, and the businesses that they belong to.

mod business;
mod connections;

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use serde::Serialize;
use uuid::Uuid;

use self::business::{AddBusiness, BusinessData};
use self::connections::EndConnections;
use super::output::{Output, aligned, table, time};
use super::parts::{self, PART};
use super::place::{In, Opened, Place, environment_parser};
use super::{Failure, partner, prompt};
use crate::demo;
use crate::password::{MIN_PASSWORD_CHARACTERS, Password, Passwords};
use crate::random::Random;
use crate::store::{Act, Along, Customer, NewCustomer, Store};

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor customer";

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
    /// Show one customer
    #[command(
        after_help = "With --json: {\"environment\",\"id\",\"email\",\"name\",\"disabled\",\"businesses\":[...],\"created_at\"}, each business as `customer add-business` answers"
    )]
    Show(One),
    /// Switch a customer off: nobody can sign in, and all sessions and connections end at once
    #[command(after_help = "With --json: {\"environment\",\"email\",\"disabled\",\"changed\"}")]
    Disable(One),
    /// Switch a customer on again; what ended stays ended
    #[command(after_help = "With --json: {\"environment\",\"email\",\"disabled\",\"changed\"}")]
    Enable(One),
    /// End a customer's connections, all or those to one client
    EndConnections(EndConnections),
    /// Set a customer's password, which ends their sessions and connections
    #[command(after_help = "With --json: {\"environment\",\"email\"}")]
    SetPassword(One),
    /// Add a business that a customer belongs to
    AddBusiness(AddBusiness),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"environment\",\"id\",\"email\",\"name\",\"disabled\",\"businesses\":[],\"created_at\"}, with times in Unix seconds"
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
    after_help = "With --json: {\"customers\":[{\"environment\",\"id\",\"email\",\"name\",\"disabled\",\"businesses\":[...],\"created_at\"}]}, each business as `customer add-business` answers"
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
struct One {
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

/// A customer, as `--json` shows it.
#[derive(Serialize)]
struct CustomerData {
    environment: &'static str,
    id: String,
    email: String,
    name: String,
    disabled: bool,
    businesses: Vec<BusinessData>,
    /// In Unix seconds.
    created_at: i64,
}

#[derive(Serialize)]
struct CustomerList {
    customers: Vec<CustomerData>,
}

/// What became of a switch.
#[derive(Serialize)]
struct Switched {
    environment: &'static str,
    email: String,
    disabled: bool,
    /// Whether it was in the other state before.
    changed: bool,
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
        Action::Show(one) => show(one).await,
        Action::Disable(one) => switch(one, true).await,
        Action::Enable(one) => switch(one, false).await,
        Action::EndConnections(end) => end.run().await,
        Action::SetPassword(one) => set_password(one).await,
        Action::AddBusiness(add) => add.run().await,
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let email = partner::email_address(&self.email, "--email")?;
        let name = partner::name(&self.name, "--name")?;
        let environment = self.environment.environment;
        let opened = self.place.open().await?;
        let Opened { store, clock, random } = &opened;
        let password_hash = new_password_hash(random).await?;
        let id = random.id(clock);
        let customer = NewCustomer {
            environment,
            id,
            email: &email,
            name: &name,
            password_hash: &password_hash,
            demo: false,
        };
        let act = opened.act(COMMAND, "customer.created", noted(id, environment));
        if !store.add_customer_noting(&customer, &act).await? {
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
            disabled: false,
            businesses: Vec::new(),
            created_at: act.at,
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
            let held = parts::all(async |last: Option<&Customer>| {
                let after = last.map_or([0; 16], |last| last.id);
                store.customers(environment, after, PART).await
            });
            for customer in held.await? {
                customers.push(CustomerData::load(&store, environment, customer).await?);
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
                    if customer.disabled { "disabled" } else { "enabled" }.to_owned(),
                    businesses.join(", "),
                    time(customer.created_at),
                ]
            });
            table(
                &["ENVIRONMENT", "EMAIL", "NAME", "STATE", "BUSINESSES", "CREATED"],
                rows.collect(),
            )
        })
    }
}

impl CustomerData {
    async fn load(
        store: &Store,
        environment: Environment,
        customer: Customer,
    ) -> Result<CustomerData, Failure> {
        let businesses = store.businesses(environment, customer.id).await?;
        Ok(CustomerData {
            environment: environment.as_str(),
            id: Uuid::from_bytes(customer.id).to_string(),
            email: customer.email,
            name: customer.name,
            disabled: customer.disabled,
            businesses: businesses.into_iter().map(BusinessData::from).collect(),
            created_at: customer.created_at,
        })
    }

    fn lines(&self) -> String {
        let mut lines = vec![
            ("customer_id", self.id.clone()),
            ("environment", self.environment.to_owned()),
            ("email", self.email.clone()),
            ("name", self.name.clone()),
            ("state", if self.disabled { "disabled" } else { "enabled" }.to_owned()),
        ];
        lines.extend(self.businesses.iter().map(|business| ("business", business.name.clone())));
        lines.push(("created", time(self.created_at)));
        aligned(&lines)
    }
}

async fn show(one: One) -> Result<(), Failure> {
    let environment = one.environment.environment;
    let store = one.place.open().await?.store;
    let customer = find(&store, environment, &one.email, "--email").await?;
    let data = CustomerData::load(&store, environment, customer).await?;
    one.output.data(&data, CustomerData::lines)
}

async fn switch(one: One, disabled: bool) -> Result<(), Failure> {
    let environment = one.environment.environment;
    let opened = one.place.open().await?;
    let store = &opened.store;
    let Customer { id, email, .. } = find(store, environment, &one.email, "--email").await?;
    let notices = match disabled {
        true => connections::notices(&opened, environment, id).await?,
        false => Vec::new(),
    };
    let name = if disabled { "customer.disabled" } else { "customer.enabled" };
    let act = opened.act(COMMAND, name, noted(id, environment));
    let act = Act { notices, ..act };
    let along = Along::Act(&act);
    let changed = store.set_customer_disabled(environment, &email, disabled, along).await?;
    let switched = Switched { environment: environment.as_str(), email, disabled, changed };
    one.output.data(&switched, |switched| {
        let state = if switched.disabled { "disabled" } else { "enabled" };
        let already = if switched.changed { "" } else { " already" };
        format!("{} is {state}{already}", switched.email)
    })?;
    if changed && disabled {
        one.output
            .say("All sessions and connections ended; they stay ended when it is enabled again.");
    }
    Ok(())
}

async fn set_password(one: One) -> Result<(), Failure> {
    let environment = one.environment.environment;
    let opened = one.place.open().await?;
    let Customer { id, email, .. } =
        find(&opened.store, environment, &one.email, "--email").await?;
    let hash = new_password_hash(&opened.random).await?;
    let act = opened.act(COMMAND, "customer.password_set", noted(id, environment));
    let along = Along::Act(&act);
    if !opened.store.set_customer_password(environment, &email, &hash, along).await? {
        return Err(Failure::mendable(format!("there is no customer {email} any more")));
    }
    let set = PasswordSet { environment: environment.as_str(), email };
    one.output.data(&set, |set| {
        format!("the password of {} is set; sessions and connections ended", set.email)
    })
}

/// How the audit log names a customer: what stands there stands for ever, and an address is the
/// person's own.
fn noted(id: [u8; 16], environment: Environment) -> String {
    format!("customer {} on {environment}", Uuid::from_bytes(id))
}

/// The customer of that address, which was given as `option`.
pub(super) async fn find(
    store: &Store,
    environment: Environment,
    email: &str,
    option: &str,
) -> Result<Customer, Failure> {
    let email = partner::email_address(email, option)?;
    store.customer(environment, &email).await?.ok_or_else(|| {
        Failure::mendable(format!("there is no customer {email} in {environment}"))
            .hint("`grantor customer list` shows all, in both environments")
    })
}

/// Asks for a new password and hashes it. The demo's words are refused: everybody knows them.
pub(super) async fn new_password_hash(random: &Random) -> Result<String, Failure> {
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
