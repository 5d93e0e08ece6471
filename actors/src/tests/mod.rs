//! Tests of the parts together. `path` runs the real threads, `bounds` and `model` run every part by hand, so that a
//! seed decides what happens when.

mod bounds;
mod existence;
mod fairness;
mod follower;
mod harness;
mod live;
mod model;
mod path;
mod ram_store;
