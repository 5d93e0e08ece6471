//! Reading entries by filter, the newest first.

mod filter;
mod page;
mod walk;

pub(super) use page::read_page;
