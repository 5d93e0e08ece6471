//! The server: HTTP, live sockets and the command line, connected with all other crates.
//!
//! The modules are listed in reading order.

pub mod cli;

mod after_restore;
pub mod application;
mod erasure;
mod handler_states;
mod key_ages;
mod key_rotations;
mod listeners;
mod options;
mod process;
mod reload;
mod shared_parts;
pub mod start_error;
mod upkeep;
mod wiring;
#[doc(hidden)]
pub use wiring::{load_policy, rules};

mod http;
#[doc(hidden)]
pub use http::{ListedRequirements, ListedRoute, route_table};
mod json_object;
mod json_text;
mod keyed_counts;
mod live;
#[doc(hidden)]
pub use live::echo::echo as websocket_echo;

mod telemetry;
#[doc(hidden)]
pub use telemetry::metric_page::page as metrics_page;
