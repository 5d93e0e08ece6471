//! Reading and changing stored letters. Nothing is read but the letters that are asked for, and those up to a number of bytes.

use domain::id::UserId;
use domain::port::dead_letters::{
    DeadLetter, LETTER_ID_BYTES, LetterId, LetterPage, LetterPosition, RejectedEvents, StoredLetter, UserLetters,
};
use domain::port::store::StoreError;

use super::{DeadLetterStore, body, source_tag};
use crate::seal::kind;
use crate::sled_store::{LetterKey, NewLetter, SealedRecord, SourceTag};

/// A page ends after the letter with which it has read this many bytes. A letter has at most a little more than an event.
const PAGE_BYTES: usize = 4 << 20;
/// Maximum number of letters that are looked at for a page. Those that cannot be opened any more are looked at, too.
const PAGE_LOOKS: usize = 1_000;
/// Maximum number of keys that are looked through at once for the letters about a user.
const USER_LOOKS: usize = 20_000;

const TAG_BYTES: usize = size_of::<SourceTag>();

impl RejectedEvents for DeadLetterStore {
    fn page(&self, source: &str, before: Option<LetterId>, limit: usize) -> Result<LetterPage, StoreError> {
        let (tag, sled) = (source_tag(source), &self.engine.sled);
        let mut end = before.map_or_else(|| after_all(tag), |before| start(tag, before));
        let (mut letters, mut bytes) = (Vec::new(), 0);
        for _ in 0..PAGE_LOOKS {
            let Some(key) = sled.newest_letter_before(tag, &end)? else {
                return Ok(LetterPage { letters, next: None });
            };
            let id = id_of(&key);
            end = start(tag, id);
            // It may have been removed meanwhile, and another source may have the same tag.
            let Some(sealed) = sled.letter(&key)? else { continue };
            bytes += sealed.sealed.len();
            if let Some(letter) = self.open(&sealed).filter(|letter| letter.source == source) {
                letters.push(StoredLetter { id, letter });
            }
            if letters.len() >= limit || bytes >= PAGE_BYTES {
                break;
            }
        }
        let next = sled.newest_letter_before(tag, &end)?.and_then(|_| last_id(&end));
        Ok(LetterPage { letters, next })
    }

    fn read(&self, source: &str, id: LetterId) -> Result<Option<DeadLetter>, StoreError> {
        Ok(self.find(source, id)?.map(|(_, _, letter)| letter))
    }

    fn set_problem(
        &self,
        source: &str,
        id: LetterId,
        problem: &str,
        pointer: Option<&str>,
    ) -> Result<bool, StoreError> {
        let _changes = self.quota.lock_changes();
        let Some((key, sealed, letter)) = self.find(source, id)? else { return Ok(false) };
        let letter = DeadLetter { problem: problem.to_owned(), pointer: pointer.map(str::to_owned), ..letter };
        let SealedRecord { user, slot, generation, number, .. } = sealed;
        let record = SealedRecord::unsealed(kind::DEAD_LETTER, user, slot, generation, number);
        let engine = &*self.engine;
        let cipher = engine.cipher(slot, generation)?;
        let record = engine.sled.seal(&cipher, body::encode(&letter), record, &*engine.entropy)?;
        self.replace(source_tag(source), &key, Some(&NewLetter { key, record }))
    }

    fn remove(&self, source: &str, id: LetterId) -> Result<bool, StoreError> {
        let _changes = self.quota.lock_changes();
        let Some((key, ..)) = self.find(source, id)? else { return Ok(false) };
        self.replace(source_tag(source), &key, None)
    }

    fn about(&self, user: &UserId, from: Option<LetterPosition>) -> Result<UserLetters, StoreError> {
        let (engine, after) = (&*self.engine, from.map(|LetterPosition(key)| key));
        let (keys, mut next) = engine.sled.letter_keys_of(&engine.hasher.hash(user), after.as_ref(), USER_LOOKS)?;
        let (mut letters, mut bytes) = (Vec::new(), 0);
        for key in keys {
            let Some(sealed) = engine.sled.letter(&key)? else { continue };
            bytes += sealed.sealed.len();
            letters.extend(self.open(&sealed).map(|letter| StoredLetter { id: id_of(&key), letter }));
            if bytes >= PAGE_BYTES {
                next = Some(key);
                break;
            }
        }
        Ok(UserLetters { letters, next: next.map(LetterPosition) })
    }
}

impl DeadLetterStore {
    /// Returns a letter of a source with its key and its record; `None` if there is none that opens.
    fn find(&self, source: &str, id: LetterId) -> Result<Option<(LetterKey, SealedRecord, DeadLetter)>, StoreError> {
        let Some(key) = self.engine.sled.letter_key(&start(source_tag(source), id))? else { return Ok(None) };
        let Some(sealed) = self.engine.sled.letter(&key)? else { return Ok(None) };
        let letter = self.open(&sealed).filter(|letter| letter.source == source);
        Ok(letter.map(|letter| (key, sealed, letter)))
    }

    /// Replaces or removes a letter. The caller has locked the changes. Durable when it returns.
    fn replace(&self, tag: SourceTag, key: &LetterKey, letter: Option<&NewLetter>) -> Result<bool, StoreError> {
        let engine = &*self.engine;
        if !engine.sled.has_reserve() {
            let source = "the disk is full".into();
            return Err(StoreError::Unavailable { doing: "changing a dead letter", source });
        }
        let failed =
            |source: sled::Error| StoreError::Unavailable { doing: "changing a dead letter", source: source.into() };
        let Some((before, after)) = engine.sled.replace_letter(tag, key, letter).map_err(failed)? else {
            return Ok(false);
        };
        self.quota.replace(tag, before, after);
        engine.sled.flush().map_err(failed)?;
        engine.metrics.dead_letter_bytes.set(self.quota.total() as f64);
        Ok(true)
    }
}

/// Returns how the keys of a letter's values begin.
fn start(tag: SourceTag, id: LetterId) -> Vec<u8> {
    [&tag[..], &id.0].concat()
}

/// Returns a key behind those of all letters of a source.
fn after_all(tag: SourceTag) -> Vec<u8> {
    [&tag[..], &[u8::MAX; LETTER_ID_BYTES]].concat()
}

fn id_of(key: &LetterKey) -> LetterId {
    let mut id = [0; LETTER_ID_BYTES];
    id.copy_from_slice(&key[TAG_BYTES..TAG_BYTES + LETTER_ID_BYTES]);
    LetterId(id)
}

/// Returns the id in what [`start`] has made.
fn last_id(start: &[u8]) -> Option<LetterId> {
    start.get(TAG_BYTES..)?.try_into().ok().map(LetterId)
}
