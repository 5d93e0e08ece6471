//! Black-box tests of the server: the real binary, over the wire.
//!
//! Every test starts its own server, on free ports, in its own data directory, with its own keys.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod description;
mod follower;
mod golden;
#[path = "../support/http.rs"]
#[allow(dead_code, reason = "shared with the crash tests, which use other parts")]
mod http;
mod live_client;
mod moved_clock;
mod preload;
mod process;
mod test_server;
mod token;

mod access;
mod admin;
mod audit;
mod audit_config;
mod audit_disk;
mod audit_live;
mod audit_values;
mod backup;
mod backup_continued;
mod bad_input;
mod batch_pieces;
mod bodies;
mod boundary;
mod connections;
mod crowd;
mod demo;
mod derived_reads;
mod disk_faults;
mod erasure;
mod erasure_everywhere;
mod events;
mod export_data;
mod export_download;
mod exports;
mod fairness;
mod feeds;
mod generate;
mod history;
mod key_rotation;
mod keys;
mod keys_by_url;
mod limits;
mod live;
mod live_sources;
mod logs;
mod openapi;
mod origin;
mod overload;
mod pages;
mod past_sources;
mod pipeline;
mod profile;
mod quarantine;
mod quarantine_restore;
mod readme;
mod rejected;
mod restored;
mod resume;
mod retention;
mod revocation;
mod route_table;
mod sessions;
mod snapshots;
mod sse;
mod standards;
mod start_and_stop;
mod tickets;
mod time_zones;
mod tokens;
mod transport;
mod unread;
mod versions;
mod watch;
