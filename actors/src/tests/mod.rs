//! Tests of the parts together. `path` runs the real threads, `bounds` and `model` run every part by hand, so that a
//! seed decides what happens when.

mod bounds;
mod live;
mod path;
#[allow(dead_code, reason = "the model test follows")]
mod ram;
#[allow(dead_code, reason = "the model test follows")]
mod world;
