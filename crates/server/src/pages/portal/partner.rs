//! Partners, for managers: the list, and one of them.

use askama::Template;

use super::{AppList, PersonLine, Shell};
use crate::pages::filters;

/// All partners, or those whose name begins so.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/partners.html")]
pub(crate) struct PartnersPage {
    pub(crate) shell: Shell,
    /// What was looked for.
    pub(crate) search: String,
    pub(crate) partners: Vec<PartnerLine>,
    /// The address of the next part.
    pub(crate) next: Option<String>,
}

/// One partner in a list.
#[derive(Debug, Clone)]
pub(crate) struct PartnerLine {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) contact: String,
    pub(crate) verified: bool,
    pub(crate) suspended: bool,
}

/// One partner.
#[derive(Debug, Clone, Template)]
#[template(path = "portal/partner.html")]
pub(crate) struct PartnerPage {
    pub(crate) shell: Shell,
    pub(crate) partner: PartnerLine,
    pub(crate) since: String,
    pub(crate) people: Vec<PersonLine>,
    /// The address of the next people.
    pub(crate) more_people: Option<String>,
    /// Its apps on staging and on production.
    pub(crate) lists: [AppList; 2],
}
