//! [`LeaseKey`]: the secret of a store that seals leases.

/// 256 random bits.
pub type LeaseKey = [u8; 32];
