//! A part of a list: one entry more is read than is shown, and says whether there is more.

/// How many entries of most lists one page shows.
pub(super) const PAGE: i64 = 50;

/// Takes the one entry too many away, and gives the last one that is shown where there is more.
pub(super) fn cut<T>(entries: &mut Vec<T>, most: i64) -> Option<&T> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if entries.len() <= most {
        return None;
    }
    entries.truncate(most);
    entries.last()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn there_is_more_where_one_more_was_read() {
        let mut entries = vec![1, 2, 3];
        assert_eq!(cut(&mut entries, 2), Some(&2));
        assert_eq!(entries, [1, 2]);
        assert_eq!(cut(&mut entries, 2), None);
        assert_eq!(entries, [1, 2]);
    }
}
