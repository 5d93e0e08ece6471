//! What counts the cost of an operation, and how operations are run under it.

use std::hint::black_box;

/// Counts what is spent between `start` and `stop`: instructions or allocations.
pub(crate) trait Meter {
    /// Starts to count.
    fn start(&mut self);

    /// Ends the count, and reports it under `name` as that of so many equal operations.
    fn stop(&mut self, name: &str, operations: usize);
}

/// Counts one operation on each of `inputs`. Dropping its result belongs to it, dropping the inputs does not.
pub(crate) fn measure<I, O>(meter: &mut dyn Meter, name: &str, inputs: &mut [I], operation: impl Fn(&mut I) -> O) {
    meter.start();
    for input in &mut *inputs {
        black_box(operation(black_box(input)));
    }
    meter.stop(name, inputs.len());
}
