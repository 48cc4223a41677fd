//! Landlock: access rights that a process gives up for itself and its threads.

use std::fs::File;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest interface that the crate knows. An older kernel enforces what it knows of it.
const NEWEST: ABI = ABI::V10;

/// Gives up everything that Landlock can restrict, except to read what is in `packages`. Returns the version of the kernel's
/// interface.
///
/// # Errors
/// Why nothing is enforced.
pub(crate) fn restrict(packages: Option<&File>) -> Result<u32, String> {
    let status = try_restrict(packages).map_err(|error| error.to_string())?;
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => kernel_abi.unwrap_or(effective_abi as i32),
        LandlockStatus::NotEnabled => return Err("the kernel has it but does not use it".to_owned()),
        LandlockStatus::NotImplemented => return Err("the kernel does not offer it".to_owned()),
    };
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("the kernel enforces none of its rules".to_owned()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(version.unsigned_abs()),
    }
}

fn try_restrict(packages: Option<&File>) -> Result<landlock::RestrictionStatus, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let ruleset = match packages {
        Some(folder) => ruleset.add_rule(PathBeneath::new(folder, AccessFs::ReadFile | AccessFs::ReadDir))?,
        None => ruleset,
    };
    ruleset.restrict_self()
}
