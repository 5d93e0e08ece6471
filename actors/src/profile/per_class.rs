//! Values by class, each made once.

use smallvec::SmallVec;

/// Values that were made for classes `C` of subscribers. A user's subscribers have few of them, so they are searched in order.
pub(super) struct PerClass<C, T>(SmallVec<[(C, T); 4]>);

impl<C: PartialEq, T: Clone> PerClass<C, T> {
    pub(super) fn new() -> Self {
        Self(SmallVec::new())
    }

    /// Returns the value of a class, which `make` makes if it does not exist yet.
    pub(super) fn get_or_insert_with(&mut self, class: C, make: impl FnOnce() -> T) -> T {
        if let Some((_, value)) = self.0.iter().find(|(other, _)| *other == class) {
            return value.clone();
        }
        let value = make();
        self.0.push((class, value.clone()));
        value
    }
}
