//! The customer's browser, once a run: signs in, ticks every business, presses Allow. What is left
//! is the cookie of a live session, and a consent that lets later codes be given silently.

use std::net::SocketAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::Connection;
use crate::failure::Failure;
use crate::server::{EMAIL, Installation, PASSWORD, REDIRECT_URI, SCOPES};

/// How many pages there may be.
const MAX_STEPS: usize = 10;

/// A page, as far as this browser looks.
struct Page {
    /// Where it leads by itself.
    location: Option<String>,
    text: String,
}

/// Which cookie holds the session, and what leads to a code.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The `Cookie` header's value.
    pub(crate) cookie: String,
    /// Path and query of the authorization request.
    pub(crate) target: String,
}

/// Goes from the partner's link to the code, through all pages.
pub(crate) async fn sign_in(
    address: SocketAddr,
    installation: &Installation,
) -> Result<Session, Failure> {
    let target = format!(
        "/oauth/authorize?response_type=code&client_id={}&redirect_uri={}&scope={}",
        installation.client_id,
        encode(REDIRECT_URI),
        encode(SCOPES)
    );
    let mut browser =
        Browser { connection: Connection::open(address).await?, address, cookie: String::new() };
    let mut page = browser.open(&target, None).await?;
    for _ in 0..MAX_STEPS {
        page = match &page.location {
            Some(away) if away.starts_with("https:") => {
                return Ok(Session { cookie: browser.cookie, target });
            }
            Some(here) => browser.open(&here.clone(), None).await?,
            None => {
                let form = fill_in(&page)?;
                browser.open(&page.form_action()?, Some(&form)).await?
            }
        };
    }
    Err(Failure::said(format!("the pages do not end: {}", page.text)))
}

/// Percent-encodes a value.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What a customer enters who agrees to everything.
fn fill_in(page: &Page) -> Result<String, Failure> {
    let hidden = |name: &str| page.values(name).pop().unwrap_or_default();
    let step = hidden("step");
    let mut fields = vec![("csrf_token", hidden("csrf_token")), ("step", step.clone())];
    match step.as_str() {
        "sign_in" => {
            fields.extend([("email", EMAIL.to_owned()), ("password", PASSWORD.to_owned())]);
        }
        "businesses" => {
            fields.extend(page.values("business").into_iter().map(|id| ("business", id)))
        }
        "consent" => {
            fields.extend(page.values("scope").into_iter().map(|scope| ("scope", scope)));
            fields.push(("decision", "allow".to_owned()));
        }
        _ => return Err(Failure::said(format!("a page that is not known: {}", page.text))),
    }
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

struct Browser {
    connection: Connection,
    address: SocketAddr,
    cookie: String,
}

impl Browser {
    async fn open(&mut self, target: &str, form: Option<&str>) -> Result<Page, Failure> {
        let own = format!("http://{}", self.address);
        let path = target.strip_prefix(&own).unwrap_or(target);
        let (method, body) = form.map_or(("GET", ""), |form| ("POST", form));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.cookie,
            body.len()
        );
        let response = self.connection.call(request.as_bytes()).await?;
        if let Some(cookie) = response.header("set-cookie").and_then(|held| held.split(';').next())
        {
            self.cookie = cookie.to_owned();
        }
        let location = response.header("location").map(str::to_owned);
        Ok(Page { location, text: response.body.to_owned() })
    }
}

impl Page {
    fn form_action(&self) -> Result<String, Failure> {
        let after = self.text.split("action=\"").nth(1).and_then(|after| after.split('"').next());
        after.map(unescape).ok_or_else(|| Failure::said(format!("no form: {}", self.text)))
    }

    /// The values of all fields of that name.
    fn values(&self, name: &str) -> Vec<String> {
        let named = format!("name=\"{name}\"");
        self.text
            .split('<')
            .filter(|tag| tag.starts_with("input") && tag.contains(&named))
            .filter_map(|tag| tag.split("value=\"").nth(1)?.split('"').next().map(unescape))
            .collect()
    }
}

fn unescape(text: &str) -> String {
    text.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_filled_in_with_what_the_page_holds() {
        let text = "<form action=\"/a?b=1&#38;c=2\"><input type=\"hidden\" name=\"csrf_token\" \
                    value=\"t\"><input name=\"step\" value=\"businesses\"><input name=\"business\" \
                    value=\"1\" checked><input name=\"business\" value=\"2\">";
        let page = Page { location: None, text: text.to_owned() };
        assert_eq!(page.form_action().unwrap(), "/a?b=1&c=2");
        assert_eq!(fill_in(&page).unwrap(), "csrf_token=t&step=businesses&business=1&business=2");
    }
}
