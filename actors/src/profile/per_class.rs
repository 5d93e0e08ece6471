//! Values by mask class, each made once.

use domain::mask_class::MaskClass;
use smallvec::SmallVec;

/// Values that were made for mask classes. A user's subscribers have few classes, so they are searched in order.
pub(super) struct PerClass<T>(SmallVec<[(MaskClass, T); 4]>);

impl<T: Clone> PerClass<T> {
    pub(super) fn new() -> Self {
        Self(SmallVec::new())
    }

    /// Returns the value of a class, which `make` makes if it does not exist yet.
    pub(super) fn get_or_insert_with(&mut self, class: MaskClass, make: impl FnOnce() -> T) -> T {
        if let Some((_, value)) = self.0.iter().find(|(other, _)| *other == class) {
            return value.clone();
        }
        let value = make();
        self.0.push((class, value.clone()));
        value
    }
}
