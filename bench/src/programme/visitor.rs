//! Whoever visits: nobody, a person who signs in by the forms of the pages, a program with its token.

use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::browser::encode;
use crate::client::{Connection, Response};
use crate::failure::Failure;
use crate::load::now;
use crate::server::PASSWORD;

/// A developer of the largest partner.
pub(super) const DEVELOPER: &str = "developer@partners.example";
/// Its owner.
pub(super) const OWNER: &str = "owner@partners.example";
pub(super) const MANAGER: &str = "manager@company.example";
pub(super) const OPERATOR: &str = "operator@company.example";
/// A customer with very many connected apps.
pub(super) const CUSTOMER: &str = "customer@customers.example";

/// How many pages a sign-in may have.
const MAX_STEPS: usize = 8;
/// A code of a second factor is of so many seconds (RFC 6238).
const CODE_SECONDS: i64 = 30;

/// A visitor, with a connection that is kept.
pub(super) struct Visitor {
    connection: Connection,
    address: SocketAddr,
    /// Name and value of each cookie.
    cookies: Vec<(String, String)>,
    token: Option<String>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where it leads by itself.
    pub(super) location: Option<String>,
    pub(super) text: String,
}

/// How a download went.
pub(super) struct Downloaded {
    pub(super) first_byte: Duration,
    pub(super) whole: Duration,
    pub(super) bytes: u64,
}

impl Visitor {
    /// Who has nothing.
    pub(super) async fn nobody(address: SocketAddr) -> Result<Visitor, Failure> {
        let connection = Connection::open(address).await?;
        Ok(Visitor { connection, address, cookies: Vec::new(), token: None })
    }

    /// Signs in to the portal, and sets up a second factor where one is asked for.
    pub(super) async fn person(address: SocketAddr, email: &str) -> Result<Visitor, Failure> {
        let mut visitor = Visitor::nobody(address).await?;
        let mut target = "/sign-in".to_owned();
        for _ in 0..MAX_STEPS {
            let page = visitor.get(&target).await?;
            let form = hidden(&page.text)?;
            let (path, fields) = match target.as_str() {
                "/sign-in" => (target.as_str(), sign_in(email)),
                "/account/factor" => ("/account/factor", format!("code={}", code_of(&page.text)?)),
                // A page of the portal itself: that is all.
                _ if page.status == 200 => return Ok(visitor),
                other => return Err(Failure::said(format!("the sign-in led to {other}"))),
            };
            let answer = visitor.post(path, &format!("{form}&{fields}")).await?;
            target = match (answer.location, answer.status) {
                (Some(location), _) => visitor.path(&location),
                // The recovery codes, which are shown once.
                (None, 200) => "/team".to_owned(),
                (None, status) => {
                    return Err(Failure::said(format!("{email} was answered {status} at {path}")));
                }
            };
            if target == "/" {
                target = "/team".to_owned();
            }
        }
        Err(Failure::said(format!("the sign-in of {email} does not end")))
    }

    /// Signs in as a customer, on the page of the connected apps.
    pub(super) async fn customer(address: SocketAddr) -> Result<Visitor, Failure> {
        let mut visitor = Visitor::nobody(address).await?;
        let page = visitor.get("/connections").await?;
        let form = hidden(&page.text)?;
        let fields = format!("{form}&step=sign_in&{}", sign_in(CUSTOMER));
        let answer = visitor.post("/connections", &fields).await?;
        match answer.status {
            303 => Ok(visitor),
            other => Err(Failure::said(format!("a customer was answered {other}"))),
        }
    }

    /// Gets a token of the portal for an API client.
    pub(super) async fn program(
        address: SocketAddr,
        (id, secret): &(String, String),
    ) -> Result<Visitor, Failure> {
        let mut visitor = Visitor::nobody(address).await?;
        let pair = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
        let header = format!("Authorization: Basic {pair}\r\n");
        let body = "grant_type=client_credentials";
        let response = visitor.send("POST", "/oauth/token", (&header, body)).await?;
        let token = response.member("access_token").map(str::to_owned);
        let refused = Failure::said(format!("no token for {id}: {}", response.body));
        visitor.token = Some(token.ok_or(refused)?);
        Ok(visitor)
    }

    /// Connects anew: the server closes a connection on which nobody asks for a while.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        self.connection = Connection::open(self.address).await?;
        Ok(())
    }

    /// Opens a page.
    pub(super) async fn get(&mut self, target: &str) -> Result<Answer, Failure> {
        let header = self.credential();
        let response = self.send("GET", target, (&header, "")).await?;
        let answer = Answer::of(&response);
        let cookies = cookies(&response);
        self.keep(cookies);
        Ok(answer)
    }

    /// Asks once, and says how long it took and what was answered: status and bytes.
    pub(super) async fn timed(&mut self, target: &str) -> Result<(Duration, u16, usize), Failure> {
        let header = self.credential();
        let request = self.written("GET", target, (&header, ""));
        let begin = now();
        let response = self.connection.call(request.as_bytes()).await?;
        Ok((begin.elapsed(), response.status, response.body.len()))
    }

    /// Reads an answer to its end, however long it is, on a connection of its own.
    pub(super) async fn download(&self, target: &str) -> Result<Downloaded, Failure> {
        let fault = || Failure::io(format!("{target} was not read"));
        let header = format!("{}Connection: close\r\n", self.credential());
        let request = self.written("GET", target, (&header, ""));
        let mut stream = TcpStream::connect(self.address).await.map_err(fault())?;
        let begin = now();
        stream.write_all(request.as_bytes()).await.map_err(fault())?;
        let mut part = vec![0; 64 * 1024];
        let (mut first_byte, mut bytes) = (None, 0);
        loop {
            let read = stream.read(&mut part).await.map_err(fault())?;
            if first_byte.is_none() {
                if !part.starts_with(b"HTTP/1.1 200") {
                    return Err(Failure::said(format!("{target} was refused")));
                }
                first_byte = Some(begin.elapsed());
            }
            if read == 0 {
                let whole = begin.elapsed();
                let first_byte = first_byte.unwrap_or(whole);
                return Ok(Downloaded { first_byte, whole, bytes });
            }
            bytes += read as u64;
        }
    }

    async fn post(&mut self, path: &str, form: &str) -> Result<Answer, Failure> {
        let header = self.credential();
        let response = self.send("POST", path, (&header, form)).await?;
        let answer = Answer::of(&response);
        let cookies = cookies(&response);
        self.keep(cookies);
        Ok(answer)
    }

    async fn send(
        &mut self,
        method: &str,
        target: &str,
        rest: (&str, &str),
    ) -> Result<Response<'_>, Failure> {
        let request = self.written(method, target, rest);
        self.connection.call(request.as_bytes()).await
    }

    fn written(&self, method: &str, target: &str, (headers, body): (&str, &str)) -> String {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
    }

    fn credential(&self) -> String {
        if let Some(token) = &self.token {
            return format!("Authorization: Bearer {token}\r\n");
        }
        if self.cookies.is_empty() {
            return String::new();
        }
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        format!("Cookie: {}\r\n", cookies.collect::<Vec<_>>().join("; "))
    }

    fn keep(&mut self, new: Vec<(String, String)>) {
        for (name, value) in new {
            self.cookies.retain(|(held, _)| *held != name);
            self.cookies.push((name, value));
        }
    }

    fn path(&self, location: &str) -> String {
        let own = format!("http://{}", self.address);
        location.strip_prefix(&own).unwrap_or(location).to_owned()
    }
}

impl Answer {
    fn of(response: &Response<'_>) -> Answer {
        Answer {
            status: response.status,
            location: response.header("location").map(str::to_owned),
            text: response.body.to_owned(),
        }
    }

    /// The link that shows more, if it begins so.
    pub(super) fn more(&self, prefix: &str) -> Option<String> {
        let link = format!("href=\"{}", prefix.replace('&', "&#38;"));
        let mut found = self.text.split(&link).skip(1);
        found.find_map(|after| {
            let (rest, words) = after.split_once("\">")?;
            let shows_more = words.starts_with("Show more");
            shows_more.then(|| format!("{prefix}{}", rest.replace("&#38;", "&")))
        })
    }

    /// A member of the JSON, which is a text without escapes.
    pub(super) fn member(&self, name: &str) -> Option<&str> {
        Response { status: self.status, head: "", body: &self.text }.member(name)
    }
}

fn cookies(response: &Response<'_>) -> Vec<(String, String)> {
    let lines = response.head.lines().filter_map(|line| line.split_once(':'));
    let set = lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let pairs = set.filter_map(|(_, value)| value.trim().split(';').next()?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn sign_in(email: &str) -> String {
    format!("email={}&password={}", encode(email), encode(PASSWORD))
}

/// The field that says that a form is from a page of ours.
fn hidden(page: &str) -> Result<String, Failure> {
    let after = page.split("name=\"csrf_token\" value=\"").nth(1);
    let token = after.and_then(|after| after.split('"').next());
    let token = token.ok_or_else(|| Failure::said(format!("a page without a form: {page}")))?;
    Ok(format!("csrf_token={}", encode(token)))
}

/// The code of now for the key that the page shows in letters (RFC 6238, RFC 4226 5.3).
fn code_of(page: &str) -> Result<String, Failure> {
    let after = page.split("scan-key\">").nth(1);
    let letters = after.and_then(|after| after.split('<').next()).unwrap_or_default();
    let step = Clock::system().now() / CODE_SECONDS;
    let code = code(&unbase32(letters), step);
    code.ok_or_else(|| Failure::said("the page shows no key of a second factor"))
}

fn code(key: &[u8], step: i64) -> Option<String> {
    if key.is_empty() {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let from = usize::from(*tag.as_ref().last()? & 0xf);
    let four: [u8; 4] = tag.as_ref().get(from..from + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
}

/// RFC 4648 6, whatever stands between the letters.
fn unbase32(letters: &str) -> Vec<u8> {
    let values = letters.bytes().filter_map(|letter| match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'2'..=b'7' => Some(u32::from(letter - b'2') + 26),
        _ => None,
    });
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for value in values {
        held = (held << 5 | value) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, with six digits.
    #[test]
    fn a_code_is_the_one_that_an_app_shows() {
        let key = unbase32("GEZD-GNBV GY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(key, b"12345678901234567890");
        for (at, expected) in
            [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            assert_eq!(code(&key, at / CODE_SECONDS).as_deref(), Some(expected));
        }
        assert_eq!(code(&[], 1), None);
    }

    #[test]
    fn the_link_to_more_is_found_among_others() {
        let text = "<a href=\"/apps?staging=a\">x</a><a class=\"i\" href=\"/apps?staging=b&#38;c\">\
                    Show more</a><a href=\"/apps?production=d\">Show more</a>";
        let answer = Answer { status: 200, location: None, text: text.to_owned() };
        assert_eq!(answer.more("/apps?staging=").as_deref(), Some("/apps?staging=b&c"));
        assert_eq!(answer.more("/apps?production=").as_deref(), Some("/apps?production=d"));
        assert_eq!(answer.more("/requests?"), None);
    }
}
