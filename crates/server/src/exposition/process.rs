//! What the system knows of this process.

/// How much memory is in use, in bytes; `None` where the system has no `/proc`.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    resident_in(&status)
}

/// How many files and sockets are open; `None` where the system has no `/proc`.
pub(super) fn open_files() -> Option<u64> {
    // Reading the list holds one more.
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(listed).ok().map(|listed| listed.saturating_sub(1))
}

/// `statm` counts in pages, whose size it does not say; `status` says it in kB (of 1024).
fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_is_read_in_bytes() {
        let status = "Name:\tgrantor\nVmHWM:\t   99999 kB\nVmRSS:\t   12345 kB\nThreads:\t3\n";
        assert_eq!(resident_in(status), Some(12345 * 1024));
        assert_eq!(resident_in("Name:\tgrantor\n"), None);
    }
}
