//! Live state: one actix actor per active user.
