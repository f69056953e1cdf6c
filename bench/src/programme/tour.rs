//! What is asked at each route of the portal, and by whom. A route that is not known here ends the
//! run.

use grantor::http::Route;
use uuid::Uuid;

use super::fill::Filled;
use crate::browser::encode;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Nobody,
    /// a developer of the largest partner
    Developer,
    /// its owner
    Owner,
    Manager,
    Operator,
    /// an API client of the company
    Company,
    /// an API client of the largest partner
    Partner,
    /// a customer on staging with very many connected apps
    Customer,
}

/// How much there is to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// the page alone
    Page,
    /// all parts, by the link that shows more and begins so
    Parts(String),
    /// all parts, by `next_cursor`
    Cursors,
    /// an answer that is as long as the log
    Download,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) who: Who,
    pub(super) target: String,
    /// The status that is expected.
    pub(super) status: u16,
    pub(super) how: How,
}

impl Who {
    pub(super) const ALL: [Who; 8] = [
        Who::Nobody,
        Who::Developer,
        Who::Owner,
        Who::Manager,
        Who::Operator,
        Who::Company,
        Who::Partner,
        Who::Customer,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Nobody => "nobody",
            Who::Developer => "developer",
            Who::Owner => "owner",
            Who::Manager => "manager",
            Who::Operator => "operator",
            Who::Company => "company's API client",
            Who::Partner => "partner's API client",
            Who::Customer => "customer",
        }
    }
}

/// What is asked at a route that is read; `None` where this program does not know it.
pub(super) fn looks(route: &Route, at: &Filled) -> Option<Vec<Look>> {
    let path = route.path.as_str();
    let known = if path.starts_with("/api/") || path == "/openapi.json" {
        of_api(path, at)
    } else if path.contains('{') {
        of_one(path, at)
    } else {
        of_list(path).or_else(|| of_page(path, at))
    };
    (!known.as_ref().is_some_and(Vec::is_empty)).then_some(known)?
}

/// What the customer of very many apps looks at, on staging.
pub(super) fn of_customer() -> Vec<Look> {
    vec![
        parts(Who::Customer, "/connections", "/connections?"),
        page(Who::Customer, "/connections/disconnect-all"),
    ]
}

/// Lists, each as long as it is.
fn of_list(path: &str) -> Option<Vec<Look>> {
    let (partner, staff) = ([Who::Developer, Who::Owner], [Who::Manager, Who::Operator]);
    let all = partner.into_iter().chain(staff);
    Some(match path {
        "/apps" => all
            .flat_map(|who| {
                ["staging", "production"].map(|of| parts(who, path, &format!("/apps?{of}=")))
            })
            .collect(),
        "/activity" => all.map(|who| parts(who, path, "/activity?")).collect(),
        "/team" => all
            .flat_map(|who| {
                ["people", "invited"].map(|of| parts(who, path, &format!("/team?{of}=")))
            })
            .collect(),
        "/requests" => partner
            .into_iter()
            .map(|who| parts(who, path, "/requests?"))
            .chain(["waiting", "asked_back", "approved", "declined"].into_iter().flat_map(
                |state| {
                    let first = format!("/requests?state={state}");
                    staff.map(|who| parts(who, &first, &format!("{first}&after=")))
                },
            ))
            .collect(),
        "/partners" => staff
            .into_iter()
            .flat_map(|who| {
                // All; those whose names begin so; one; none.
                let search = ["", "blue", "lime stock", "nobody has this name"];
                search.map(|text| {
                    let first = format!("/partners?q={}", encode(text));
                    parts(who, &first, &format!("{first}&name="))
                })
            })
            .collect(),
        "/webhooks" | "/test-customers" => partner.map(|who| page(who, path)).into(),
        "/account/api-clients" => {
            [Who::Owner, Who::Manager, Who::Operator].map(|who| page(who, path)).into()
        }
        _ => return None,
    })
}

/// Pages that are about nothing in particular.
fn of_page(path: &str, at: &Filled) -> Option<Vec<Look>> {
    let signed_in = [Who::Developer, Who::Owner, Who::Manager, Who::Operator];
    Some(match path {
        "/" => [page(Who::Nobody, path)]
            .into_iter()
            .chain(signed_in.map(|who| status(303, page(who, path))))
            .collect(),
        "/sign-in" | "/sign-up" | "/forgotten" | "/docs/" => vec![page(Who::Nobody, path)],
        "/.well-known/oauth-authorization-server" | "/.well-known/oauth-protected-resource" => {
            vec![page(Who::Nobody, path)]
        }
        "/docs" | "/favicon.ico" | "/sign-in/code" => vec![status(303, page(Who::Nobody, path))],
        "/apps/new" | "/webhooks/new" => vec![page(Who::Developer, path), page(Who::Owner, path)],
        "/account" | "/account/factor" => signed_in.map(|who| page(who, path)).into(),
        // There is none to be shown.
        "/account/factor/picture.svg" => vec![status(404, page(Who::Developer, path))],
        // Nothing was begun.
        "/playground/callback" => vec![status(409, page(Who::Developer, path))],
        // In dev alone.
        "/mailbox" => vec![status(404, page(Who::Nobody, path))],
        "/log" => signed_in
            .into_iter()
            .flat_map(|who| {
                let search = |id: &str| page(who, &format!("/log?request_id={id}"));
                [search(""), search("0123456789abcdef"), status(303, search(&at.request_id))]
            })
            .collect(),
        "/activity.jsonl" => signed_in.map(|who| download(who, path)).into(),
        _ => return None,
    })
}

/// Pages about one thing.
fn of_one(path: &str, at: &Filled) -> Option<Vec<Look>> {
    let signed_in = [Who::Developer, Who::Owner, Who::Manager, Who::Operator];
    let (partner, staff) = ([Who::Developer, Who::Owner], [Who::Manager, Who::Operator]);
    let with = |name: &str, value: &str| path.replace(&format!("{{{name}}}"), value);
    let both = [with("id", &at.app), with("id", &at.production_app)];
    let each = |who: Who| both.iter().map(move |target| page(who, target)).collect::<Vec<_>>();
    let uuid = |id: [u8; 16]| Uuid::from_bytes(id).to_string();
    Some(match path {
        "/apps/{id}" | "/apps/{id}/edit" | "/apps/{id}/exports" | "/apps/{id}/report"
        | "/apps/{id}/request" => signed_in.into_iter().flat_map(each).collect(),
        "/apps/{id}/log" | "/apps/{id}/activity" => signed_in
            .into_iter()
            .flat_map(|who| both.iter().map(move |log| parts(who, log, &format!("{log}?"))))
            .collect(),
        "/apps/{id}/log/{request_id}" => {
            let call = both[0].replace("{request_id}", &at.request_id);
            signed_in.map(|who| page(who, &call)).into()
        }
        "/apps/{id}/exports/{file}" => {
            vec![status(404, page(Who::Developer, &both[0].replace("{file}", "none")))]
        }
        // There is none.
        "/apps/{id}/logo/{digest}" => {
            vec![status(404, page(Who::Developer, &both[0].replace("{digest}", &"0".repeat(64))))]
        }
        "/apps/{id}/playground" => partner.map(|who| page(who, &both[0])).into(),
        "/requests/{id}" => [at.decided, at.asked_back]
            .into_iter()
            .flat_map(|id| signed_in.map(|who| page(who, &with("id", &uuid(id)))))
            .chain(staff.map(|who| page(who, &with("id", &uuid(at.waiting)))))
            .collect(),
        "/requests/{id}/answer" => {
            partner.map(|who| page(who, &with("id", &uuid(at.asked_back)))).into()
        }
        "/partners/{id}" => {
            let largest = with("id", &uuid(at.partners[0]));
            let other = with("id", &uuid(at.partners[at.partners.len() / 2]));
            staff
                .into_iter()
                .flat_map(|who| {
                    let lists = ["people", "staging", "production"];
                    let lists = lists.map(|of| parts(who, &largest, &format!("{largest}?{of}=")));
                    lists.into_iter().chain([page(who, &other)])
                })
                .collect()
        }
        "/webhooks/{environment}/{id}" => {
            let target = with("environment", "staging").replace("{id}", &uuid(at.endpoint));
            partner.map(|who| parts(who, &target, &format!("{target}?"))).into()
        }
        "/sign-up/{link}" | "/invitation/{link}" | "/reset/{link}" => {
            vec![status(410, page(Who::Nobody, &with("link", "none")))]
        }
        "/docs/{*page}" => vec![page(Who::Nobody, "/docs/reference/errors")],
        "/assets/{name}" => vec![status(404, page(Who::Nobody, "/assets/none"))],
        _ => return None,
    })
}

/// The API of the portal.
fn of_api(path: &str, at: &Filled) -> Option<Vec<Look>> {
    let both = [Who::Company, Who::Partner];
    let list = |who, target: &str| Look { how: How::Cursors, ..page(who, target) };
    let app = path.replace("{id}", &at.app).replace("{request_id}", &at.request_id);
    let decided = path.replace("{id}", &Uuid::from_bytes(at.decided).to_string());
    let endpoint = path
        .replace("{environment}", "staging")
        .replace("{id}", &Uuid::from_bytes(at.endpoint).to_string())
        .replace("{delivery}", &Uuid::nil().to_string());
    let partner = path.replace("{id}", &Uuid::from_bytes(at.partners[0]).to_string());
    Some(match path {
        "/openapi.json" => vec![page(Who::Nobody, path)],
        "/api/v1/apps" => both
            .into_iter()
            .flat_map(|who| {
                ["staging", "production"]
                    .map(|of| list(who, &format!("{path}?environment={of}&limit=100")))
            })
            .collect(),
        "/api/v1/apps/{id}"
        | "/api/v1/apps/{id}/calls/{request_id}"
        | "/api/v1/apps/{id}/report" => both.map(|who| page(who, &app)).into(),
        "/api/v1/apps/{id}/calls" => both.map(|who| list(who, &format!("{app}?limit=100"))).into(),
        "/api/v1/apps/{id}/trials" => vec![page(Who::Partner, &app)],
        "/api/v1/calls" => {
            both.map(|who| page(who, &format!("{path}?request_id={}", at.request_id))).into()
        }
        "/api/v1/requests" | "/api/v1/people" | "/api/v1/invitations" => {
            both.map(|who| list(who, &format!("{path}?limit=100"))).into()
        }
        "/api/v1/requests/{id}" => both.map(|who| page(who, &decided)).into(),
        "/api/v1/test-customers" => vec![list(Who::Partner, &format!("{path}?limit=100"))],
        "/api/v1/webhooks" => {
            vec![list(Who::Partner, &format!("{path}?environment=staging&limit=100"))]
        }
        "/api/v1/webhooks/{environment}/{id}" => vec![page(Who::Partner, &endpoint)],
        "/api/v1/webhooks/{environment}/{id}/deliveries" => {
            vec![list(Who::Partner, &format!("{endpoint}?limit=100"))]
        }
        // It is looked for and not found.
        "/api/v1/webhooks/{environment}/{id}/deliveries/{delivery}" => {
            vec![status(404, page(Who::Partner, &endpoint))]
        }
        "/api/v1/partners" => vec![list(Who::Company, &format!("{path}?limit=100"))],
        "/api/v1/partners/{id}" => both.map(|who| page(who, &partner)).into(),
        "/api/v1/audit" => both
            .into_iter()
            .flat_map(|who| {
                let all = format!("{path}?limit=100");
                let of_app = format!("{all}&client_id={}", at.app);
                [list(who, &all), list(who, &of_app)]
            })
            .collect(),
        "/api/v1/audit/export" => both.map(|who| download(who, path)).into(),
        _ => return None,
    })
}

fn page(who: Who, target: &str) -> Look {
    Look { who, target: target.to_owned(), status: 200, how: How::Page }
}

fn parts(who: Who, first: &str, more: &str) -> Look {
    Look { how: How::Parts(more.to_owned()), ..page(who, first) }
}

fn download(who: Who, target: &str) -> Look {
    Look { how: How::Download, ..page(who, target) }
}

fn status(status: u16, look: Look) -> Look {
    Look { status, ..look }
}
