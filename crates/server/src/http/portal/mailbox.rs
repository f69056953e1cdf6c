//! The mailbox of dev: what would have left by mail, so that a newcomer needs no mail server.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::apps::moment;
use super::fault::Fault;
use super::visit::Visit;
use crate::mail::Mail;
use crate::pages::portal::{MailLine, MailboxPage, Piece};

/// How many mails it shows.
const NEWEST: i64 = 50;

/// Shows it; in dev alone.
pub(super) async fn show(visit: Visit) -> Result<Response<Body>, Fault> {
    if visit.site.dev.is_none() {
        return Err(Fault::NotFound);
    }
    let mails = visit.site.store.newest_mails(None, NEWEST).await?;
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
    let page =
        MailboxPage { shell: visit.shell("mailbox"), mails: mails.into_iter().map(line).collect() };
    Ok(visit.page(StatusCode::OK, &page))
}
