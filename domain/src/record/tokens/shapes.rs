//! The known objects: lists of member names in canonical order, each coded by its position.

/// What is written before each value of an object.
pub(super) struct Shape {
    pub(super) pieces: &'static [&'static str],
    /// The last value may be a span, which runs to the end of the object.
    pub(super) ends_in_span: bool,
}

macro_rules! shape {
    ($first:literal $(, $name:literal)*) => {
        Shape {
            pieces: &[concat!("{\"", $first, "\":") $(, concat!(",\"", $name, "\":"))*],
            ends_in_span: false,
        }
    };
    (span $first:literal $(, $name:literal)*) => {
        Shape { ends_in_span: true, ..shape!($first $(, $name)*) }
    };
}

/// The shapes by their number. Append-only: stored bytes name a shape by its position. A shape that begins another one
/// stands behind it.
pub(super) static SHAPES: [Shape; COUNT] = [
    // Schemes: with any name, with a known name, with a known name and its rules.
    shape!("application_status", "confidence", "matched_rules", "scheme_id", "scheme_name"),
    shape!(span "application_status", "confidence", "matched_rules", "scheme_id"),
    shape!(span "application_status", "confidence", "matched_rules"),
    shape!("application_status", "confidence", "deadline", "matched_rules", "scheme_id", "scheme_name"),
    shape!(span "application_status", "confidence", "deadline", "matched_rules", "scheme_id"),
    shape!(span "application_status", "confidence", "deadline", "matched_rules"),
    shape!("annual_benefit_inr", "application_status", "confidence", "matched_rules", "scheme_id", "scheme_name"),
    shape!(span "annual_benefit_inr", "application_status", "confidence", "matched_rules", "scheme_id"),
    shape!(span "annual_benefit_inr", "application_status", "confidence", "matched_rules"),
    shape!(
        "annual_benefit_inr",
        "application_status",
        "confidence",
        "deadline",
        "matched_rules",
        "scheme_id",
        "scheme_name"
    ),
    shape!(span "annual_benefit_inr", "application_status", "confidence", "deadline", "matched_rules", "scheme_id"),
    shape!(span "annual_benefit_inr", "application_status", "confidence", "deadline", "matched_rules"),
    // Deadlines, as they were sent and as the profile shows them; with a known type for the priority.
    shape!("action_url", "deadline_id", "description", "due_date", "priority", "type"),
    shape!(span "action_url", "deadline_id", "description", "due_date", "priority"),
    shape!("action_url", "days_remaining", "deadline_id", "description", "due_date", "priority", "type"),
    shape!(span "action_url", "days_remaining", "deadline_id", "description", "due_date", "priority"),
    // Recommended actions and predicted events.
    shape!("action", "priority", "reason", "scheme_id"),
    shape!("action", "priority", "reason"),
    shape!("confidence", "estimated_date", "event", "related_schemes"),
    // How reliable a source is for some fields.
    shape!("confidence", "fields"),
    shape!("logins_90d"),
    // The source trace of a profile.
    shape!(
        "analytics",
        "consent",
        "deadlines",
        "eligibility",
        "identity",
        "metadata",
        "predictions",
        "schemes",
        "self",
        "trust"
    ),
    shape!("analytics", "consent", "deadlines", "eligibility", "identity", "metadata", "predictions", "self", "trust"),
    shape!("analytics", "consent", "deadlines", "eligibility", "identity", "metadata", "predictions", "trust"),
];

pub(super) const COUNT: usize = 24;

const _: () = assert!(COUNT <= 0x20, "every shape has a code");

/// No shape has more members.
pub(super) const MAX_PIECES: usize = 10;

/// By shape and position: the next shape with the same pieces before that position, and another one there.
pub(super) static OTHERWISE: [[u8; MAX_PIECES + 1]; COUNT] = otherwise();

/// There is no such shape.
pub(super) const NONE: u8 = 0xff;

const fn otherwise() -> [[u8; MAX_PIECES + 1]; COUNT] {
    let mut table = [[NONE; MAX_PIECES + 1]; COUNT];
    let mut shape = 0;
    while shape < COUNT {
        let mut at = 0;
        while at <= SHAPES[shape].pieces.len() {
            let mut other = shape + 1;
            while other < COUNT && table[shape][at] == NONE {
                if shared(SHAPES[shape].pieces, SHAPES[other].pieces) == at {
                    table[shape][at] = other as u8;
                }
                other += 1;
            }
            at += 1;
        }
        shape += 1;
    }
    table
}

/// Counts the pieces that two shapes begin with.
const fn shared(a: &[&str], b: &[&str]) -> usize {
    let mut count = 0;
    while count < a.len() && count < b.len() && equal(a[count].as_bytes(), b[count].as_bytes()) {
        count += 1;
    }
    count
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}
