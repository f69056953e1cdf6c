//! API clients of the portal: what a partner's own programs, and this company's, call the portal's
//! API with. Each is a client of the portal's own issuer, and has tokens of its own alone.
//!
//! A partner's acts as an owner of that partner, the company's as a manager, and either does no more
//! than its scopes say.

use grantor_protocol::client::{ClientSecret, ClientSettings};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;

use super::app::{self, MadeApp, name_fault};
use super::partner::suspended;
use super::scope::{ProgrammeScope, SCOPES};
use super::{Actor, FieldFault, Refused};
use crate::site::Site;
use crate::store::{COMPANY_ID, ClientRecord, NewClient, Registration, Role};

/// No partner has more of them, and neither has this company.
pub const MOST_API_CLIENTS: i64 = 20;

/// An API client as its owner describes it.
#[derive(Clone, Debug, Default)]
pub struct ApiClientForm {
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
}

impl Actor {
    /// Who acts with a token of this API client.
    pub fn of_api_client(record: &ClientRecord) -> Actor {
        let role = match record.partner_id {
            COMPANY_ID => Role::Manager,
            partner_id => Role::Owner { partner_id },
        };
        Actor { name: format!("API client {}", record.client.id), id: None, role, behalf: None }
    }
}

/// The scopes that the actor's API clients may have.
pub fn offered(actor: &Actor) -> impl Iterator<Item = &'static ProgrammeScope> {
    let company = actor.partner_id().is_none();
    SCOPES.iter().filter(move |scope| if company { scope.for_company } else { scope.for_partners })
}

/// Makes one.
///
/// # Errors
/// [`Refused`]: only owners, and staff for this company, have any.
pub async fn make(portal: &Site, actor: &Actor, form: &ApiClientForm) -> Result<MadeApp, Refused> {
    actor.owner()?;
    let (name, scopes) = check(actor, form)?;
    actor.takes_turn(portal).await?;
    let secret = ClientSecret::new(portal.random.secret());
    let client = new_client(
        (app::client_id(Environment::Portal, &name, &portal.random), name),
        owner(actor),
        scopes,
        &secret,
    );
    let mut act =
        actor.act(portal, "api_client.created", format!("{}; {}", client.name, client.scopes));
    act.client_id = Some(client.id.clone());
    act.partner_id = Some(client.partner_id);
    match portal.store.make_api_client(&client, MOST_API_CLIENTS, &act).await? {
        true => Ok(MadeApp { client_id: client.id, secret: Some(secret) }),
        false if suspended(portal, client.partner_id).await? => Err(Refused::Conflict(
            "Your organisation is suspended, and makes no new API clients. Write to your partner \
             manager."
                .to_owned(),
        )),
        false => Err(Refused::Conflict(format!(
            "There are {MOST_API_CLIENTS} API clients, and that is the most. Remove one that nobody \
             uses."
        ))),
    }
}

/// A client of the portal, with tokens of its own alone.
pub fn new_client(
    (id, name): (String, String),
    partner_id: [u8; 16],
    scopes: Scope,
    secret: &ClientSecret,
) -> NewClient {
    NewClient {
        environment: Environment::Portal,
        id,
        partner_id,
        name,
        website: None,
        redirect_uris: Vec::new(),
        scopes,
        optional_scopes: Scope::default(),
        secret: Some((secret.digest(), secret.hint())),
        approved: true,
        demo: false,
        settings: ClientSettings {
            authorization_code: false,
            client_credentials: true,
            refresh_tokens: false,
            parameters_in_query: false,
            ..ClientSettings::default()
        },
        keys: None,
        post_logout_redirect_uris: Vec::new(),
        registration: Registration::default(),
    }
}

/// All of the actor's, in the order of their ids.
///
/// # Errors
/// [`Refused`]: they are for owners and staff alone.
pub async fn list(portal: &Site, actor: &Actor) -> Result<Vec<ClientRecord>, Refused> {
    actor.owner()?;
    let most = MOST_API_CLIENTS;
    Ok(portal.store.apps_of(owner(actor), Environment::Portal, "", most).await?)
}

/// One of the actor's.
///
/// # Errors
/// [`Refused::NotFound`] also where it is somebody else's.
pub async fn find(portal: &Site, actor: &Actor, id: &str) -> Result<ClientRecord, Refused> {
    actor.owner()?;
    let record = portal.store.client(id).await?.ok_or(Refused::NotFound)?;
    match record.client.environment == Environment::Portal && record.partner_id == owner(actor) {
        true => Ok(record),
        false => Err(Refused::NotFound),
    }
}

/// Removes one. Its tokens end with it.
///
/// # Errors
/// [`Refused`]
pub async fn remove(portal: &Site, actor: &Actor, id: &str) -> Result<(), Refused> {
    let record = find(portal, actor, id).await?;
    let mut act = actor.act(portal, "api_client.removed", record.client.name.clone());
    act.client_id = Some(record.client.id.clone());
    act.partner_id = Some(record.partner_id);
    match portal.store.remove_api_client(&record, &act).await? {
        true => Ok(()),
        false => Err(Refused::NotFound),
    }
}

/// Whose API clients the actor's are.
fn owner(actor: &Actor) -> [u8; 16] {
    actor.partner_id().unwrap_or(COMPANY_ID)
}

fn check(actor: &Actor, form: &ApiClientForm) -> Result<(String, Scope), Refused> {
    let mut faults = Vec::new();
    let name = form.name.trim();
    if let Some(words) = name_fault(name, "The name") {
        faults.push(FieldFault { field: "name", words });
    }
    let known = |scope: &String| offered(actor).any(|offered| offered.name == scope);
    let scopes = match form.scopes.iter().find(|scope| !known(scope)) {
        None => Scope::parse(&form.scopes.join(" ")).unwrap_or_default(),
        Some(_) => {
            let words = "One of these scopes is not among those that are offered.".to_owned();
            faults.push(FieldFault { field: "scopes", words });
            Scope::default()
        }
    };
    if scopes.is_empty() && faults.is_empty() {
        let words = "Choose at least one.".to_owned();
        faults.push(FieldFault { field: "scopes", words });
    }
    if faults.is_empty() { Ok((name.to_owned(), scopes)) } else { Err(Refused::Fields(faults)) }
}
