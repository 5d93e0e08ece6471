//! Pure rules: no I/O, no runtime, no clock, no randomness.
