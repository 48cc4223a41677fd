//! Steps that store and read blobs.

#[bue::step]
fn stored(size: usize) -> bue::Result<String> {
    bue::put_blob(&vec![7; size])
}

#[bue::step]
fn length(name: String) -> bue::Result<usize> {
    Ok(bue::get_blob(&name)?.len())
}
