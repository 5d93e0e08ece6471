//! The store through its public interface.

#[path = "../kit/mod.rs"]
mod kit;

#[path = "../../../domain/tests/fat_user/mod.rs"]
mod fat_user;

mod amplification;
mod append;
mod backup;
mod backup_keyring;
mod backup_kit;
mod checkpoint;
mod damage;
mod damage_at_rest;
mod dead_letters;
mod descriptors;
mod erasure;
mod faults;
mod from_backup;
mod full_disk;
mod history;
mod inspect;
mod kill;
mod load;
mod log;
mod memory;
mod permissions;
mod projection_key;
mod quarantine;
mod registry;
mod release;
mod rotation;
mod sled_faults;
mod tables;
mod thinning;
mod together;
