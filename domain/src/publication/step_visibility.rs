//! The visibility of a step to a viewer.

use crate::access::{Consent, Policy, Viewer, Visibility};
use crate::id::UserId;

/// The visibility of the profile on both sides of a step to one viewer.
///
/// A step is masked by the consent of its own revision and by every later one, so that data which a citizen has since
/// withdrawn never appears in past events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepVisibility {
    /// The visibility of the profile before the step.
    pub before: Visibility,
    /// The visibility of the profile after the step. As a later consent binds both sides, this is never less than
    /// `before`.
    pub after: Visibility,
    /// The visibility to a follower that read the profile before the step when it was new. Hidden if a later step hides
    /// the user: that later step is published and this one is not, so that the number of past steps of a hidden user
    /// stays unknown.
    pub held: Visibility,
    /// Whether the step makes the user visible and a later one hides them again, so that a reader of the past never
    /// sees the user.
    pub is_missed: bool,
}

impl StepVisibility {
    /// Returns the visibility of a step from a profile with the consent `before` (`None` if there was no profile) to
    /// one with `after`; `later` is the least consent that came after the step, if any did.
    pub fn new(
        policy: &Policy,
        viewer: &Viewer,
        user: &UserId,
        before: Option<Consent>,
        after: Consent,
        later: Option<Consent>,
    ) -> Self {
        let sees = |consent| policy.visibility(viewer, user, consent);
        let of_before = |consent: Option<Consent>| consent.map_or(Visibility::Hidden, sees);
        let own = sees(after);
        let least = later.map_or(after, |later| after.least(later));
        let is_hidden_later = sees(least) == Visibility::Hidden && own != Visibility::Hidden;
        let held = of_before(before);
        Self {
            before: of_before(before.map(|before| before.least(least))),
            after: sees(least),
            held: if is_hidden_later { Visibility::Hidden } else { held },
            is_missed: is_hidden_later && held == Visibility::Hidden,
        }
    }

    /// Returns whether the step hides the user.
    pub fn hides(&self) -> bool {
        self.held != Visibility::Hidden && self.after == Visibility::Hidden
    }

    /// Returns the visibility for a follower who did not read what came before: a user who is hidden after the step was
    /// never visible to this follower and is not mentioned.
    #[must_use]
    pub const fn for_new_follower(self) -> Self {
        Self { held: self.before, ..self }
    }
}
