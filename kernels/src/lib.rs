//! Columns in, columns out: batch kernels for anonymised exports.
