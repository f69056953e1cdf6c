//! The rules of OAuth 2.0 as Grantor keeps them.
//!
//! Everything here is a pure function of its arguments: no IO, no async, no clock, no randomness.
//! What goes in is what a stranger sent and what the store said; what comes out is a parsed type,
//! a decision, or a named cause. The order of the modules is the order of the guide:
//!
//! 1. [`parameters`] reads a query or a form, [`authorization_request`] makes a request of it;
//! 2. [`authorization_step`] says what the customer sees next, until a code is issued or refused
//!    (a client may push its request first, [`pushed_request`]);
//! 3. [`client_call`], [`token_request`] and [`client_authentication`] read a client's call;
//! 4. [`grant`] decides whether a code may be redeemed and a refresh token turned;
//! 5. [`access_token`] decides whether an access token lives, [`token_introspection`] what is said
//!    of a token, [`token_revocation`] what ends when a client gives one back;
//! 6. [`jose`] reads and writes signed tokens: [`client_assertion`] is how a client proves itself with
//!    a key, [`dpop`] how a caller proves the key that its token is bound to;
//! 7. [`api`] is what tokens are for, [`openid`] what is said of the customer;
//! 8. [`logged_call`] is what may be kept of a call, [`cause`] why it was refused, in the words that
//!    its client's owner may read; [`call_done_right`] is the same call as it should have been, and
//!    [`integration_report`] what many of them show;
//! 9. [`authorize_error`] and [`token_error`] put each cause into words, once.

pub mod access_token;
pub mod api;
pub mod authorization_request;
pub mod authorization_step;
pub mod authorize_error;
pub mod call_done_right;
pub mod cause;
pub mod client;
pub mod client_assertion;
pub mod client_authentication;
pub mod client_call;
pub mod client_metadata;
pub mod client_token;
pub mod device;
pub mod dpop;
pub mod environment;
pub mod grant;
pub mod integration_report;
pub mod jose;
pub mod logged_call;
pub mod openid;
pub mod parameters;
pub mod pkce;
pub mod proof_error;
pub mod pushed_request;
pub mod redirect_uri;
pub mod resource;
pub mod scope;
pub mod token_error;
pub mod token_introspection;
pub mod token_request;
pub mod token_revocation;
pub mod trial;
pub mod visible;
