//! Whole lists, for an operator: they are read in parts, so that no statement is as long as the list.

/// How many entries a part has.
pub(super) const PART: i64 = 500;

/// Reads a list to its end. `part` gives what comes behind an entry, or the first entries.
pub(super) async fn all<T, E>(
    part: impl AsyncFn(Option<&T>) -> Result<Vec<T>, E>,
) -> Result<Vec<T>, E> {
    let mut all = Vec::new();
    loop {
        let next = part(all.last()).await?;
        if next.is_empty() {
            return Ok(all);
        }
        all.extend(next);
    }
}
