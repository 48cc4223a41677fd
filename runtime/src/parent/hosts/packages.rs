//! The packages that sandbox hosts can open.

use bue_model::{Answer, Failure, FailureKind, WallPart};

use crate::packages::sites::{Site, Sites};
use crate::wall::report::Wall;

/// The folder of packages of some hosts.
#[derive(Debug)]
pub(crate) struct HostPackages {
    folder: Option<Sites>,
    /// The wall leaves a way to them.
    readable: bool,
}

impl HostPackages {
    pub(crate) const fn new(folder: Option<Sites>, wall: &Wall) -> Self {
        Self { folder, readable: wall.packages }
    }

    /// Returns the name under which hosts find unpacked packages.
    ///
    /// # Errors
    /// Why they cannot open them.
    pub(crate) fn name_of(&self, site: &Site) -> Result<String, Answer> {
        let Some(folder) = &self.folder else {
            return Err(refused(FailureKind::Internal, "these sandbox hosts were started without packages"));
        };
        if !self.readable {
            return Err(refused(FailureKind::Denied, &no_safe_way()));
        }
        let name = folder.name_of(site);
        name.ok_or_else(|| refused(FailureKind::Internal, "they were unpacked for other sandbox hosts"))
    }
}

/// With the system call to open files, a guest that escaped could read every file of the worker's user.
fn no_safe_way() -> String {
    format!(
        "this worker can limit sandboxes to the files of packages neither by Landlock nor by a user of their own. For \
         Landlock, {}; for the other, start the worker as root. `bue worker --explain-wall` tells more",
        WallPart::Landlock.remedy()
    )
}

fn refused(kind: FailureKind, reason: &str) -> Answer {
    Answer::Failed(Failure::new(kind, format!("The step's packages cannot be opened: {reason}.")))
}
