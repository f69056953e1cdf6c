//! By which grants and consents name their client. An id has 60 characters and would be the longest
//! column of each grant.

use aws_lc_rs::digest::{SHA256, digest};

/// The first 8 bytes of the SHA-256 of a client's id. No two clients of an environment share one: the
/// second is refused when it is made.
pub fn client_key(id: &str) -> i64 {
    let whole = digest(&SHA256, id.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&whole.as_ref()[..8]);
    i64::from_be_bytes(first)
}
