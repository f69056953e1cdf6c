//! Apps: a partner's API clients, made and changed by the partner itself.
//!
//! On staging everything takes effect at once. On production, what a manager decided about (scopes,
//! the hosts of redirect URIs) changes by a request alone, and the rest at once.

mod form;

use grantor_protocol::client::{ClientSecret, ClientSettings};
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use url::Url;

pub use form::{AppForm, MOST_REDIRECT_URIS, check, name_fault, offered};

use super::partner::suspended;
use super::{Actor, FieldFault, Refused};
use crate::random::Random;
use crate::site::Site;
use crate::store::{AppChange, ChangedApp, ClientRecord, NewClient, Registration};
use crate::webhook::{Event, Notice};

/// No partner has more clients in one environment.
pub const MOST_APPS: i64 = 100;
/// No list in an entry of the audit log is longer, in bytes.
const MAX_LISTED_BYTES: usize = 2000;
/// No slug in an id is longer, in characters.
const MAX_SLUG_CHARACTERS: usize = 24;

/// A client that was made, with its secret, which is shown this once.
pub struct MadeApp {
    /// The id.
    pub client_id: String,
    /// The secret; `None` for a public client.
    pub secret: Option<ClientSecret>,
}

/// Makes a client on staging. It works at once.
///
/// # Errors
/// [`Refused`]: with all that is wrong with the form.
pub async fn make(
    portal: &Site,
    staging: &Site,
    actor: &Actor,
    form: &AppForm,
) -> Result<MadeApp, Refused> {
    let partner_id = actor.partner_id().ok_or(Refused::NotAllowed)?;
    let checked = check(staging, form)?;
    let secret = (!form.public).then(|| ClientSecret::new(portal.random.secret()));
    let client = NewClient {
        environment: staging.environment,
        id: client_id(staging.environment, &checked.name, &portal.random),
        partner_id,
        name: checked.name.clone(),
        website: checked.website.clone(),
        redirect_uris: checked.redirect_uris.clone(),
        scopes: checked.scopes.clone(),
        optional_scopes: Scope::default(),
        secret: secret.as_ref().map(|secret| (secret.digest(), secret.hint())),
        approved: false,
        demo: false,
        settings: ClientSettings { pkce_required: form.public, ..ClientSettings::default() },
        keys: None,
        post_logout_redirect_uris: Vec::new(),
        registration: Registration::default(),
    };
    let mut act = actor.act(portal, "client.created", described(&checked));
    act.client_id = Some(client.id.clone());
    let contact = checked.support_contact.as_deref();
    let ends = ends_at(staging, act.at);
    match portal.store.make_app(&client, (contact, ends), MOST_APPS, &act).await? {
        true => Ok(MadeApp { client_id: client.id, secret }),
        false => Err(not_made(portal, staging, partner_id).await?),
    }
}

async fn not_made(portal: &Site, staging: &Site, partner_id: [u8; 16]) -> Result<Refused, Refused> {
    Ok(Refused::Conflict(match suspended(portal, partner_id).await? {
        true => "Your organisation is suspended, and makes no new apps. Write to your partner \
                 manager."
            .to_owned(),
        false => format!(
            "Your organisation has {MOST_APPS} apps on {}, and that is the most. Switch one off \
             that nobody uses, and ask your partner manager to remove it.",
            staging.environment
        ),
    }))
}

/// What names the app as it stands in a record: who changes it says which version was seen.
pub fn version(record: &ClientRecord) -> String {
    ChangedApp::of(record).version()
}

/// Changes what a partner says of its client, at once. `environment` is the client's own site, and
/// `version` names what the editor saw: of two who change the same one the second is told so.
///
/// # Errors
/// [`Refused`]: also where a manager has to decide first; [`Refused::Conflict`] alone where somebody
/// else changed it since.
pub async fn change(
    portal: &Site,
    environment: &Site,
    actor: &Actor,
    record: &ClientRecord,
    (version, form): (&str, &AppForm),
) -> Result<(), Refused> {
    actor.of_partner(record.partner_id)?;
    let seen = ChangedApp::of(record);
    if seen.version() != version {
        return Err(changed_meanwhile());
    }
    let mut new = check(environment, form)?;
    new.optional_scopes =
        record.client.optional_scopes.without(&record.client.optional_scopes.without(&new.scopes));
    if environment.environment == Environment::Production {
        decided_before(&seen, &new)?;
    }
    if new == seen {
        return Ok(());
    }
    actor.takes_turn(portal).await?;
    let mut act = actor.act(portal, "client.changed", difference(&seen, &new));
    act.client_id = Some(record.client.id.clone());
    act.partner_id = Some(record.partner_id);
    let change = AppChange {
        environment: environment.environment,
        client_id: record.client.id.clone(),
        partner_id: record.partner_id,
        seen,
        new,
    };
    match portal.store.change_app(&change, &act).await? {
        true => Ok(()),
        false => Err(changed_meanwhile()),
    }
}

fn changed_meanwhile() -> Refused {
    Refused::Conflict(
        "Somebody else changed this app since you read it. Nothing of yours was saved.".to_owned(),
    )
}

/// Makes a second secret, which works at once beside the first.
///
/// # Errors
/// [`Refused`]: there is never a third, none for a public client, and none for a manager.
pub async fn add_secret(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
) -> Result<ClientSecret, Refused> {
    actor.holder(record.partner_id)?;
    if record.client.is_public() {
        return Err(Refused::Conflict("A public app has no secret: it uses PKCE.".to_owned()));
    }
    actor.takes_turn(portal).await?;
    let secret = ClientSecret::new(portal.random.secret());
    let stored = (secret.digest(), secret.hint());
    let act = about(portal, actor, record, "secret.added", format!("ends in {}", stored.1));
    let environment = record.client.environment;
    let site = portal.portal.as_ref().and_then(|portal| portal.site(environment));
    let ends = site.and_then(|site| ends_at(site, act.at));
    match portal.store.add_app_secret(record, (&stored, ends), &act).await? {
        Some(_) => Ok(secret),
        None => Err(Refused::Conflict(
            "This app has two secrets, and there is never a third. Remove the one that is not \
             used any more first."
                .to_owned(),
        )),
    }
}

/// When a secret ends that is made now.
fn ends_at(environment: &Site, now: i64) -> Option<i64> {
    environment.settings.client_secret_ttl_seconds.map(|ttl| now + ttl)
}

/// Removes one of two secrets.
///
/// # Errors
/// [`Refused`]: the last one stays.
pub async fn remove_secret(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
    slot: i64,
) -> Result<(), Refused> {
    actor.holder(record.partner_id)?;
    let found = record.secrets.iter().find(|secret| secret.slot == slot);
    let ends = found.map_or_else(String::new, |secret| format!("ended in {}", secret.hint));
    let act = about(portal, actor, record, "secret.removed", ends);
    match portal.store.remove_app_secret(record, (slot, act.at), &act).await? {
        true => Ok(()),
        false => Err(Refused::Conflict(
            "That is the app's only secret that works, and it is never without one. Make a second one first, \
             or switch the app off."
                .to_owned(),
        )),
    }
}

/// Switches a client off, which ends its connections, or on again. What a manager switched off, a
/// manager switches on.
///
/// # Errors
/// [`Refused`]
pub async fn switch(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
    off: bool,
) -> Result<(), Refused> {
    actor.of_partner(record.partner_id)?;
    actor.staff()?;
    let name = if off { "client.suspended" } else { "client.resumed" };
    let mut act = about(portal, actor, record, name, String::new());
    let event = if off { Event::ClientSuspended } else { Event::ClientResumed };
    act.notices.push(notice(portal, record, event));
    match portal.store.switch_app(record, off, &act).await? {
        true => Ok(()),
        false => Err(Refused::Conflict("It is in that state already.".to_owned())),
    }
}

/// A client of the actor's partner, or any for staff.
///
/// # Errors
/// [`Refused::NotFound`] also where it is another partner's.
pub async fn find(portal: &Site, actor: &Actor, id: &str) -> Result<ClientRecord, Refused> {
    let record = portal.store.client(id).await?.ok_or(Refused::NotFound)?;
    if record.client.environment == Environment::Portal {
        return Err(Refused::NotFound);
    }
    actor.of_partner(record.partner_id)?;
    Ok(record)
}

/// A new id. The environment stands in it, so that people see where a client belongs.
pub fn client_id(environment: Environment, name: &str, random: &Random) -> String {
    format!("devp-{environment}-{}-{}", slug(name), random.hex::<16>())
}

/// The hosts that codes go to: of a private-use scheme, the scheme stands for the host.
pub fn hosts(redirect_uris: &[RedirectUri]) -> Vec<String> {
    let mut hosts: Vec<String> = redirect_uris.iter().map(host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn host(uri: &RedirectUri) -> String {
    match Url::parse(uri.as_str()) {
        Ok(url) if url.has_host() => {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
        }
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => uri.as_str().to_owned(),
    }
}

/// On production, scopes and hosts are those that a manager decided about.
fn decided_before(seen: &ChangedApp, new: &ChangedApp) -> Result<(), Refused> {
    let mut faults = Vec::new();
    let more = new.scopes.without(&seen.scopes);
    if !more.is_empty() {
        faults.push(FieldFault {
            field: "scopes",
            words: format!("Your partner manager decides about more scopes: ask for {more}."),
        });
    }
    let known = hosts(&seen.redirect_uris);
    for unknown in hosts(&new.redirect_uris).iter().filter(|host| !known.contains(host)) {
        faults.push(FieldFault {
            field: "redirect_uris",
            words: format!("Your partner manager decides about a new host: ask for {unknown}."),
        });
    }
    if faults.is_empty() { Ok(()) } else { Err(Refused::Fields(faults)) }
}

/// What the programs of a client's partner are told of it.
pub(super) fn notice(portal: &Site, record: &ClientRecord, event: Event) -> Notice {
    Notice {
        id: portal.random.id(&portal.clock),
        at: portal.clock.now(),
        environment: record.client.environment,
        client_id: record.client.id.clone(),
        event,
    }
}

/// An entry of the log about a client.
pub(super) fn about(
    portal: &Site,
    actor: &Actor,
    record: &ClientRecord,
    name: &'static str,
    detail: String,
) -> crate::store::Act {
    let mut act = actor.act(portal, name, detail);
    act.client_id = Some(record.client.id.clone());
    act.partner_id = Some(record.partner_id);
    act
}

/// What stands in a new client, for the log.
pub(crate) fn described(app: &ChangedApp) -> String {
    let uris: Vec<String> = app.redirect_uris.iter().map(RedirectUri::to_string).collect();
    format!("{}; {}; {}", app.name, app.scopes, in_part(&uris))
}

/// As many of them as an entry of the log has room for.
fn in_part(texts: &[String]) -> String {
    let mut room = MAX_LISTED_BYTES;
    let fit = texts.iter().take_while(|text| {
        let fits = text.len() < room;
        room = room.saturating_sub(text.len() + 1);
        fits
    });
    let shown: Vec<&str> = fit.map(String::as_str).collect();
    let left = texts.len() - shown.len();
    let more = if left > 0 { format!(" and {left} more") } else { String::new() };
    format!("{}{more}", shown.join(" "))
}

/// What changed, in words.
fn difference(seen: &ChangedApp, new: &ChangedApp) -> String {
    let mut parts = Vec::new();
    let mut part = |what: &str, seen: &str, new: &str| {
        if seen != new {
            parts.push(format!("{what}: {seen} → {new}"));
        }
    };
    part("name", &seen.name, &new.name);
    let none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    part("website", &none(&seen.website), &none(&new.website));
    part("contact", &none(&seen.support_contact), &none(&new.support_contact));
    part("scopes", &seen.scopes.to_string(), &new.scopes.to_string());
    // What stays is left out: an entry of the log is for ever, and an app may have many of them.
    let texts = |uris: &[RedirectUri], but: &[RedirectUri]| {
        let found = uris.iter().filter(|uri| !but.contains(uri));
        found.map(|uri| uri.as_str().to_owned()).collect::<Vec<_>>()
    };
    let (held, wanted) = (&seen.redirect_uris, &new.redirect_uris);
    for (what, uris) in [("added", texts(wanted, held)), ("removed", texts(held, wanted))] {
        if !uris.is_empty() {
            parts.push(format!("redirect URIs {what}: {}", in_part(&uris)));
        }
    }
    if parts.is_empty() {
        parts.push("redirect URIs in another order".to_owned());
    }
    parts.join("; ")
}

/// The letters and digits of a name, in lower case, with hyphens for the rest.
fn slug(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let cut = joined.get(..MAX_SLUG_CHARACTERS).unwrap_or(&joined).trim_end_matches('-');
    if cut.is_empty() { "app".to_owned() } else { cut.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_client_id_names_its_environment_and_its_app() {
        let id = client_id(Environment::Staging, "Table Planner", &Random::system());
        let hex = id.strip_prefix("devp-staging-table-planner-").unwrap();
        assert_eq!(hex.len(), 32);
        assert!(hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn a_slug_is_short_and_plain_whatever_the_name() {
        for (name, expected) in [
            ("Table Planner", "table-planner"),
            ("  Bücher & Café!  ", "b-cher-caf"),
            ("寿司", "app"),
            ("", "app"),
            ("A very long name that goes on and on", "a-very-long-name-that-go"),
            ("aaaaaaaaaaaaaaaaaaaaaaa bbbb", "aaaaaaaaaaaaaaaaaaaaaaa"),
        ] {
            assert_eq!(slug(name), expected);
        }
    }

    proptest! {
        #[test]
        fn a_slug_holds_letters_digits_and_inner_hyphens(name in "\\PC{0,80}") {
            let slug = slug(&name);
            prop_assert!(!slug.is_empty() && slug.len() <= MAX_SLUG_CHARACTERS);
            prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
        }
    }
}
