//! `grantor manager`: partner managers and operators, who decide in the portal. The first one comes
//! from here; more can be invited on a page. What is done here stands in the audit log too.

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use serde::Serialize;
use uuid::Uuid;

use super::customer::new_password_hash;
use super::output::{Output, aligned, table, time};
use super::parts::{self, PART};
use super::place::{Opened, Place};
use super::{Failure, partner};
use crate::mail::{Mail, MailAddress};
use crate::store::{NewPerson, Person, Role};

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor manager";

/// The arguments of `grantor manager`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a manager; the password comes from a prompt or from standard input
    Create(Create),
    /// List managers and operators
    #[command(after_help = "With --json: {\"managers\":[...]}, each as `manager create` answers")]
    List(List),
    /// Remove a manager or an operator, which ends all sessions; the last one stays
    #[command(after_help = "With --json: {\"email\",\"removed\":true}")]
    Remove(One),
    /// Remove the second factor of somebody who lost it; the next sign-in sets up another
    #[command(after_help = "With --json: {\"email\",\"factor_reset\":true}")]
    ResetFactor(One),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"id\",\"email\",\"name\",\"role\",\"second_factor\",\"joined_at\",\"portal_url\"}, with times in Unix seconds"
)]
struct Create {
    /// The address to sign in with
    #[arg(long)]
    email: String,
    /// The person's name
    #[arg(long)]
    name: String,
    /// Make an operator, who runs the server and may do everything
    #[arg(long)]
    operator: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct One {
    /// The address to sign in with
    #[arg(long)]
    email: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// A manager, as `--json` shows it.
#[derive(Serialize)]
struct ManagerData {
    id: String,
    email: String,
    name: String,
    role: &'static str,
    /// Whether a second factor is set up.
    second_factor: bool,
    /// In Unix seconds.
    joined_at: i64,
    /// Where to sign in; `null` where no portal is configured, or dev did not say where it is.
    portal_url: Option<String>,
}

#[derive(Serialize)]
struct ManagerList {
    managers: Vec<ManagerData>,
}

#[derive(Serialize)]
struct Removed {
    email: String,
    removed: bool,
}

#[derive(Serialize)]
struct FactorReset {
    email: String,
    factor_reset: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::Create(create) => create.run().await,
        Action::List(list) => list.run().await,
        Action::Remove(one) => one.remove().await,
        Action::ResetFactor(one) => one.reset_factor().await,
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let email = partner::email_address(&self.email, "--email")?;
        let name = partner::name(&self.name, "--name")?;
        let (portal_url, dev) = (self.place.portal_url()?, self.place.data.is_some());
        let opened = self.place.open().await?;
        let password_hash = new_password_hash(&opened.random).await?;
        let role = if self.operator { Role::Operator } else { Role::Manager };
        let id = opened.random.id(&opened.clock);
        let person = NewPerson {
            id,
            email: &email,
            name: &name,
            password_hash: &password_hash,
            role,
            demo: false,
        };
        let act = opened.act(COMMAND, "person.joined", format!("{email} as {}", role.as_str()));
        if !opened.store.add_person(&person, None, None, &act).await? {
            return Err(Failure::mendable(format!("{email} has an account in the portal already"))
                .hint("`grantor manager list` shows managers and operators"));
        }
        let data = ManagerData {
            id: Uuid::from_bytes(id).to_string(),
            email,
            name,
            role: role.as_str(),
            second_factor: false,
            joined_at: act.at,
            portal_url,
        };
        self.output.data(&data, |data| {
            let mut lines = vec![
                ("manager_id", data.id.clone()),
                ("email", data.email.clone()),
                ("role", data.role.to_owned()),
            ];
            lines.extend(data.portal_url.iter().map(|url| ("portal", url.clone())));
            aligned(&lines)
        })?;
        let words = match data.portal_url {
            None if dev => {
                "Next: sign in at the portal of `grantor dev`. The first sign-in sets up a second factor."
            }
            Some(_) => "Next: sign in at the portal. The first sign-in sets up a second factor.",
            None => {
                "Next: add [portal] to the configuration. The first sign-in sets up a second factor."
            }
        };
        self.output.say(words);
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let portal_url = self.place.portal_url()?;
        let store = self.place.open().await?.store;
        let staff = parts::all(async |last: Option<&Person>| {
            store.staff(last.map_or([0; 16], |last| last.id), PART).await
        });
        let staff = staff.await?;
        if staff.is_empty() {
            self.output.say("There is no manager yet: grantor manager create --help");
        }
        let managers = staff.into_iter().map(|person| ManagerData {
            id: Uuid::from_bytes(person.id).to_string(),
            email: person.email,
            name: person.name,
            role: person.role.as_str(),
            second_factor: person.factor_since.is_some(),
            joined_at: person.joined_at,
            portal_url: portal_url.clone(),
        });
        self.output.data(&ManagerList { managers: managers.collect() }, |list| {
            let rows = list.managers.iter().map(|manager| {
                vec![
                    manager.email.clone(),
                    manager.name.clone(),
                    manager.role.to_owned(),
                    if manager.second_factor { "set up" } else { "none yet" }.to_owned(),
                    time(manager.joined_at),
                ]
            });
            table(&["EMAIL", "NAME", "ROLE", "SECOND FACTOR", "JOINED"], rows.collect())
        })
    }
}

impl One {
    async fn remove(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let person = self.find(&opened).await?;
        let act = opened.act(COMMAND, "person.removed", person.email.clone());
        if !opened.store.remove_person(&person, &act).await? {
            return Err(Failure::mendable(format!(
                "{} is the last of the managers and operators, and stays",
                person.email
            ))
            .hint("`grantor manager create` makes another one first"));
        }
        let removed = Removed { email: person.email, removed: true };
        self.output
            .data(&removed, |removed| format!("{} is removed; all sessions ended", removed.email))
    }

    async fn reset_factor(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let person = self.find(&opened).await?;
        let mut act = opened.act(COMMAND, "factor.reset", person.email.clone());
        act.mails.extend(told(&opened, &person));
        if !opened.store.reset_factor(person.id, &act).await? {
            return Err(Failure::mendable(format!("{} has no second factor", person.email))
                .hint("the next sign-in sets one up"));
        }
        let reset = FactorReset { email: person.email, factor_reset: true };
        self.output.data(&reset, |reset| {
            format!(
                "the second factor of {} is removed and all sessions ended; the next sign-in sets up another",
                reset.email
            )
        })
    }

    async fn find(&self, opened: &Opened) -> Result<Person, Failure> {
        let email = partner::email_address(&self.email, "--email")?;
        let store = &opened.store;
        let person = match store.customer(Environment::Portal, &email).await? {
            Some(account) => store.person(account.id).await?,
            None => None,
        };
        person.filter(|person| person.role.is_staff()).ok_or_else(|| {
            Failure::mendable(format!("there is no manager or operator {email}"))
                .hint("`grantor manager list` shows all")
        })
    }
}

fn told(opened: &Opened, person: &Person) -> Option<Mail> {
    let text = "An operator removed the second factor of your account in the partner portal, and \
                all your sessions ended. Your next sign-in sets up another one.\n\n\
                If you did not ask for that, write to who runs the server at once.\n";
    let (to, subject) = (MailAddress::parse(&person.email)?, "Your second factor was reset");
    Mail::new((&opened.clock, &opened.random), to, subject, text.to_owned())
}
