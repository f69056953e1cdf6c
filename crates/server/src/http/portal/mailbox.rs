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
    let base_url = format!("{}/", visit.site.base_url);
    let line = |mail: Mail| MailLine {
        to: mail.to.as_str().to_owned(),
        subject: mail.subject.as_str().to_owned(),
        when: moment(mail.at),
        lines: mail
            .text
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| Piece { text: line.to_owned(), link: line.starts_with(&base_url) })
            .collect(),
    };
    let page =
        MailboxPage { shell: visit.shell("mailbox"), mails: mails.into_iter().map(line).collect() };
    Ok(visit.page(StatusCode::OK, &page))
}
