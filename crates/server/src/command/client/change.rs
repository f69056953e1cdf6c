//! `grantor client change`: what a partner says of its client, changed for it, as the portal does.

use super::super::Failure;
use super::super::desk::Desk;
use super::super::output::Output;
use super::super::place::Place;
use super::COMMAND;
use super::data::ClientData;
use crate::programme::app::{self, AppForm};

#[derive(clap::Args)]
#[command(after_help = "With --json: as `client show` answers. What is left out stays as it is.\n\
                  Connections end where the client may do less than before. On production more scopes, and redirect URIs on new hosts, are asked for and decided: `grantor request`.")]
pub(super) struct Change {
    /// The client's id
    #[arg(value_name = "CLIENT_ID")]
    client_id: String,
    /// The app's name, as customers read it
    #[arg(long)]
    name: Option<String>,
    /// The app's web site; an empty text for none
    #[arg(long, value_name = "URL")]
    website: Option<String>,
    /// Where customers find help; an empty text for none
    #[arg(long, value_name = "EMAIL_OR_URL")]
    support_contact: Option<String>,
    /// Where a code may go: all of them; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// What it may ask for: all of it; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

impl Change {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let desk = Desk::open(&self.place, COMMAND).await?;
        let record = desk.client(&self.client_id).await?;
        let stands = AppForm::of(&record);
        let several = |new: Vec<String>, stands| if new.is_empty() { stands } else { new };
        let form = AppForm {
            name: self.name.unwrap_or(stands.name),
            website: self.website.unwrap_or(stands.website),
            support_contact: self.support_contact.unwrap_or(stands.support_contact),
            redirect_uris: several(self.redirect_uris, stands.redirect_uris),
            scopes: several(self.scopes, stands.scopes),
            public: stands.public,
        };
        let environment = record.client.environment;
        let own = desk.portal()?.site(environment).ok_or_else(|| {
            Failure::mendable(format!("{environment} is not in this configuration"))
        })?;
        let seen = app::version(&record);
        app::change(&desk.site, own, &desk.actor(), &record, (&seen, &form)).await?;
        let record = desk.client(&record.client.id).await?;
        self.output.data(&ClientData::from(&record), ClientData::lines)
    }
}
