//! `grantor partner team`: the people of a partner and who is invited, for a partner that cannot help
//! itself: an owner left, or the only mail went astray.

use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;

use super::email_address;
use crate::command::Failure;
use crate::command::desk::Desk;
use crate::command::output::{Output, aligned, table, time};
use crate::command::parts::{self, PART};
use crate::command::place::Place;
use crate::http::show;
use crate::programme::{Actor, team};
use crate::store::{Invitation, Person};

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor partner team";

/// The arguments of `grantor partner team`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the people of a partner, and who is invited
    #[command(
        after_help = "With --json: {\"people\":[{\"id\",\"name\",\"email\",\"role\",\"joined_at\",\"second_factor_since\"}],\"invitations\":[{\"id\",\"email\",\"role\",\"invited_by\",\"created_at\",\"expires_at\"}]}, each as the portal's API answers"
    )]
    List(List),
    /// Invite somebody by mail; the link works for seven days
    #[command(
        after_help = "With --json: {\"id\",\"email\",\"role\",\"invited_by\",\"created_at\",\"expires_at\"}"
    )]
    Invite(WithRole),
    /// Withdraw an invitation: its link works no more
    #[command(after_help = "With --json: {\"email\",\"removed\":true}")]
    Withdraw(One),
    /// Make somebody an owner or a developer; a partner is never without an owner
    #[command(
        after_help = "With --json: {\"id\",\"name\",\"email\",\"role\",\"joined_at\",\"second_factor_since\"}"
    )]
    SetRole(WithRole),
    /// Remove somebody, which ends all sessions; a partner is never without an owner
    #[command(after_help = "With --json: {\"email\",\"removed\":true}")]
    Remove(One),
}

#[derive(clap::Args)]
struct List {
    /// The partner's id or name
    #[arg(value_name = "PARTNER")]
    partner: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct One {
    /// The partner's id or name
    #[arg(value_name = "PARTNER")]
    partner: String,
    /// The person's address
    #[arg(long)]
    email: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct WithRole {
    /// What the person is: an owner may invite people and make API clients too
    #[arg(long, value_enum)]
    role: Role,
    #[command(flatten)]
    one: One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    Owner,
    Developer,
}

#[derive(Serialize)]
struct Team {
    people: Vec<show::Person>,
    invitations: Vec<show::Invitation>,
}

#[derive(Serialize)]
struct Removed {
    email: String,
    removed: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::List(list) => list.run().await,
        Action::Invite(invite) => invite.invite().await,
        Action::Withdraw(one) => one.withdraw().await,
        Action::SetRole(set) => set.set().await,
        Action::Remove(one) => one.remove().await,
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = desk.behalf(&self.partner).await?;
        let (people, invited) = (people(&desk, &actor).await?, invited(&desk, &actor).await?);
        if people.is_empty() && invited.is_empty() {
            self.output.say("Nobody is there yet: grantor partner team invite --help");
        }
        let team = Team {
            people: people.iter().map(show::Person::from).collect(),
            invitations: invited.iter().map(show::Invitation::from).collect(),
        };
        self.output.data(&team, |_| {
            let there = people.iter().map(|person| {
                let (role, since) = (person.role.as_str(), time(person.joined_at));
                vec![person.email.clone(), person.name.clone(), role.to_owned(), since]
            });
            let asked = invited.iter().map(|invitation| {
                let role = format!("invited as {}", invitation.role.as_str());
                let until = format!("until {}", time(invitation.expires_at));
                vec![invitation.email.clone(), String::new(), role, until]
            });
            table(&["EMAIL", "NAME", "ROLE", "JOINED"], there.chain(asked).collect())
        })
    }
}

impl WithRole {
    async fn invite(self) -> Result<(), Failure> {
        let WithRole { role, one } = self;
        let desk = Desk::open(&one.place, COMMAND).await?;
        let actor = desk.behalf(&one.partner).await?;
        let made = team::invite(&desk.site, &actor, &one.email, role == Role::Owner).await?;
        one.output.data(&show::Invitation::from(&made), |_| {
            aligned(&[
                ("invitation_id", Uuid::from_bytes(made.id).to_string()),
                ("email", made.email.clone()),
                ("role", made.role.as_str().to_owned()),
                ("expires", time(made.expires_at)),
            ])
        })?;
        one.output.say("A running server sends the mail. Its link is shown to nobody else.");
        Ok(())
    }

    async fn set(self) -> Result<(), Failure> {
        let WithRole { role, one } = self;
        let desk = Desk::open(&one.place, COMMAND).await?;
        let actor = desk.behalf(&one.partner).await?;
        let person = one.person(&desk, &actor).await?;
        team::set_owner(&desk.site, &actor, &person, role == Role::Owner).await?;
        let person = team::find(&desk.site, &actor, person.id).await?;
        one.output.data(&show::Person::from(&person), |_| {
            format!("{} is {} now", person.email, person.role.as_str())
        })
    }
}

impl One {
    async fn withdraw(self) -> Result<(), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = desk.behalf(&self.partner).await?;
        let email = email_address(&self.email, "--email")?;
        let invited = invited(&desk, &actor).await?;
        let Some(found) = invited.iter().find(|invitation| invitation.email == email) else {
            return Err(Failure::mendable(format!("{email} is not invited there"))
                .hint("`grantor partner team list` shows who is"));
        };
        team::withdraw(&desk.site, &actor, found.id).await?;
        self.output.data(&Removed { email, removed: true }, |removed| {
            format!("the invitation of {} is withdrawn", removed.email)
        })
    }

    async fn remove(self) -> Result<(), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let actor = desk.behalf(&self.partner).await?;
        let person = self.person(&desk, &actor).await?;
        team::remove(&desk.site, &actor, &person).await?;
        self.output.data(&Removed { email: person.email, removed: true }, |removed| {
            format!("{} is removed; all sessions ended", removed.email)
        })
    }

    /// The person of that address, who belongs to the partner.
    async fn person(&self, desk: &Desk, actor: &Actor) -> Result<Person, Failure> {
        let email = email_address(&self.email, "--email")?;
        let found = people(desk, actor).await?.into_iter().find(|person| person.email == email);
        found.ok_or_else(|| {
            Failure::mendable(format!("{email} does not belong to this partner"))
                .hint("`grantor partner team list` shows who does")
        })
    }
}

async fn people(desk: &Desk, actor: &Actor) -> Result<Vec<Person>, Failure> {
    let all = parts::all(async |last: Option<&Person>| {
        let after = last.map_or([0; 16], |last| last.id);
        team::people(&desk.site, actor, (after, PART)).await
    });
    Ok(all.await?)
}

async fn invited(desk: &Desk, actor: &Actor) -> Result<Vec<Invitation>, Failure> {
    let all = parts::all(async |last: Option<&Invitation>| {
        let after = last.map_or([0; 16], |last| last.id);
        team::invitations(&desk.site, actor, (after, PART)).await
    });
    Ok(all.await?)
}
