//! What a partner fills in to ask: what is right, and all that is wrong with it.

use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;

use super::super::app::{self, AppForm};
use super::super::{FieldFault, Refused};
use super::kind_for;
use crate::catalogue;
use crate::site::Portal;
use crate::store::{Asked, ChangedApp, ClientRecord, RequestKind};

/// No text of a person is longer, in characters.
pub const MAX_TEXT_CHARACTERS: usize = 2000;

/// What a partner fills in: what the app is to be, why, and whom to write to.
#[derive(Clone, Debug, Default)]
pub struct RequestForm {
    /// What the client is to be.
    pub app: AppForm,
    /// For each scope the reason why.
    pub reasons: Vec<(String, String)>,
    /// Whom the manager can write to.
    pub contact: String,
    /// What the app does.
    pub message: String,
}

/// Checks what a partner filled in, and tells all that is wrong with it.
pub(super) fn checked(
    portal: &Portal,
    record: &ClientRecord,
    form: &RequestForm,
) -> Result<Asked, Refused> {
    let production = portal
        .site(Environment::Production)
        .ok_or_else(|| Refused::Conflict("Production is not served here.".to_owned()))?;
    let (app, mut faults) = asked_for(record, &form.app);
    let app = match app::check(production, &app) {
        Ok(app) => Some(app),
        Err(Refused::Fields(found)) => {
            faults.extend(found);
            None
        }
        Err(refused) => return Err(refused),
    };
    let held = match record.client.environment {
        Environment::Production => record.client.scopes.clone(),
        Environment::Staging | Environment::Portal => Scope::default(),
    };
    let reason = |scope: &str| {
        let found = form.reasons.iter().find(|(of, _)| of == scope);
        found.map_or("", |(_, reason)| reason.trim())
    };
    for scope in app
        .iter()
        .flat_map(|app| app.scopes.without(&held).iter().map(str::to_owned).collect::<Vec<_>>())
    {
        let needed = catalogue::changes_something(&scope);
        if let Some(words) = text_fault(reason(&scope), &format!("The reason for {scope}"), needed)
        {
            faults.push(FieldFault { field: "reasons", words });
        }
    }
    if let Some(words) = text_fault(form.message.trim(), "What the app does", true) {
        faults.push(FieldFault { field: "message", words });
    }
    if !form.contact.contains('@') || form.contact.chars().any(char::is_control) {
        faults.push(FieldFault {
            field: "contact",
            words: "Write an e-mail address at which somebody answers.".to_owned(),
        });
    }
    match app {
        Some(app) if faults.is_empty() => {
            let mut asked = asked(app, form, reason);
            if kind_for(record) == RequestKind::Change {
                let uris = record.client.redirect_uris.iter();
                asked.seen_redirect_uris = uris.map(RedirectUri::to_string).collect();
                asked.seen_scopes = record.client.scopes.to_string();
            }
            Ok(asked)
        }
        _ => Err(Refused::Fields(faults)),
    }
}

fn asked<'a>(app: ChangedApp, form: &RequestForm, reason: impl Fn(&str) -> &'a str) -> Asked {
    Asked {
        name: app.name,
        website: app.website,
        support_contact: app.support_contact,
        redirect_uris: app.redirect_uris.iter().map(RedirectUri::to_string).collect(),
        scopes: app
            .scopes
            .iter()
            .map(|scope| (scope.to_owned(), reason(scope).to_owned()))
            .collect(),
        contact: form.contact.trim().to_owned(),
        message: form.message.trim().to_owned(),
        ..Asked::default()
    }
}

/// What the client is to be, as far as that is asked for. What of a production client changes at once
/// stays as it stands; whoever sends another name is told so, and not left to believe that it waits.
fn asked_for(record: &ClientRecord, form: &AppForm) -> (AppForm, Vec<FieldFault>) {
    if kind_for(record) == RequestKind::Production {
        return (form.clone(), Vec::new());
    }
    let stands = AppForm::of(record);
    let faults = [
        ("name", "Its name", &form.name, &stands.name),
        ("website", "Its web site", &form.website, &stands.website),
        ("support_contact", "Its contact", &form.support_contact, &stands.support_contact),
    ]
    .into_iter()
    .filter(|(_, _, sent, held)| !sent.trim().is_empty() && sent.trim() != held.as_str())
    .map(|(field, what, ..)| FieldFault {
        field,
        words: format!("{what} changes at once, without a request: change the app itself."),
    });
    let faults = faults.collect();
    let (redirect_uris, scopes) = (form.redirect_uris.clone(), form.scopes.clone());
    (AppForm { redirect_uris, scopes, ..stands }, faults)
}

/// What is wrong with a text of a person; `what` begins the sentence.
pub fn text_fault(text: &str, what: &str, needed: bool) -> Option<String> {
    if needed && text.is_empty() {
        return Some(format!("{what} is missing."));
    }
    (text.chars().count() > MAX_TEXT_CHARACTERS)
        .then(|| format!("{what} has at most {MAX_TEXT_CHARACTERS} characters."))
}
