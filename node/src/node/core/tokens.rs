//! What the tokens of recent results name, so that a gate behind another needs no call to the chain.

use rings_protocol::Digest;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Token ids whose data is kept in memory.
const MAX_TOKENS: usize = 16_384;

/// Constants by token id. A constant's data never changes, so nothing here grows old.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens(Arc<Mutex<BTreeMap<Digest, Digest>>>);

impl Tokens {
    /// Remembers the data of these constants.
    pub fn extend(&self, data: &[Digest]) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() + data.len() > MAX_TOKENS {
            tokens.clear();
        }
        tokens.extend(
            data.iter()
                .take(MAX_TOKENS)
                .map(|digest| (digest.token_id(), *digest)),
        );
    }

    /// The data of a constant, if it is remembered.
    pub fn data(&self, token: Digest) -> Option<Digest> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&token)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_even_id() {
        let tokens = Tokens::default();
        tokens.extend(&[Digest([0xff; 32])]);
        assert_eq!(
            tokens.data(Digest([0xff; 32]).token_id()),
            Some(Digest([0xff; 32]))
        );
        assert_eq!(tokens.data(Digest([0xff; 32])), None);
    }

    #[test]
    fn memory_is_bounded() {
        let tokens = Tokens::default();
        for n in 0..MAX_TOKENS as u32 + 10 {
            let mut digest = Digest::ZERO;
            digest.0[..4].copy_from_slice(&n.to_be_bytes());
            tokens.extend(&[digest]);
        }
        assert!(tokens.0.lock().unwrap().len() <= MAX_TOKENS);
    }
}
