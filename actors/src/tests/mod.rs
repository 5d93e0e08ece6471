//! Tests of the parts together. `path` and `stop` run the real threads. The others run every part by hand on one thread;
//! in `model`, a seed decides what runs when.

mod bounds;
mod erasure;
mod existence;
mod fairness;
mod fixture;
mod follower;
mod harness;
mod history;
mod history_lane;
mod live;
mod model;
mod path;
mod ram_store;
mod random;
mod reading;
mod snapshots;
mod stop;
mod warm;
