//! Settings: raw, resolved, validated.
