//! The mailbox of dev: what would have left by mail, so that a newcomer needs no mail server.

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;
use uuid::Uuid;

use super::apps::moment;
use super::fault::Fault;
use super::part::{PAGE, cut};
use super::visit::Visit;
use crate::mail::Mail;
use crate::pages::portal::{MailLine, MailboxPage, Piece};

/// Shows it, the newest first; in dev alone.
pub(super) async fn show(visit: Visit, RawQuery(query): RawQuery) -> Result<Response<Body>, Fault> {
    if visit.site.dev.is_none() {
        return Err(Fault::NotFound);
    }
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let before = parameters.value("before").and_then(|id| Uuid::parse_str(id).ok());
    let before = before.map(Uuid::into_bytes);
    let mut mails = visit.site.store.newest_mails(before, PAGE + 1).await?;
    let next = cut(&mut mails, PAGE);
    let next = next.map(|last| format!("/mailbox?before={}", Uuid::from_bytes(last.id)));
    let environments = visit.portal()?.environments.iter().map(|site| &site.base_url);
    let sites: Vec<String> =
        environments.chain([&visit.site.base_url]).map(|url| format!("{url}/")).collect();
    let is_link = |line: &str| sites.iter().any(|site| line.starts_with(site.as_str()));
    let line = |mail: Mail| MailLine {
        to: mail.to.as_str().to_owned(),
        subject: mail.subject.as_str().to_owned(),
        when: moment(mail.at),
        lines: mail
            .text
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| Piece { text: line.to_owned(), link: is_link(line) })
            .collect(),
    };
    let mails = mails.into_iter().map(line).collect();
    let page = MailboxPage { shell: visit.shell("mailbox"), mails, next };
    Ok(visit.page(StatusCode::OK, &page))
}
