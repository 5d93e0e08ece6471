//! Known facts: states, districts and the example citizen.
