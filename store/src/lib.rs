//! Durable memory: journal, sled checkpoints and history, sealing, keyring.
