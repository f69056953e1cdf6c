//! Requests that repeat: nothing of the response is needed for the next.

use super::Codes;
use crate::client::Response;
use crate::failure::Failure;
use crate::load::Requests;

/// Some requests, one after the other, and again from the beginning.
pub(crate) struct Cycle {
    requests: Vec<Vec<u8>>,
    next: usize,
    status: u16,
    holds: Option<&'static str>,
}

/// One authorization request, again and again; each response holds a code.
pub(crate) struct Authorize {
    request: Vec<u8>,
    codes: Codes,
    left: usize,
}

impl Cycle {
    /// Each response must have this status, and hold this text.
    pub(crate) fn new(requests: Vec<Vec<u8>>, status: u16, holds: Option<&'static str>) -> Cycle {
        Cycle { requests, next: 0, status, holds }
    }
}

impl Requests for Cycle {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(request) = self.requests.get(self.next % self.requests.len().max(1)) else {
            return false;
        };
        out.extend_from_slice(request);
        self.next += 1;
        true
    }

    fn took(&mut self, response: &Response<'_>) -> Result<(), Failure> {
        expect(response, self.status)?;
        match self.holds {
            Some(text) if !response.body.contains(text) => Err(unexpected(response)),
            _ => Ok(()),
        }
    }
}

impl Authorize {
    /// Asks `most` times, and keeps the codes.
    pub(crate) fn new(request: Vec<u8>, codes: Codes, most: usize) -> Authorize {
        Authorize { request, codes, left: most }
    }
}

impl Requests for Authorize {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        out.extend_from_slice(&self.request);
        true
    }

    fn took(&mut self, response: &Response<'_>) -> Result<(), Failure> {
        expect(response, 303)?;
        let query = response.header("location").and_then(|target| target.split_once('?'));
        let code = query
            .and_then(|(_, query)| query.split('&').find_map(|pair| pair.strip_prefix("code=")));
        let code = code.ok_or_else(|| unexpected(response))?;
        self.codes.borrow_mut().push(code.to_owned());
        Ok(())
    }
}

/// A response that was not expected must not be measured.
pub(super) fn expect(response: &Response<'_>, status: u16) -> Result<(), Failure> {
    if response.status == status { Ok(()) } else { Err(unexpected(response)) }
}

/// What came instead.
pub(super) fn unexpected(response: &Response<'_>) -> Failure {
    let Response { status, head, body } = response;
    Failure::said(format!("the server answered {status}, which was not expected:\n{head}\n{body}"))
}
