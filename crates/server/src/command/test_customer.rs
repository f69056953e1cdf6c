//! `grantor test-customer`: customers on staging that a partner tries its app with, made for it.

use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;

use super::Failure;
use super::desk::{self, Desk};
use super::output::{Output, aligned, table, time};
use super::place::Place;
use crate::http::show;
use crate::programme::test_customer::{self, DrawnPassword};
use crate::programme::{Actor, Refused};

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor test-customer";

/// The arguments of `grantor test-customer`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List a partner's test customers
    #[command(
        after_help = "With --json: {\"test_customers\":[{\"id\",\"email\",\"name\",\"made_by\",\"created_at\",\"businesses\":[{\"id\",\"name\",\"currency\",\"locations\"}]}]}, each as the portal's API answers"
    )]
    List(Of),
    /// Make one; its password is shown this once
    #[command(after_help = "With --json: {\"test_customer\":{..},\"password\"}")]
    Make(Of),
    /// Draw a new password of one, which ends its sessions and connections
    #[command(after_help = "With --json: {\"test_customer\":{..},\"password\"}")]
    Password(One),
    /// Remove one, which ends all that it allowed
    #[command(after_help = "With --json: {\"id\",\"removed\":true}")]
    Remove(One),
}

#[derive(clap::Args)]
struct Of {
    /// The partner, by id or name
    #[arg(long)]
    partner: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct One {
    /// The test customer's id, as `test-customer list` shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Serialize)]
struct TestCustomerList {
    test_customers: Vec<show::TestCustomer>,
}

#[derive(Serialize)]
struct Removed {
    id: String,
    removed: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List(of) => of.list().await,
        Action::Make(of) => {
            let (desk, actor) = of.open().await?;
            let drawn = test_customer::make(&desk.site, &actor).await?;
            of.shown(&desk, &actor, &drawn).await
        }
        Action::Password(One { id, of }) => {
            let (desk, actor) = of.open().await?;
            let drawn = test_customer::draw_password(&desk.site, &actor, desk::id(&id)?).await;
            of.shown(&desk, &actor, &drawn.map_err(|refused| unknown(refused, &id))?).await
        }
        Action::Remove(One { id, of }) => {
            let (desk, actor) = of.open().await?;
            let gone = test_customer::remove(&desk.site, &actor, desk::id(&id)?).await;
            gone.map_err(|refused| unknown(refused, &id))?;
            of.output.data(&Removed { id, removed: true }, |removed| {
                format!("{} is removed; all that it allowed ended", removed.id)
            })
        }
    }
}

impl Of {
    async fn open(&self) -> Result<(Desk, Actor), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = desk.behalf(&self.partner).await?;
        Ok((desk, actor))
    }

    async fn list(self) -> Result<(), Failure> {
        let (desk, actor) = self.open().await?;
        let all = test_customer::list(&desk.site, &actor).await?;
        if all.is_empty() {
            self.output.say("There is no test customer yet: grantor test-customer make --help");
        }
        let test_customers =
            all.iter().map(|(customer, owned)| show::TestCustomer::of(customer, owned)).collect();
        self.output.data(&TestCustomerList { test_customers }, |_| {
            let rows = all.iter().map(|(customer, businesses)| {
                let names: Vec<&str> = businesses.iter().map(|one| one.name.as_str()).collect();
                vec![
                    Uuid::from_bytes(customer.id).to_string(),
                    customer.email.clone(),
                    customer.name.clone(),
                    names.join(", "),
                    time(customer.created_at),
                ]
            });
            table(&["ID", "EMAIL", "NAME", "BUSINESSES", "MADE"], rows.collect())
        })
    }

    /// Shows one whose password was drawn.
    async fn shown(
        &self,
        desk: &Desk,
        actor: &Actor,
        drawn: &DrawnPassword,
    ) -> Result<(), Failure> {
        let all = test_customer::list(&desk.site, actor).await?;
        let found = all.iter().find(|(customer, _)| customer.id == drawn.id);
        let (customer, owned) =
            found.ok_or_else(|| Failure::mendable("somebody removed it in this moment"))?;
        let shown = show::TestCustomer::of(customer, owned);
        let data = show::TestCustomerWithPassword::of(shown, drawn);
        self.output.data(&data, |_| {
            aligned(&[
                ("id", Uuid::from_bytes(drawn.id).to_string()),
                ("email", drawn.email.clone()),
                ("password", drawn.password.as_str().to_owned()),
            ])
        })?;
        self.output.say("The password is shown this once.");
        Ok(())
    }
}

fn unknown(refused: Refused, id: &str) -> Failure {
    let what = format!("test customer {id} of this partner");
    desk::not_found(&what, "`grantor test-customer list` shows all")(refused)
}
