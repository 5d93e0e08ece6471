//! What a viewer may be told of a step.

use crate::access::{Consent, Policy, Viewer, Visibility};
use crate::id::UserId;

/// What a viewer may see of the two sides of a step.
///
/// A step is told under the consent of its own revision, but never under more than any later consent leaves: who reads
/// the past after a withdrawal does not find there what was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepVisibility {
    /// Of the profile before.
    pub before: Visibility,
    /// Of the profile after. As a later consent binds both sides, this is never less than `before`.
    pub after: Visibility,
    /// What one may hold who was told of the profile before when it was new. Hidden where a later step takes the user
    /// out of sight: that one says so, and this one says nothing, so that the past of a hidden user is not counted.
    pub held: Visibility,
    /// Whether the step brings the user into sight, and a later one takes them out again before anybody who reads it
    /// now could see them.
    pub is_missed: bool,
}

impl StepVisibility {
    /// The sight of a step from a profile with the consent `before`, or from none, to one with `after`; `later` is the
    /// least consent that came after it, if any did.
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

    /// Whether the step takes the user out of sight.
    pub fn hides(&self) -> bool {
        self.held != Visibility::Hidden && self.after == Visibility::Hidden
    }

    /// The sight of one who was not there when what came before was new: who is out of sight after the step was never
    /// in it, and is not mentioned.
    #[must_use]
    pub const fn for_new_follower(self) -> Self {
        Self { held: self.before, ..self }
    }
}
