//! The apps of a customer, each once: its grants that live, and its consent where that alone would
//! connect it again without a question.

use std::collections::{BTreeSet, HashMap};

use grantor_protocol::client::Client;
use grantor_protocol::openid::OFFLINE_ACCESS;
use grantor_protocol::scope::Scope;

use crate::http::authorize::consent_words::{moment, sentence};
use crate::http::logo;
use crate::pages::{App, ConnectedApp};
use crate::site::Site;
use crate::store::{Business, ClientRecord, LivingGrants, Session, StandingConsent, StoreError};

/// What is known of one client.
struct Connected {
    client_id: String,
    grants: Vec<LivingGrants>,
    consent: Option<StandingConsent>,
}

/// The apps of a customer: those that are connected first, the last used on top.
pub(super) async fn load(site: &Site, session: &Session) -> Result<Vec<ConnectedApp>, StoreError> {
    let (environment, customer) = (site.environment, session.customer_id);
    let (store, epoch) = (&site.store, site.sealer.epoch());
    let grants = store.living_grants(environment, customer, site.clock.now()).await?;
    let consents = store.standing_consents(environment, customer, epoch).await?;
    let businesses = store.businesses(environment, customer).await?;
    let clients = store.clients_of_customer(environment, customer).await?;
    let mut clients: HashMap<String, ClientRecord> =
        clients.into_iter().map(|record| (record.client.id.clone(), record)).collect();
    let mut apps = Vec::new();
    for connected in by_client(grants, consents) {
        let record = clients.remove(&connected.client_id);
        // The demo's clients are strangers outside dev (S26). What else is not admitted any more can
        // still be disconnected.
        let Some(record) = record.filter(|record| site.dev.is_some() || !record.client.demo) else {
            continue;
        };
        apps.extend(connected.shown(site, &record, &businesses));
    }
    apps.sort_by_key(|app| !app.connected);
    Ok(apps)
}

fn by_client(grants: Vec<LivingGrants>, consents: Vec<StandingConsent>) -> Vec<Connected> {
    let mut all: Vec<Connected> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut place = |all: &mut Vec<Connected>, client_id: &str| {
        *places.entry(client_id.to_owned()).or_insert_with(|| {
            let client_id = client_id.to_owned();
            all.push(Connected { client_id, grants: Vec::new(), consent: None });
            all.len() - 1
        })
    };
    for grant in grants {
        let at = place(&mut all, &grant.client_id);
        all[at].grants.push(grant);
    }
    for consent in consents {
        let at = place(&mut all, &consent.client_id);
        all[at].consent = Some(consent);
    }
    all
}

impl Connected {
    /// As the page shows it; nothing where no grant lives and the customer would be asked anyway.
    fn shown(self, site: &Site, record: &ClientRecord, held: &[Business]) -> Option<ConnectedApp> {
        let client = &record.client;
        let now = site.clock.now();
        let lives = |grants: &LivingGrants| ends(site, client, grants) > now;
        let living: Vec<&LivingGrants> =
            self.grants.iter().filter(|grants| lives(grants)).collect();
        let (scope, businesses, facts) = match (living.as_slice(), &self.consent) {
            ([], Some(consent)) if may_be_silent(client) => {
                (consent.scope.clone(), consent.businesses.clone(), remembered(consent))
            }
            ([], _) => return None,
            (grants, _) => {
                let scope = grants.iter().fold(Scope::default(), |all, one| all.union(&one.scope));
                let businesses =
                    grants.iter().flat_map(|one| one.businesses.iter().copied()).collect();
                (scope, businesses, facts(site, client, grants))
            }
        };
        Some(ConnectedApp {
            client_id: self.client_id,
            app: App::of(client, logo::path(client, record.listing.logo)),
            approved: client.approved,
            connected: !living.is_empty(),
            facts,
            sentences: scope.iter().map(sentence).collect(),
            businesses: names(&businesses, held),
        })
    }
}

/// What is known of grants, and no more.
fn facts(site: &Site, client: &Client, grants: &[&LivingGrants]) -> Vec<(&'static str, String)> {
    let since = grants.iter().map(|one| one.redeemed_at).min();
    let used = grants.iter().map(|one| one.turned_at).max();
    let mut facts = Vec::new();
    facts.extend(since.map(|at| ("Connected since", moment(at))));
    facts.extend(used.map(|at| ("Last used", moment(at))));
    // Of several the one that lives longest.
    let last = grants.iter().max_by_key(|one| (one.ends_at.is_none(), ends(site, client, one)));
    facts.extend(last.map(|one| ("Ends", how_it_ends(site, client, one))));
    facts
}

fn remembered(consent: &StandingConsent) -> Vec<(&'static str, String)> {
    let words = "No. You allowed it, so it may connect again without asking you.";
    vec![("Connected now", words.to_owned()), ("Allowed", moment(consent.given_at))]
}

fn how_it_ends(site: &Site, client: &Client, grants: &LivingGrants) -> String {
    let ends = moment(ends(site, client, grants));
    match grants.ends_at {
        _ if !is_renewed(client, grants) => ends,
        None => format!("{ends}, unless the app is used before"),
        Some(end) if end <= grants.idle_expires_at => ends,
        Some(end) => format!("{ends}, unless the app is used before; {} at last", moment(end)),
    }
}

/// When nothing of it works any more, unless it is renewed.
fn ends(site: &Site, client: &Client, grants: &LivingGrants) -> i64 {
    if is_renewed(client, grants) {
        return grants.idle_expires_at;
    }
    grants.idle_expires_at.min(grants.turned_at + site.settings.access_token_ttl_seconds)
}

/// Whether the app holds a refresh token, as at `/oauth/token`.
fn is_renewed(client: &Client, grants: &LivingGrants) -> bool {
    let settings = &client.settings;
    settings.refresh_tokens
        && (!settings.offline_access_required || grants.scope.contains(OFFLINE_ACCESS))
}

/// Whether a consent of this client is ever used without asking.
fn may_be_silent(client: &Client) -> bool {
    !client.is_public() && client.approved && !client.disabled
}

/// Each business by its name; those that the customer has left are counted.
fn names(ids: &[i64], held: &[Business]) -> Vec<String> {
    let ids: BTreeSet<i64> = ids.iter().copied().collect();
    let named = held.iter().filter(|business| ids.contains(&business.id));
    let mut names: Vec<String> = named.map(|business| business.name.clone()).collect();
    match ids.len() - names.len() {
        0 => {}
        1 => names.push("one that you left".to_owned()),
        left => names.push(format!("{left} that you left")),
    }
    names
}
