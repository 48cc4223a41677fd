//! [`SessionSealer`]: what a browser carries after a login, and the one-time codes of login links.
//!
//! Both name a token and the time until which they hold, and end with a code over these and the token's hash and role, made with a key
//! that is derived from the secret of the store. The hub stores none of them, so every hub of a store accepts those of the others, also
//! after a restart. They hold as long as the tokens file has the token: deleting it, or editing what it permits, ends them.

use std::fmt;

use blake3::{Hash, Hasher};
use bue_model::Timestamp;

use crate::auth::access::Principal;
use crate::lease_key::LeaseKey;

/// The context of the derived key: seals of leases have another one.
const KEY_CONTEXT: &str = "bue 2026-12-01 dashboard session";
/// Characters of a seal's text at most. The name of a token has 64.
const MAX_TEXT: usize = 256;

/// What a seal is for. One that is for something else does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealPurpose {
    /// The cookie of a browser.
    Session,
    /// The code in a link.
    LoginCode,
}

/// Seals sessions and login codes, and checks the seals.
#[derive(Clone)]
pub(crate) struct SessionSealer {
    key: [u8; 32],
}

/// A seal that was read and not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    expires_at: Timestamp,
    nonce: u128,
    code: Hash,
    /// The name of the token.
    pub(crate) name: String,
}

impl fmt::Debug for SessionSealer {
    /// Omits the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSealer")
    }
}

impl SessionSealer {
    pub(crate) fn new(key: &LeaseKey) -> Self {
        Self { key: blake3::derive_key(KEY_CONTEXT, key) }
    }

    /// The name of the cookie. It differs from store to store, because a browser shares cookies between all ports of a machine.
    pub(crate) fn cookie_name(&self) -> String {
        let id = blake3::keyed_hash(&self.key, b"cookie name").to_hex();
        format!("bue-session-{}", id.get(..8).unwrap_or_default())
    }

    /// Seals the name of a token: letters, digits, `-`, `_` and `.`, as cookies and queries may have. `nonce` is random.
    pub(crate) fn seal(&self, purpose: SealPurpose, holder: &Principal, expires_at: Timestamp, nonce: u128) -> String {
        let code = self.code(purpose, holder, expires_at, nonce);
        format!("{}.{nonce:032x}.{}.{}", expires_at.0, code.to_hex(), holder.token_name)
    }

    /// Returns whether a seal was made for this purpose and this holder, and has not expired. Takes the same time wherever it differs.
    pub(crate) fn holds(&self, purpose: SealPurpose, seal: &Seal, holder: &Principal, now: Timestamp) -> bool {
        // blake3 compares its hashes in constant time
        self.code(purpose, holder, seal.expires_at, seal.nonce) == seal.code && now < seal.expires_at
    }

    fn code(&self, purpose: SealPurpose, holder: &Principal, expires_at: Timestamp, nonce: u128) -> Hash {
        let mut hasher = Hasher::new_keyed(&self.key);
        hasher.update(match purpose {
            SealPurpose::Session => b"s",
            SealPurpose::LoginCode => b"c",
        });
        hasher.update(&expires_at.0.to_le_bytes());
        hasher.update(&nonce.to_le_bytes());
        // last, because it is the only one whose length varies
        hasher.update(&holder.identity).update(holder.token_name.as_bytes());
        hasher.finalize()
    }
}

impl Seal {
    /// Reads a seal. `None` if the text is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = (text.len() <= MAX_TEXT).then(|| text.splitn(4, '.'))?;
        let expires_at = Timestamp(parts.next()?.parse().ok()?);
        let nonce = parts.next().filter(|nonce| nonce.len() == 32)?;
        let nonce = u128::from_str_radix(nonce, 16).ok()?;
        let code = Hash::from_hex(parts.next()?).ok()?;
        Some(Self { expires_at, nonce, code, name: parts.next()?.to_owned() })
    }

    /// Its random number, by which a code is recognised that was used.
    pub(crate) fn nonce(&self) -> u128 {
        self.nonce
    }

    /// When it ends.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    #[test]
    fn a_seal_holds_for_one_purpose_one_holder_one_key_and_until_it_expires() {
        let sealer = SessionSealer::new(&[7; 32]);
        let (holder, other) = (Principal::for_tests("a", &[]), Principal::for_tests("b", &[]));
        let text = sealer.seal(SealPurpose::Session, &holder, Timestamp(2_000), 9);
        let seal = Seal::read(&text).expect("a seal");
        assert_eq!((seal.name.as_str(), seal.nonce()), ("worker", 9));
        assert!(sealer.holds(SealPurpose::Session, &seal, &holder, NOW));
        assert!(!sealer.holds(SealPurpose::LoginCode, &seal, &holder, NOW), "another purpose");
        assert!(!sealer.holds(SealPurpose::Session, &seal, &other, NOW), "another token");
        assert!(!sealer.holds(SealPurpose::Session, &seal, &Principal::for_tests("a", &["x"]), NOW), "other scopes");
        assert!(!sealer.holds(SealPurpose::Session, &seal, &holder, Timestamp(2_000)), "too late");
        assert!(!SessionSealer::new(&[8; 32]).holds(SealPurpose::Session, &seal, &holder, NOW), "another store");
        let later = Seal { expires_at: Timestamp(3_000), ..seal.clone() };
        assert!(!sealer.holds(SealPurpose::Session, &later, &holder, NOW), "a later end");
        assert!(!sealer.holds(SealPurpose::Session, &Seal { nonce: 8, ..seal }, &holder, NOW), "another number");
        assert_eq!(format!("{sealer:?}"), "SessionSealer", "the key is not printed");
    }

    #[test]
    fn other_texts_are_no_seals() {
        let text = SessionSealer::new(&[7; 32]).seal(SealPurpose::Session, &Principal::for_tests("a", &[]), NOW, 1);
        assert!(Seal::read(&text).is_some());
        for wrong in ["", ".", "...", "1.2.3.4", &text[1..], &text.replace('.', ""), &format!("{text}{text}")] {
            let read = Seal::read(wrong);
            assert!(read.is_none() || read != Seal::read(&text), "{wrong}");
        }
        assert_eq!(Seal::read(&"9".repeat(1_000)), None);
    }
}
