//! Tests of the parts together. `path` runs the real threads, `bounds` and `model` run every part by hand, so that a
//! seed decides what happens when.

mod path;
#[allow(dead_code, reason = "the tests by hand follow")]
mod ram;
#[allow(dead_code, reason = "the tests by hand follow")]
mod world;
