//! The customer's part: walks the pages as a browser without scripts would, with cookies and forms.

use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

use crate::{Outcome, Program};

const PAGES_LIMIT: usize = 20;

/// A person at a browser of their own.
pub struct Customer {
    browser: Client,
    account: Value,
    /// The steps of the forms that were sent, in their order.
    pub pages: Vec<String>,
}

struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Customer {
    pub fn new(program: &Program) -> Outcome<Customer> {
        let browser = Client::builder().cookie_store(true).redirect(Policy::none()).build()?;
        let account = program.environment["customer"].clone();
        Ok(Customer { browser, account, pages: Vec::new() })
    }

    /// Opens an address and does what is asked, until a redirect leaves for `target`, or, with an
    /// empty one, a page has no form. Returns the address where it ended.
    pub fn walk(&mut self, address: &Url, target: &str, answers: &[(&str, &str)]) -> Outcome<Url> {
        let mut response = self.browser.get(address.clone()).send()?;
        for _ in 0..PAGES_LIMIT {
            let here = response.url().clone();
            if let Some(location) = response.headers().get("location") {
                let next = here.join(location.to_str()?)?;
                if !target.is_empty() && next.as_str().starts_with(target) {
                    return Ok(next);
                }
                response = self.browser.get(next).send()?;
                continue;
            }
            response = match read_form(page(response)?.as_str()) {
                Some(form) => self.send(&here, form, answers)?,
                None if target.is_empty() => return Ok(here),
                None => return Err(format!("no form and no redirect at {here}").into()),
            };
        }
        Err(format!("still on {} after {PAGES_LIMIT} pages", response.url()).into())
    }

    /// Signs in, keeps every business, and allows. Returns the parameter `name` of the redirect.
    pub fn allow(&mut self, authorization_url: &Url, target: &str) -> Outcome<Landed> {
        let landed = self.walk(authorization_url, target, &[])?;
        let value = |name: &str| {
            landed.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        Ok(Landed {
            code: value("code").ok_or_else(|| format!("no code: {landed}"))?,
            state: value("state").unwrap_or_default(),
            issuer: value("iss").unwrap_or_default(),
        })
    }

    fn send(&mut self, here: &Url, form: Form, answers: &[(&str, &str)]) -> Outcome<Response> {
        let mut fields = form.fields;
        for (name, value) in &mut fields {
            let answer = answers.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            if let Some(known) = answer.or_else(|| self.account[name.as_str()].as_str()) {
                *value = known.to_owned();
            }
            if name == "step" {
                self.pages.push(value.clone());
            }
        }
        let action = here.join(&form.action)?;
        Ok(self.browser.post(action).form(&fields).send()?)
    }
}

/// What the redirect carried.
pub struct Landed {
    pub code: String,
    pub state: String,
    pub issuer: String,
}

fn page(response: Response) -> Outcome<String> {
    let (status, url) = (response.status(), response.url().clone());
    let text = response.text()?;
    match status.as_u16() {
        200 => Ok(text),
        _ => Err(format!("{status} at {url}\n{text}").into()),
    }
}

/// Our own pages have one form at most, with attributes in double quotes. Of the buttons with a name
/// the one that allows is pressed.
fn read_form(html: &str) -> Option<Form> {
    let form = &html[html.find("<form")?..html.find("</form>")?];
    let mut fields = Vec::new();
    for tag in form.split('<') {
        let tag = &tag[..tag.find('>').unwrap_or(0)];
        let name = attribute(tag, "name");
        let value = attribute(tag, "value").unwrap_or_default();
        let ticked = !tag.contains("type=\"checkbox\"") || tag.contains(" checked");
        let pressed = tag.starts_with("button ") && value == "allow";
        if let Some(name) = name
            && ((tag.starts_with("input ") && ticked) || pressed)
        {
            fields.push((name, value));
        }
    }
    Some(Form { action: attribute(form, "action")?, fields })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let plain = value
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&amp;", "&");
    Some(plain)
}
