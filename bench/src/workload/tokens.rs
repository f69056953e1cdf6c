//! Requests of which each spends something: a code, or a refresh token.

use std::cell::RefCell;
use std::rc::Rc;

use super::Wire;
use super::cycle::{expect, unexpected};
use crate::client::Response;
use crate::failure::Failure;
use crate::load::Requests;

/// Pairs of a refresh token and an access token.
pub(crate) type Tokens = Rc<RefCell<Vec<(String, String)>>>;

/// The newest refresh token of each grant of a ring.
pub(crate) type Ring = Rc<RefCell<Vec<String>>>;

/// Exchanges, each of another code.
pub(crate) struct Exchange {
    requests: Vec<Vec<u8>>,
    next: usize,
    tokens: Option<Tokens>,
}

/// A ring of grants: each is refreshed in turn, with the newest of its tokens.
pub(crate) struct Refresh {
    wire: Wire,
    ring: Ring,
    at: usize,
    left: usize,
}

impl Exchange {
    /// These, once. The tokens are kept where there is a place for them.
    pub(crate) fn new(requests: Vec<Vec<u8>>, tokens: Option<Tokens>) -> Exchange {
        Exchange { requests, next: 0, tokens }
    }
}

impl Requests for Exchange {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(request) = self.requests.get(self.next) else {
            return false;
        };
        out.extend_from_slice(request);
        self.next += 1;
        true
    }

    fn took(&mut self, response: &Response<'_>) -> Result<(), Failure> {
        expect(response, 200)?;
        if let Some(tokens) = &self.tokens {
            let token = |name| response.member(name).map(str::to_owned);
            let pair = token("refresh_token").zip(token("access_token"));
            tokens.borrow_mut().push(pair.ok_or_else(|| unexpected(response))?);
        }
        Ok(())
    }
}

impl Refresh {
    /// Begins with these tokens, and refreshes `most` times.
    pub(crate) fn new(wire: Wire, ring: Ring, most: usize) -> Refresh {
        Refresh { wire, ring, at: 0, left: most }
    }
}

impl Requests for Refresh {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let ring = self.ring.borrow();
        let Some(token) = ring.get(self.at).filter(|_| self.left > 0) else {
            return false;
        };
        self.left -= 1;
        let form = ["grant_type=refresh_token&refresh_token=", token];
        self.wire.post(out, "/oauth/token", &form);
        true
    }

    fn took(&mut self, response: &Response<'_>) -> Result<(), Failure> {
        expect(response, 200)?;
        let newest = response.member("refresh_token").ok_or_else(|| unexpected(response))?;
        let mut ring = self.ring.borrow_mut();
        if let Some(token) = ring.get_mut(self.at) {
            token.clear();
            token.push_str(newest);
        }
        self.at = (self.at + 1) % ring.len().max(1);
        Ok(())
    }
}
