//! Aggregates under differential privacy: counts, sums, means, histograms and quantiles of groups.
//!
//! A person is in one group, so all groups are released under the same epsilon (parallel composition). Within a group the
//! epsilon of the job is divided evenly among the statistics (sequential composition): the count, and for each measure its
//! histogram and, of integers, its sum.
//!
//! The groups are all combinations of the values of the dictionaries, whether they have rows or not. Noise is added to the
//! count **before** groups under k are dropped: if the true count decided, that a group is there or not would itself be
//! an exact statement about persons.

mod accumulator;
mod measure;
mod plan;
mod release;

pub use accumulator::GroupAccumulator;
pub use measure::{Measure, MeasureKind};
pub use plan::{AggregatePlan, AggregateRefusal, MAX_GROUPS};
pub use release::{ReleasedGroup, ReleasedMeasure, release_group};
