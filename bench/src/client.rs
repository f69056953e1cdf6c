//! The measuring client: HTTP/1.1 as far as the server speaks it, and no further.
//!
//! A library for HTTP would take more of the two cores than the server that is measured. So this
//! writes bytes that were made beforehand, and reads status, header lines and a body whose length
//! the head tells. It is a tool of the benchmark and no client for anything else.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// No response is longer, in bytes.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// One connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A response, as it lies in the connection's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// The status.
    pub(crate) status: u16,
    /// The header lines.
    pub(crate) head: &'a str,
    /// The body.
    pub(crate) body: &'a str,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection, Failure> {
        let fault = || Failure::io(format!("no connection to {address}"));
        let stream = TcpStream::connect(address).await.map_err(fault())?;
        stream.set_nodelay(true).map_err(fault())?;
        Ok(Connection { stream, received: Vec::with_capacity(16 * 1024) })
    }

    /// Sends one request and waits for its response.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Response<'_>, Failure> {
        self.stream.write_all(request).await.map_err(Failure::io("the request was not sent"))?;
        self.received.clear();
        let length = loop {
            if let Some(length) = whole(&self.received)? {
                break length;
            }
            let read = self.stream.read_buf(&mut self.received).await;
            match read.map_err(Failure::io("the response was not received"))? {
                0 => return Err(Failure::said("the server closed the connection")),
                _ if self.received.len() > MAX_RESPONSE_BYTES => {
                    return Err(Failure::said("the response does not end"));
                }
                _ => {}
            }
        };
        parse(&self.received[..length])
    }
}

impl<'a> Response<'a> {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// A member of a JSON object that is a string without escapes, as tokens are.
    pub(crate) fn member(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.body;
        loop {
            let (_, after) = rest.split_once('"')?;
            let (found, behind) = after.split_once('"')?;
            if found == name
                && let Some(value) = behind.trim_start().strip_prefix(':')
            {
                return value.trim_start().strip_prefix('"')?.split('"').next();
            }
            rest = behind;
        }
    }
}

/// How long the response at the front is, once all of it is there.
fn whole(received: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = parse(&received[..end + 4])?;
    let length = match head.header("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) => length,
        // RFC 9110 8.6: neither of them has a body.
        None if matches!(head.status, 204 | 304) => 0,
        _ => return Err(Failure::said(format!("a response without a length: {}", head.head))),
    };
    let length = end + 4 + length;
    Ok((received.len() >= length).then_some(length))
}

fn parse(bytes: &[u8]) -> Result<Response<'_>, Failure> {
    let parsed = (|| {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some(Response { status, head, body })
    })();
    parsed.ok_or_else(|| Failure::said("the response is no HTTP/1.1 that this client reads"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
        content-length: 45\r\n\r\n{\"access_token\":\"a\", \"refresh_token\" : \"b-c\"}HTTP/1.1 ";

    #[test]
    fn a_response_is_whole_when_its_body_is_there_and_not_before() {
        let length = whole(ANSWER).unwrap().unwrap();
        assert!(ANSWER[..length].ends_with(b"}"));
        for short in 0..length {
            assert_eq!(whole(&ANSWER[..short]).unwrap(), None, "{short}");
        }
    }

    #[test]
    fn status_headers_and_members_are_read() {
        let response = parse(&ANSWER[..ANSWER.len() - 9]).unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.header("Content-Length"), Some("45"));
        assert_eq!(response.header("location"), None);
        assert_eq!(response.member("refresh_token"), Some("b-c"));
        assert_eq!(response.member("access_token"), Some("a"));
        assert_eq!(response.member("b-c"), None);
    }

    #[test]
    fn what_has_no_length_is_refused_and_not_waited_for() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(whole(chunked).is_err());
        assert!(whole(b"HTTP/1.1 2\r\n\r\n").is_err());
        assert_eq!(whole(b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n").unwrap(), Some(33));
    }
}
