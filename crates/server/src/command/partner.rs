//! `grantor partner`: the organisations that clients belong to.

mod team;

use clap::Subcommand;
use grantor_protocol::environment::Environment;
use serde::Serialize;
use uuid::Uuid;

use super::Failure;
use super::output::{Output, aligned, table, time};
use super::parts::{self, PART};
use super::place::{Opened, Place};
use crate::store::{Act, COMPANY_ID, ClientRecord, Partner};
use crate::webhook::Event;

/// No name is longer, in characters.
const MAX_NAME_CHARACTERS: usize = 100;

/// Who does it, as the audit log shows it.
const COMMAND: &str = "grantor partner";

/// The arguments of `grantor partner`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a partner
    Create(Create),
    /// List all partners
    List(List),
    /// Show one partner and its clients
    #[command(
        after_help = "With --json: {\"id\",\"name\",\"contact\",\"verified\",\"created_at\",\"clients\":[{\"environment\",\"client_id\",\"name\",\"disabled\"}]}, with times in Unix seconds"
    )]
    Show(One),
    /// Say that your company has verified who it is: the consent page shows a mark
    #[command(after_help = "With --json: as `partner show` answers")]
    Verify(One),
    /// Take that back
    #[command(after_help = "With --json: as `partner show` answers")]
    Unverify(One),
    /// Switch off a partner and all its clients, in both environments: their connections end at once
    #[command(after_help = "With --json: as `partner show` answers")]
    Disable(One),
    /// Switch it on again, with those clients that were switched off with it
    #[command(after_help = "With --json: as `partner show` answers")]
    Enable(One),
    /// The people of a partner: list, invite, change and remove them
    Team(team::Arguments),
}

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"id\",\"name\",\"contact\",\"verified\",\"created_at\"}, with times in Unix seconds"
)]
struct Create {
    /// Its name, as customers read it on the consent page
    #[arg(long)]
    name: String,
    /// Whom to write to
    #[arg(long, value_name = "EMAIL")]
    contact: Option<String>,
    /// Your company has verified who it is: the consent page shows a mark
    #[arg(long)]
    verified: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = "With --json: {\"partners\":[...]}, each as `partner create` answers")]
struct List {
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
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// A partner with its clients.
#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    partner: PartnerData,
    clients: Vec<ClientOf>,
}

#[derive(Serialize)]
struct ClientOf {
    environment: &'static str,
    client_id: String,
    name: String,
    disabled: bool,
}

/// A partner, as `--json` shows it.
#[derive(Serialize)]
struct PartnerData {
    id: String,
    name: String,
    contact: Option<String>,
    verified: bool,
    /// In Unix seconds.
    created_at: i64,
}

#[derive(Serialize)]
struct PartnerList {
    partners: Vec<PartnerData>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.action {
        Action::Create(create) => create.run().await,
        Action::List(list) => list.run().await,
        Action::Show(one) => show(one, None).await,
        Action::Verify(one) => verify(one, true).await,
        Action::Unverify(one) => verify(one, false).await,
        Action::Disable(one) => show(one, Some(true)).await,
        Action::Enable(one) => show(one, Some(false)).await,
        Action::Team(arguments) => team::run(arguments).await,
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let name = name(&self.name, "--name")?;
        let contact =
            self.contact.as_deref().map(|email| email_address(email, "--contact")).transpose()?;
        let opened = self.place.open().await?;
        let Opened { store, clock, random } = &opened;
        let partner = Partner {
            id: random.id(clock),
            name,
            contact,
            verified: self.verified,
            suspended: false,
            created_at: clock.now(),
        };
        let act = Act {
            partner_id: Some(partner.id),
            ..opened.act(COMMAND, "partner.created", partner.name.clone())
        };
        if !store.add_partner_noting(&partner, &act).await? {
            return Err(Failure::unexplained("the new id is taken"));
        }
        self.output.data(&PartnerData::from(&partner), |data| {
            aligned(&[("partner_id", data.id.clone()), ("name", data.name.clone())])
        })
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let Opened { store, .. } = self.place.open().await?;
        let partners: Vec<PartnerData> =
            store.partners().await?.iter().map(PartnerData::from).collect();
        if partners.is_empty() {
            self.output.say("There is no partner yet: grantor partner create --name NAME");
        }
        self.output.data(&PartnerList { partners }, |list| {
            let rows = list.partners.iter().map(|partner| {
                vec![
                    partner.name.clone(),
                    partner.id.clone(),
                    if partner.verified { "verified" } else { "" }.to_owned(),
                    partner.contact.clone().unwrap_or_default(),
                    time(partner.created_at),
                ]
            });
            table(&["NAME", "ID", "VERIFIED", "CONTACT", "CREATED"], rows.collect())
        })
    }
}

/// Says whether somebody verified who a partner is, and shows it.
async fn verify(one: One, verified: bool) -> Result<(), Failure> {
    let opened = one.place.open().await?;
    let partner = find(&opened, &one.partner).await?;
    let name = if verified { "partner.verified" } else { "partner.unverified" };
    let act = opened.act(COMMAND, name, partner.name.clone());
    let act = Act { partner_id: Some(partner.id), ..act };
    // Whoever says it again says nothing new.
    opened.store.set_partner_verified(partner.id, verified, &act).await?;
    show(one, None).await
}

/// Shows a partner, after it was switched off or on where that was asked for.
async fn show(one: One, switch: Option<bool>) -> Result<(), Failure> {
    let opened = one.place.open().await?;
    let partner = find(&opened, &one.partner).await?;
    if let Some(off) = switch {
        let mut notices = Vec::new();
        for environment in Environment::ALL {
            let clients = clients_of(&opened, partner.id, environment).await?.into_iter();
            let switched = clients.filter(|record| {
                if off { !record.client.disabled } else { record.listing.suspended }
            });
            notices.extend(switched.map(|record| {
                let event = if off { Event::ClientSuspended } else { Event::ClientResumed };
                opened.notice(environment, &record.client.id, event)
            }));
        }
        let name = if off { "partner.suspended" } else { "partner.resumed" };
        let act = opened.act(COMMAND, name, partner.name.clone());
        let act = Act { partner_id: Some(partner.id), notices, ..act };
        opened.store.switch_partner(partner.id, off, &act).await?;
    }
    let mut clients = Vec::new();
    for environment in Environment::ALL {
        for record in clients_of(&opened, partner.id, environment).await? {
            clients.push(ClientOf {
                environment: environment.as_str(),
                client_id: record.client.id,
                name: record.client.name,
                disabled: record.client.disabled,
            });
        }
    }
    let detail = Detail { partner: PartnerData::from(&partner), clients };
    one.output.data(&detail, Detail::lines)?;
    match switch {
        Some(true) => one
            .output
            .say("All its connections ended. `grantor partner enable` brings its clients back."),
        Some(false) => one.output.say("Its clients work again; connections have to be made anew."),
        None => {}
    }
    Ok(())
}

/// The clients of a partner in an environment, the oldest first.
async fn clients_of(
    opened: &Opened,
    partner_id: [u8; 16],
    environment: Environment,
) -> Result<Vec<ClientRecord>, Failure> {
    let mut records = parts::all(async |last: Option<&ClientRecord>| {
        let after = last.map_or("", |last| last.client.id.as_str());
        opened.store.apps_of(partner_id, environment, after, PART).await
    })
    .await?;
    records.sort_by_key(|record| record.created_at);
    Ok(records)
}

impl Detail {
    fn lines(&self) -> String {
        let mut lines = vec![
            ("partner_id", self.partner.id.clone()),
            ("name", self.partner.name.clone()),
            ("verified", if self.partner.verified { "yes" } else { "no" }.to_owned()),
            ("contact", self.partner.contact.clone().unwrap_or_default()),
            ("created", time(self.partner.created_at)),
        ];
        lines.extend(self.clients.iter().map(|client| {
            let state = if client.disabled { " (disabled)" } else { "" };
            ("client", format!("{} {}{state}", client.client_id, client.name))
        }));
        aligned(&lines)
    }
}

impl From<&Partner> for PartnerData {
    fn from(partner: &Partner) -> PartnerData {
        PartnerData {
            id: Uuid::from_bytes(partner.id).to_string(),
            name: partner.name.clone(),
            contact: partner.contact.clone(),
            verified: partner.verified,
            created_at: partner.created_at,
        }
    }
}

/// The partner of that id or name.
pub(super) async fn find(opened: &Opened, wanted: &str) -> Result<Partner, Failure> {
    if let Ok(id) = Uuid::parse_str(wanted)
        && let Some(partner) = opened.store.partner(*id.as_bytes()).await?
        && partner.id != COMPANY_ID
    {
        return Ok(partner);
    }
    let partners = opened.store.partners().await?;
    let alike = |partner: &&Partner| partner.name.to_lowercase() == wanted.trim().to_lowercase();
    let named: Vec<&Partner> = partners.iter().filter(alike).collect();
    match named.as_slice() {
        [partner] => Ok((*partner).clone()),
        [] => Err(Failure::mendable(format!("there is no partner {wanted:?}")).hint(
            "`grantor partner list` shows all; `grantor partner create --name NAME` makes one",
        )),
        several => {
            let ids: Vec<String> =
                several.iter().map(|partner| Uuid::from_bytes(partner.id).to_string()).collect();
            Err(Failure::mendable(format!("several partners are called {wanted:?}"))
                .hint(format!("name one by its id: {}", ids.join(", "))))
        }
    }
}

/// A name that people will read: something, on one line, not too long.
pub(super) fn name(text: &str, option: &str) -> Result<String, Failure> {
    let name = text.trim();
    let characters = name.chars().count();
    if characters == 0 || characters > MAX_NAME_CHARACTERS {
        return Err(Failure::mendable(format!(
            "{option}: a name has 1 to {MAX_NAME_CHARACTERS} characters, and this one has {characters}"
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Failure::mendable(format!(
            "{option}: a name stands on one line, without control characters"
        )));
    }
    Ok(name.to_owned())
}

/// An address, in lower case: it is compared that way at sign-in.
pub(super) fn email_address(text: &str, option: &str) -> Result<String, Failure> {
    let address = text.trim().to_lowercase();
    let plain = !address.chars().any(|c| c.is_control() || c.is_whitespace());
    match address.split_once('@') {
        Some((local, host))
            if plain
                && address.len() <= 254
                && !local.is_empty()
                && !host.is_empty()
                && !host.contains('@') =>
        {
            Ok(address)
        }
        _ => Err(Failure::mendable(format!("{option}: {text:?} is not an e-mail address"))),
    }
}
