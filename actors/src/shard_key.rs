//! How users are spread over shards.

use domain::id::UserId;
use domain::port::clock::Entropy;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key of the hash that spreads users over shards. It is random for each run of the server: otherwise a feed could
/// make up user ids that all fall on one shard.
pub(crate) struct ShardKey(Hmac<Sha256>);

impl ShardKey {
    /// Returns a random key.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        // As long as a block of the hash, so that HMAC uses it as it is.
        let mut key = [0; 64];
        entropy.fill(&mut key);
        Self(Hmac::new(&key.into()))
    }

    /// Returns the shard of a user, below `shards`.
    pub(crate) fn shard_of(&self, user: &UserId, shards: usize) -> usize {
        let hash = self.0.clone().chain_update(user.as_str()).finalize().into_bytes();
        let hash = hash.iter().take(8).fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
        (hash % shards as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct ConstantBytes(u8);

    impl Entropy for ConstantBytes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn the_shard_of_a_user_depends_on_the_key() {
        let users: Vec<_> = (0..64).filter_map(|number| UserId::parse(&format!("usr_{number:012}")).ok()).collect();
        let shards = |key: u8| {
            let key = ShardKey::new(&ConstantBytes(key));
            users.iter().map(|user| key.shard_of(user, 4)).collect::<Vec<_>>()
        };
        assert_eq!(shards(1), shards(1));
        assert_ne!(shards(1), shards(2));
        assert!((0..4).all(|shard| shards(1).contains(&shard)), "all shards are used");
    }
}
