//! The key of the saved projection. It is replaced with every erasure, so that no saved byte of the erased user opens.

use std::io;

use domain::port::store::StoreError;

use crate::engine::Engine;
use crate::keyring::FIRST_GENERATION;
use crate::seal::Cipher;
use crate::sled_store::ProjectionKey;

/// Returns the slot and the cipher of the key. If there is none yet, or it cannot be read, a new one is made.
pub(super) fn get_or_make(engine: &Engine) -> Result<(u32, Cipher), StoreError> {
    let slot = match engine.sled.projection_key().map_err(unavailable)? {
        Some(ProjectionKey { slot, .. }) => slot,
        None => return make(engine, None),
    };
    match engine.cipher(slot, FIRST_GENERATION) {
        Ok(cipher) => Ok((slot, cipher)),
        // What cannot be read now may still be there.
        Err(StoreError::Damaged { .. }) => make_instead(engine, slot),
        Err(error) => Err(error),
    }
}

/// Makes a new key, and destroys the one before it. The order makes it hold through a crash: once the new slot is durable,
/// the old key is destroyed at the next start at the latest.
pub(super) fn replace(engine: &Engine) -> Result<(), StoreError> {
    let Some(ProjectionKey { slot, .. }) = engine.sled.projection_key().map_err(unavailable)? else { return Ok(()) };
    make_instead(engine, slot)?;
    finish_replacement(engine).map_err(failed)
}

/// Destroys the key before the present one, if that was begun.
pub(super) fn finish_replacement(engine: &Engine) -> io::Result<()> {
    let Some(key) = engine.sled.projection_key().map_err(io::Error::other)? else { return Ok(()) };
    let Some(replaced) = key.replaced else { return Ok(()) };
    engine.keyring.destroy(replaced, FIRST_GENERATION)?;
    engine.sled.set_projection_key(ProjectionKey { replaced: None, ..key }).map_err(io::Error::other)
}

/// Makes a new key that replaces the one in `slot`, after the replacement before was finished: only one slot is noted.
fn make_instead(engine: &Engine, slot: u32) -> Result<(u32, Cipher), StoreError> {
    finish_replacement(engine).map_err(failed)?;
    make(engine, Some(slot))
}

fn make(engine: &Engine, replaced: Option<u32>) -> Result<(u32, Cipher), StoreError> {
    let issued = engine.take_slots(1).map_err(failed)?.pop();
    let issued = issued.ok_or_else(|| failed(io::Error::other("the keyring gave no slot")))?;
    // Before anything is sealed under the key, so that a crash leaves nothing whose key is not known.
    engine.sled.set_projection_key(ProjectionKey { slot: issued.slot, replaced }).map_err(unavailable)?;
    Ok((issued.slot, issued.key.cipher()))
}

fn failed(source: io::Error) -> StoreError {
    StoreError::Unavailable { doing: "making a key for the columns", source: source.into() }
}

fn unavailable(source: sled::Error) -> StoreError {
    StoreError::Unavailable { doing: "looking for the key of the columns", source: source.into() }
}
