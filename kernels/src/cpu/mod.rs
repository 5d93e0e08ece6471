//! The kernels on the CPU.

mod class_sizes;
mod partition;

pub use class_sizes::{class_sizes, distinct_values};
