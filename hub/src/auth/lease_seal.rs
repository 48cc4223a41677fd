//! [`LeaseSealer`]: seals the tokens of leases, so that only the worker that was granted a lease can extend or report it.
//!
//! Fencing numbers and job ids are small and easy to guess. A seal is the first 128 bits of BLAKE3, keyed with a secret of the
//! store, over the job, the number, and the sender's access token and scopes. It is computed and never stored, so it costs no
//! column, and every hub of a store accepts the leases of the others, also after a restart.

use std::fmt;

use blake3::Hasher;
use bue_model::{JobId, Token};

use crate::auth::access::Principal;
use crate::lease_key::LeaseKey;

/// Seals tokens and checks seals.
#[derive(Clone)]
pub(crate) struct LeaseSealer {
    key: LeaseKey,
}

impl fmt::Debug for LeaseSealer {
    /// Omits the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseSealer")
    }
}

impl LeaseSealer {
    pub(crate) fn new(key: LeaseKey) -> Self {
        Self { key }
    }

    /// Seals the token of a job that is leased to this sender; `None` is everyone, where no access token is required.
    pub(crate) fn seal(&self, holder: Option<&Principal>, job: JobId, token: Token) -> Token {
        Token { seal: self.code(holder, job, token.number), ..token }
    }

    /// Returns the token without its seal, for the store. `None` if the hub did not grant this lease to this sender. Takes the
    /// same time wherever the seal differs.
    pub(crate) fn open(&self, holder: Option<&Principal>, job: JobId, token: Token) -> Option<Token> {
        let expected = self.code(holder, job, token.number);
        let difference = expected.iter().zip(&token.seal).fold(0, |difference, (a, b)| difference | (a ^ b));
        (difference == 0).then_some(Token::unsealed(token.number))
    }

    fn code(&self, holder: Option<&Principal>, job: JobId, number: u64) -> [u8; 16] {
        let mut hasher = Hasher::new_keyed(&self.key);
        hasher.update(&job.0.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        if let Some(holder) = holder {
            hasher.update(&holder.identity);
        }
        let mut code = [0; 16];
        hasher.finalize_xof().fill(&mut code);
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_one_job_one_number_one_holder_and_one_key() {
        let sealer = LeaseSealer::new([7; 32]);
        let (a, b) = (Principal::for_tests("a", &["x"]), Principal::for_tests("b", &["x"]));
        let sealed = sealer.seal(Some(&a), JobId(1), Token::unsealed(3));
        assert_eq!(sealer.open(Some(&a), JobId(1), sealed), Some(Token::unsealed(3)));
        assert_eq!(sealer.open(Some(&b), JobId(1), sealed), None, "another token");
        assert_eq!(sealer.open(Some(&Principal::for_tests("a", &["x", "y"])), JobId(1), sealed), None, "other scopes");
        assert_eq!(sealer.open(None, JobId(1), sealed), None, "no token");
        assert_eq!(sealer.open(Some(&a), JobId(2), sealed), None, "another job");
        assert_eq!(sealer.open(Some(&a), JobId(1), Token { number: 4, ..sealed }), None, "another lease");
        assert_eq!(LeaseSealer::new([8; 32]).open(Some(&a), JobId(1), sealed), None, "another store");
        for bit in 0..128 {
            let mut forged = sealed;
            forged.seal[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer.open(Some(&a), JobId(1), forged), None, "bit {bit}");
        }
        assert_eq!(format!("{sealed:?} {sealer:?}"), "Token(3) LeaseSealer", "neither prints secrets");
    }
}
