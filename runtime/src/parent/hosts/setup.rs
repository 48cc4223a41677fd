//! The first message to a sandbox host.

use std::io;

use super::config::HostsConfig;
use crate::packages::sites::Sites;
use crate::protocol::{self, Frame, ToHost};
use crate::wall::parent::user_of_child;
use crate::wall::spec::WallSpec;

/// Returns the message that sets up the host of a slot, with the files that it maps and the folder of packages.
pub(crate) fn setup(config: &HostsConfig, slot: usize) -> io::Result<Frame> {
    let folder = config.packages.as_ref().map(Sites::folder);
    let wall = WallSpec { mode: config.wall, user: user_of_child(slot), packages: folder.is_some() };
    let files = &config.prepared.files;
    let frame = protocol::frame(&ToHost::Setup { seal: files.seal.clone(), wall })?;
    let frame = frame.with_file(&files.code).with_file(&files.image);
    Ok(match folder {
        Some(folder) => frame.with_file(folder),
        None => frame,
    })
}
