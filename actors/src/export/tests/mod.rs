//! Jobs over generated people: what is written holds, whatever the device, the people and the process do meanwhile.

mod devices;
mod earlier;
mod feasibility;
mod fixture;
mod jobs;
mod live;
mod memory;
mod refusals;
mod statistics;
mod supervisor;
