//! An app as it is described in a form: what is right, and all that is wrong with it.

use grantor_protocol::authorize_error::scope_words;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection as _};
use url::Url;

use super::super::{FieldFault, Refused};
use crate::catalogue;
use crate::site::Site;
use crate::store::{ChangedApp, ClientRecord};
use crate::unseen::is_unseen;

/// No client has more redirect URIs.
pub const MOST_REDIRECT_URIS: usize = 50;
/// No name is longer, in characters.
const MAX_NAME_CHARACTERS: usize = 60;
/// No address of a web site or contact is longer, in bytes.
const MAX_ADDRESS_BYTES: usize = 500;

/// An app as a partner describes it, each value as it was typed.
#[derive(Clone, Debug, Default)]
pub struct AppForm {
    /// The app's name, as customers read it.
    pub name: String,
    /// Its web site; may be empty.
    pub website: String,
    /// Whom customers can ask: an e-mail or web address; may be empty.
    pub support_contact: String,
    /// Where a code may go, one on a line.
    pub redirect_uris: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// Whether it cannot keep a secret: an app in a browser, or on a device.
    pub public: bool,
}

impl AppForm {
    /// An app as it stands.
    pub fn of(record: &ClientRecord) -> AppForm {
        let client = &record.client;
        AppForm {
            name: client.name.clone(),
            website: client.website.clone().unwrap_or_default(),
            support_contact: record.listing.support_contact.clone().unwrap_or_default(),
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            scopes: client.scopes.iter().map(str::to_owned).collect(),
            public: client.is_public(),
        }
    }
}

/// What is offered to apps in an environment.
pub fn offered(site: &Site) -> Scope {
    let apis = site.settings.apis.iter().fold(Scope::default(), |all, api| all.union(&api.scopes));
    let known: Vec<&str> = catalogue::SCOPES.iter().map(|scope| scope.name).collect();
    let all = Scope::parse(&known.join(" ")).unwrap_or_default();
    if apis.is_empty() {
        return all;
    }
    let who = Scope::parse("openid profile email offline_access").unwrap_or_default();
    apis.union(&who)
}

/// Checks a form, and tells all that is wrong with it.
///
/// # Errors
/// [`Refused::Fields`]
pub fn check(site: &Site, form: &AppForm) -> Result<ChangedApp, Refused> {
    let mut faults = Vec::new();
    let mut fault = |field, words: String| faults.push(FieldFault { field, words });
    let name = form.name.trim();
    if let Some(words) = name_fault(name, "The app's name") {
        fault("name", words);
    }
    let website = optional(&form.website);
    if website.is_some_and(|website| !is_web_site(website)) {
        fault("website", "Write a web address that begins with https://.".to_owned());
    }
    let contact = optional(&form.support_contact);
    if contact.is_some_and(|contact| !is_web_site(contact) && !is_email(contact)) {
        fault("support_contact", "Write an e-mail address, or one with https://.".to_owned());
    }
    let mut uris: Vec<RedirectUri> = Vec::new();
    for text in form.redirect_uris.iter().map(|uri| uri.trim()).filter(|uri| !uri.is_empty()) {
        match RedirectUri::register(text) {
            Ok(uri) if uris.contains(&uri) => {}
            Ok(uri) => uris.push(uri),
            Err(why) => {
                let (words, hint) = why.words();
                fault("redirect_uris", format!("{text}: {words}. {}.", capital(hint)));
            }
        }
    }
    if uris.len() > MOST_REDIRECT_URIS {
        fault("redirect_uris", format!("An app has at most {MOST_REDIRECT_URIS} redirect URIs."));
    }
    if uris.is_empty() && form.redirect_uris.iter().all(|uri| uri.trim().is_empty()) {
        fault("redirect_uris", "Name at least one address where a code may go.".to_owned());
    }
    let scopes = match Scope::parse(&form.scopes.join(" ")) {
        Ok(scopes) if scopes.is_empty() => {
            fault("scopes", "Choose at least one.".to_owned());
            Scope::default()
        }
        Ok(scopes) => {
            let unknown = scopes.without(&offered(site));
            if !unknown.is_empty() {
                fault("scopes", format!("There is no {unknown} here."));
            }
            scopes
        }
        Err(why) => {
            fault("scopes", scope_words(&why));
            Scope::default()
        }
    };
    if !faults.is_empty() {
        return Err(Refused::Fields(faults));
    }
    Ok(ChangedApp {
        name: name.to_owned(),
        website: website.map(str::to_owned),
        support_contact: contact.map(str::to_owned),
        redirect_uris: uris,
        scopes,
        optional_scopes: Scope::default(),
    })
}

/// What is wrong with a name that people will read; `what` begins the sentence.
pub fn name_fault(name: &str, what: &str) -> Option<String> {
    let characters = name.chars().count();
    if characters == 0 || characters > MAX_NAME_CHARACTERS {
        return Some(format!("{what} has 1 to {MAX_NAME_CHARACTERS} characters."));
    }
    if name.chars().any(is_unseen) {
        return Some(format!(
            "{what} stands on one line, without control or direction characters."
        ));
    }
    name.split_whitespace().any(is_mixed).then(|| {
        format!(
            "{what} has a word whose letters are of several alphabets, as if to look like another."
        )
    })
}

/// Whether a word mixes alphabets as no language does: "Tаble" with a Cyrillic letter (UTS 39 5.2,
/// Highly Restrictive). Words of different alphabets may stand side by side.
fn is_mixed(word: &str) -> bool {
    let letters: String = word.chars().filter(|c| c.is_alphabetic()).collect();
    letters.detect_restriction_level() > RestrictionLevel::HighlyRestrictive
}

fn optional(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn is_web_site(text: &str) -> bool {
    text.len() <= MAX_ADDRESS_BYTES
        && Url::parse(text).is_ok_and(|url| {
            url.scheme() == "https" && url.host().is_some() && url.username().is_empty()
        })
}

fn is_email(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let parts = text.split_once('@');
    let parts = parts.filter(|(local, host)| !local.is_empty() && !host.is_empty());
    plain && text.len() <= 254 && parts.is_some_and(|(_, host)| !host.contains('@'))
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
