//! The pages of the portal. Each begins with the [`Shell`] that stands around all of them.

mod account;
mod api_client;
mod app;
mod exports;
mod factor;
mod log;
mod partner;
mod playground;
mod request;
mod test_customer;
mod webhook;

use askama::Template;

use grantor_protocol::parameters::Parameters;

use super::{DemoLogin, Frame, filters};
use crate::programme::FieldFault;

pub(crate) use account::{
    AccountPage, ActivityLine, ActivityOf, ActivityPage, AddressPage, InvitationLine, JoinPage,
    MailLine, MailboxPage, PersonLine, Piece, ResetPage, TeamPage, ToldPage,
};
pub(crate) use api_client::{ApiClientLine, ApiClientsPage, ApiScopeChoice, NewApiSecret};
pub(crate) use app::{
    AppFacts, AppFormPage, AppLine, AppList, AppPage, AppState, AppsPage, ScopeChoice, SecretLine,
};
pub(crate) use exports::{ExportsPage, SnippetLine};
pub(crate) use factor::{CodePage, FactorPage, FactorState, RecoveryPage};
pub(crate) use log::{
    CallCause, CallLine, CallPage, LogPage, LoggedApp, ParameterLine, ReportLine, ReportPage,
    SearchPage, TrialLine, shown_of,
};
pub(crate) use partner::{PartnerLine, PartnerPage, PartnersPage};
pub(crate) use playground::{
    Check, Held, PlaygroundPage, PlaygroundStepPage, RawCall, RawHeader, RawPart,
};
pub(crate) use request::{
    DiffChange, DiffLine, RequestFormPage, RequestLine, RequestPage, RequestsPage, View,
};
pub(crate) use test_customer::{DrawnLine, TestCustomerLine, TestCustomersPage};
pub(crate) use webhook::{
    DeliveryLine, EventChoice, WebhookFormPage, WebhookLine, WebhookPage, WebhooksPage,
};

/// What stands around every page of the portal.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    pub(crate) frame: Frame,
    /// Who is signed in.
    pub(crate) reader: Option<Reader>,
    /// For the forms of this page, the one that signs out included.
    pub(crate) csrf_token: String,
    /// The entry of the menu that this page belongs to; empty for none.
    pub(crate) place: &'static str,
}

/// Who reads a page.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) name: String,
    /// A manager or an operator.
    pub(crate) staff: bool,
}

/// An entry of the menu.
pub(crate) struct MenuEntry {
    pub(crate) place: &'static str,
    pub(crate) path: &'static str,
    pub(crate) words: &'static str,
}

const OF_PARTNERS: [MenuEntry; 5] = [
    MenuEntry { place: "apps", path: "/apps", words: "Apps" },
    MenuEntry { place: "requests", path: "/requests", words: "Requests" },
    MenuEntry { place: "webhooks", path: "/webhooks", words: "Webhooks" },
    MenuEntry { place: "team", path: "/team", words: "Team" },
    MenuEntry { place: "activity", path: "/activity", words: "Activity" },
];

const OF_STAFF: [MenuEntry; 5] = [
    MenuEntry { place: "requests", path: "/requests", words: "Requests" },
    MenuEntry { place: "partners", path: "/partners", words: "Partners" },
    MenuEntry { place: "apps", path: "/apps", words: "Apps" },
    MenuEntry { place: "team", path: "/team", words: "Managers" },
    MenuEntry { place: "activity", path: "/activity", words: "Activity" },
];

impl Shell {
    fn is_staff(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.staff)
    }

    fn menu(&self) -> &'static [MenuEntry] {
        match &self.reader {
            Some(reader) if reader.staff => &OF_STAFF,
            Some(_) => &OF_PARTNERS,
            None => &[],
        }
    }
}

/// The first page, for strangers.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/welcome.html")]
pub(crate) struct WelcomePage {
    pub(crate) shell: Shell,
    /// Whether everybody may sign up.
    pub(crate) sign_up: bool,
}

/// What went wrong, in the portal's own frame.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/error.html")]
pub(crate) struct FaultPage {
    pub(crate) shell: Shell,
    /// The cause in a few words, without a full stop.
    pub(crate) title: &'static str,
    /// What happened, in plain sentences.
    pub(crate) what_happened: String,
    /// What the reader can do now, in plain sentences.
    pub(crate) what_to_do: &'static str,
    pub(crate) docs_url: String,
}

/// Asks for email and password. Posts `email`, `password`, `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/sign_in.html")]
pub(crate) struct SignInPage {
    pub(crate) shell: Shell,
    pub(crate) form_action: String,
    /// What was typed before.
    pub(crate) email: String,
    /// What went wrong with the last try, as one sentence.
    pub(crate) fault: Option<String>,
    /// Whether everybody may sign up.
    pub(crate) sign_up: bool,
    /// In dev, the sign-ins that work.
    pub(crate) demos: Vec<DemoLogin>,
}

/// How something stands: in words, and in the class of its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) words: &'static str,
    pub(crate) class: &'static str,
}

/// A form as it was sent, to be shown again with what is wrong in it; or what stands now, to be
/// changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    values: Vec<(String, String)>,
    faults: Vec<FieldFault>,
}

impl Form {
    /// A form that holds these values.
    pub(crate) fn of(values: &[(&str, &str)]) -> Form {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Form { values: values.iter().map(owned).collect(), faults: Vec::new() }
    }

    /// The form that was sent, with what is wrong in it.
    pub(crate) fn again(sent: &Parameters, faults: Vec<FieldFault>) -> Form {
        let names = sent.names().map(str::to_owned);
        let values = names.map(|name| {
            let value = sent.value(&name).unwrap_or_default().to_owned();
            (name, value)
        });
        Form { values: values.collect(), faults }
    }

    /// The same with another value.
    pub(crate) fn with(mut self, name: &str, value: String) -> Form {
        self.values.retain(|(held, _)| held != name);
        self.values.push((name.to_owned(), value));
        self
    }

    /// A form that keeps nothing of what was sent, such as a file.
    pub(crate) fn faulty(faults: Vec<FieldFault>) -> Form {
        Form { values: Vec::new(), faults }
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        let found = self.values.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn fault(&self, name: &str) -> Option<&str> {
        let found = self.faults.iter().find(|fault| fault.field == name);
        found.map(|fault| fault.words.as_str())
    }

    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }
}
