//! Partners, their people and their apps. What people do goes through the audit log.

use grantor::link::INVITATION_SECONDS;
use grantor::programme::api_client::{self, MOST_API_CLIENTS};
use grantor::programme::app::{MOST_APPS, client_id};
use grantor::programme::scope::SCOPES;
use grantor::programme::team::MOST_PEOPLE;
use grantor::store::{
    Act, Approval, Asked, COMPANY_ID, Invitation, NewClient, NewPerson, Partner, ProgrammeRequest,
    Registration, RequestKind, RequestState, Role,
};
use grantor_protocol::client::{ClientSecret, ClientSettings};
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;

use super::super::ground::{Ground, said};
use super::super::visitor::{DEVELOPER, MANAGER, OPERATOR, OWNER};
use super::{LARGEST, Size, at_once, done};
use crate::failure::Failure;

/// Links the halves that no request linked: they have the same name and the same random digits.
pub(super) const LINK: &str = "UPDATE clients SET sibling = REPLACE(id, 'devp-staging-', \
     'devp-production-') WHERE environment = 'staging' AND sibling IS NULL AND EXISTS \
     (SELECT 1 FROM clients o WHERE o.environment = 'production' \
      AND o.id = REPLACE(clients.id, 'devp-staging-', 'devp-production-')); \
     UPDATE clients SET sibling = REPLACE(id, 'devp-production-', 'devp-staging-') \
     WHERE environment = 'production' AND sibling IS NULL";

const FIRST: [&str; 12] = [
    "Amber", "Blue", "Copper", "Dune", "Ember", "Fern", "Granite", "Harbour", "Ivory", "Juniper",
    "Kelp", "Lime",
];
const SECOND: [&str; 8] =
    ["Tables", "Ledger", "Kitchens", "Orders", "Works", "Payroll", "Bookings", "Stock"];
/// The largest partner was busy: so many entries of the audit log are about its first app.
const ENTRIES_OF_LARGEST: usize = 5_000;
const MANAGERS: usize = 60;

/// Partners, each with an owner and a developer; the largest has as many people as it may have.
pub(super) async fn partners(ground: &Ground, size: Size) -> Result<Vec<[u8; 16]>, Failure> {
    let mut partners = Vec::with_capacity(size.partners());
    for number in 0..size.partners() {
        let id = ground.id();
        let owner = if number == LARGEST {
            OWNER.to_owned()
        } else {
            format!("owner-{number}@partners.example")
        };
        let (first, second) = (FIRST[number % FIRST.len()], SECOND[number % SECOND.len()]);
        let partner = Partner {
            id,
            name: format!("{first} {second} {number:05}"),
            contact: Some(owner.clone()),
            verified: number % 2 == 0,
            suspended: false,
            created_at: ground.clock.now(),
        };
        let act = by_partner(ground.act(&owner, "partner.created", partner.name.clone()), id);
        join(ground, (&owner, Role::Owner { partner_id: id }), Some(&partner), &act).await?;
        let developers = if number == LARGEST { MOST_PEOPLE - 40 } else { 1 };
        for developer in 0..developers {
            let email = match (number, developer) {
                (LARGEST, 0) => DEVELOPER.to_owned(),
                _ => format!("developer-{number}-{developer}@partners.example"),
            };
            let act = by_partner(ground.act(&email, "person.joined", email.clone()), id);
            join(ground, (&email, Role::Developer { partner_id: id }), None, &act).await?;
        }
        partners.push(id);
    }
    for guest in 0..35 {
        invite(ground, (OWNER, guest), Role::Developer { partner_id: partners[LARGEST] }).await?;
    }
    Ok(partners)
}

/// Managers and operators, and those who are invited to be.
pub(super) async fn staff(ground: &Ground) -> Result<(), Failure> {
    for (email, role) in [(MANAGER, Role::Manager), (OPERATOR, Role::Operator)] {
        let act = ground.act("grantor manager (operator)", "person.joined", email);
        join(ground, (email, role), None, &act).await?;
    }
    for number in 0..MANAGERS {
        let email = format!("manager-{number}@company.example");
        let act = ground.act("grantor manager (operator)", "person.joined", email.clone());
        join(ground, (&email, Role::Manager), None, &act).await?;
        invite(ground, (MANAGER, number), Role::Manager).await?;
    }
    Ok(())
}

/// Apps on staging: the largest partner has as many as it may have. Gives their ids, and one of each
/// partner.
pub(super) async fn staging(
    ground: &Ground,
    size: Size,
    partners: &[[u8; 16]],
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let mut apps = Vec::with_capacity(size.staging());
    let mut first = vec![String::new(); partners.len()];
    for number in 0..size.staging() {
        let owner = owner_of(number, partners);
        let client = client(ground, Environment::Staging, partners[owner], number)?;
        let mut act =
            by_partner(ground.act(OWNER, "client.created", &client.name), partners[owner]);
        act.client_id = Some(client.id.clone());
        let made =
            ground.store.make_app(&client, (Some("help@apps.example"), None), MOST_APPS, &act);
        done(made.await?, "an app")?;
        if first[owner].is_empty() {
            first[owner].clone_from(&client.id);
        }
        apps.push(client.id);
    }
    let mut act = by_partner(ground.act(OWNER, "client.changed", "name"), partners[LARGEST]);
    act.client_id = Some(apps[LARGEST].clone());
    for _ in 0..ENTRIES_OF_LARGEST.min(size.calls() / 100) {
        ground.store.note_act(&act).await?;
    }
    Ok((apps, first))
}

/// Requests in each state, and the production clients: some that a request made, and the others as
/// an operator makes them. Gives their ids, and a request of the largest partner that was approved,
/// one that was asked back, and one that waits.
pub(super) async fn production(
    ground: &Ground,
    size: Size,
    partners: &[[u8; 16]],
    staging: &[String],
) -> Result<(Vec<String>, [[u8; 16]; 3]), Failure> {
    let (mut apps, mut rest, mut shown) = (Vec::new(), Vec::new(), [[0; 16]; 3]);
    let asked_back = size.approved() + size.asked_back();
    let declined = asked_back + size.declined();
    for (number, staging_id) in staging.iter().enumerate() {
        let partner_id = partners[owner_of(number, partners)];
        let mut client = client(ground, Environment::Production, partner_id, number)?;
        if number >= size.approved() + size.alone() {
            client.id = staging_id.replace("devp-staging-", "devp-production-");
            apps.push(client.id.clone());
            rest.push(client);
            continue;
        }
        let request = request(ground, partner_id, staging_id, &client);
        let mut act = by_partner(ground.act(OWNER, "request.asked", ""), partner_id);
        act.client_id = Some(staging_id.clone());
        done(ground.store.add_request(&request, &act).await?, "a request")?;
        let state = match number {
            _ if number < size.approved() => RequestState::Approved,
            _ if number < asked_back => RequestState::AskedBack,
            _ if number < declined => RequestState::Declined,
            _ => RequestState::Waiting,
        };
        decide(ground, (&request, state), &client, act).await?;
        if state == RequestState::Approved {
            apps.push(client.id.clone());
        }
        match state {
            RequestState::Approved if shown[0] == [0; 16] => shown[0] = request.id,
            RequestState::AskedBack => shown[1] = request.id,
            RequestState::Waiting => shown[2] = request.id,
            _ => {}
        }
    }
    // The largest partner was asked back too, about an app that it has already on production.
    let again = request_of_change(ground, partners[LARGEST], &apps[LARGEST])?;
    let act = by_partner(ground.act(OWNER, "request.asked", ""), partners[LARGEST]);
    done(ground.store.add_request(&again, &act).await?, "a request")?;
    let client = client(ground, Environment::Production, partners[LARGEST], 0)?;
    decide(ground, (&again, RequestState::AskedBack), &client, act).await?;
    shown[1] = again.id;
    let now = ground.clock.now();
    at_once(rest.into_iter().map(|client| {
        let store = ground.store.clone();
        async move { done(store.add_client(&client, now).await?, "a client") }
    }))
    .await?;
    Ok((apps, shown))
}

/// As many API clients as there may be: of the company, and of the largest partner. One of each with
/// its secret.
pub(super) async fn programs(
    ground: &Ground,
    largest: [u8; 16],
) -> Result<[(String, String); 2], Failure> {
    let mut programs = [COMPANY_ID, largest].map(|owner| (owner, String::new(), String::new()));
    for (owner, id, text) in &mut programs {
        let company = *owner == COMPANY_ID;
        let offered = SCOPES.iter();
        let offered =
            offered.filter(|scope| if company { scope.for_company } else { scope.for_partners });
        let names: Vec<&str> = offered.map(|scope| scope.name).collect();
        let scopes = Scope::parse(&names.join(" ")).map_err(|_| Failure::said("no scope"))?;
        for number in 0..MOST_API_CLIENTS {
            let name = format!("Program {number}");
            let secret = ground.random.secret();
            let client_id = client_id(Environment::Portal, &name, &ground.random);
            let client = api_client::new_client(
                (client_id.clone(), name),
                *owner,
                scopes.clone(),
                &ClientSecret::new(secret.clone()),
            );
            let act = by_partner(ground.act(OWNER, "api_client.created", ""), *owner);
            let made = ground.store.make_api_client(&client, MOST_API_CLIENTS, &act);
            done(made.await?, "an API client")?;
            (*id, *text) = (client_id, secret);
        }
    }
    Ok(programs.map(|(_, id, secret)| (id, secret)))
}

/// Whose the app of that number is.
fn owner_of(number: usize, partners: &[[u8; 16]]) -> usize {
    let of_largest = usize::try_from(MOST_APPS).unwrap_or_default();
    if number < of_largest { LARGEST } else { 1 + number % (partners.len() - 1) }
}

async fn join(
    ground: &Ground,
    (email, role): (&str, Role),
    partner: Option<&Partner>,
    act: &Act,
) -> Result<(), Failure> {
    let (name, password_hash) = ("Robin Person", ground.password_hash.as_str());
    let person = NewPerson { id: ground.id(), email, name, password_hash, role, demo: false };
    done(ground.store.add_person(&person, partner, None, act).await?, "a person")
}

async fn invite(ground: &Ground, (by, number): (&str, usize), role: Role) -> Result<(), Failure> {
    let now = ground.clock.now();
    let invitation = Invitation {
        id: ground.id(),
        email: format!("guest-{number}-of-{by}"),
        role,
        invited_by: by.to_owned(),
        created_at: now,
        expires_at: now + INVITATION_SECONDS,
    };
    let mut act = ground.act(by, "person.invited", &invitation.email);
    act.partner_id = role.partner_id();
    done(ground.store.invite(&invitation, MOST_PEOPLE, &act).await?, "an invitation")
}

fn by_partner(act: Act, partner_id: [u8; 16]) -> Act {
    Act { partner_id: Some(partner_id), ..act }
}

fn client(
    ground: &Ground,
    environment: Environment,
    partner_id: [u8; 16],
    number: usize,
) -> Result<NewClient, Failure> {
    let name = format!("App {number}");
    let uri = format!("https://app-{number}.apps.example/oauth/callback");
    let secret = ClientSecret::new(ground.random.secret());
    Ok(NewClient {
        environment,
        id: client_id(environment, &name, &ground.random),
        partner_id,
        name,
        website: Some(format!("https://app-{number}.apps.example")),
        redirect_uris: vec![RedirectUri::register(&uri).map_err(|_| Failure::said("no URI"))?],
        scopes: Scope::parse(crate::server::SCOPES).map_err(|_| Failure::said("no scope"))?,
        optional_scopes: Scope::default(),
        secret: Some((secret.digest(), "abcd".to_owned())),
        approved: environment == Environment::Production,
        demo: false,
        settings: ClientSettings { refresh_tokens: true, ..ClientSettings::default() },
        keys: None,
        post_logout_redirect_uris: Vec::new(),
        registration: Registration::default(),
    })
}

fn request(
    ground: &Ground,
    partner_id: [u8; 16],
    client_id: &str,
    client: &NewClient,
) -> ProgrammeRequest {
    let why = "Our customers see their orders in the app, and change them there.";
    ProgrammeRequest {
        id: ground.id(),
        partner_id,
        partner: String::new(),
        kind: RequestKind::Production,
        client_id: client_id.to_owned(),
        logo: None,
        asked: Asked {
            name: client.name.clone(),
            website: client.website.clone(),
            support_contact: Some("help@apps.example".to_owned()),
            redirect_uris: client.redirect_uris.iter().map(ToString::to_string).collect(),
            scopes: client.scopes.iter().map(|one| (one.to_owned(), why.to_owned())).collect(),
            contact: OWNER.to_owned(),
            message: "Tables and orders of restaurants, for their waiters.".to_owned(),
            ..Asked::default()
        },
        state: RequestState::Waiting,
        version: 1,
        asked_by: OWNER.to_owned(),
        asked_at: ground.clock.now(),
        decided_by: None,
        decided_at: None,
        note: None,
        made_client_id: None,
    }
}

fn request_of_change(
    ground: &Ground,
    partner_id: [u8; 16],
    client_id: &str,
) -> Result<ProgrammeRequest, Failure> {
    let client = client(ground, Environment::Production, partner_id, 0)?;
    let request = request(ground, partner_id, client_id, &client);
    Ok(ProgrammeRequest { kind: RequestKind::Change, ..request })
}

/// What a manager does with it.
async fn decide(
    ground: &Ground,
    (request, state): (&ProgrammeRequest, RequestState),
    client: &NewClient,
    asked: Act,
) -> Result<(), Failure> {
    let name = match state {
        RequestState::Approved => "request.approved",
        RequestState::AskedBack => "request.asked_back",
        RequestState::Declined => "request.declined",
        RequestState::Waiting | RequestState::Withdrawn => return Ok(()),
    };
    let note = "Thank you; this is what we looked at.";
    let act = Act { act: name, actor: MANAGER.to_owned(), detail: note.to_owned(), ..asked };
    let contact = Some("help@apps.example");
    let approval = Approval::Make { client, support_contact: contact, public: false };
    let approval = (state == RequestState::Approved).then_some(&approval);
    let decided = ground.store.decide_request(request, (state, approval), (MANAGER, note), &act);
    done(decided.await.map_err(said)?, "a decision")
}
