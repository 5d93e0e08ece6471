//! The columns over a real store: at any moment they equal what a scan of all stored users gives, and erased users have no row.

mod events;
mod fill;
mod kill;
mod live_state;
mod load;
mod saved;
