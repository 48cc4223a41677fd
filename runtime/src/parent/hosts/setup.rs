//! The first message to a sandbox host.

use std::io;

use super::config::HostsConfig;
use crate::packages::sites::Sites;
use crate::prepared::{GuestFiles, PreparedGuests};
use crate::protocol::{self, Frame, ToHost};
use crate::wall::parent::user_of_host;
use crate::wall::spec::WallSpec;

/// Returns the message that sets up the host of a slot, with the files that it maps and the folder of packages.
pub(crate) fn setup(config: &HostsConfig, slot: usize) -> io::Result<Frame> {
    let folder = config.packages.as_ref().map(Sites::folder);
    let wall = WallSpec { mode: config.wall, user: user_of_host(slot), packages: folder.is_some() };
    let PreparedGuests { python, sqlite } = &config.prepared.guests;
    let seal = |guest: &GuestFiles| guest.seal.clone();
    let message = ToHost::Setup { python: seal(python), sqlite: sqlite.as_ref().map(seal), wall };
    let guests = core::iter::once(python).chain(sqlite);
    let frame = protocol::frame(&message)?;
    let frame = guests.fold(frame, |frame, guest| frame.with_file(&guest.code).with_file(&guest.image));
    Ok(match folder {
        Some(folder) => frame.with_file(folder),
        None => frame,
    })
}
