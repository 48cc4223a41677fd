//! How much memory a process has to itself.

/// Returns the sum of the private memory of some processes, in bytes; `None` if the system does not report it.
pub(crate) async fn private_bytes(processes: Vec<u32>) -> Option<u64> {
    // reading /proc blocks the thread
    let read = move || processes.into_iter().map(private_bytes_of).sum();
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// Returns the private memory of this process, in bytes; 0 if the system does not report it.
pub(crate) fn own_private_bytes() -> u64 {
    private_bytes_of(std::process::id()).unwrap_or(0)
}

/// Returns the bytes of a process's memory that belong to no file and are shared with no other process.
fn private_bytes_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}
