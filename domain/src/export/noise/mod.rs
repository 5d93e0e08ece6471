//! Noise of differential privacy in exact integer arithmetic.
//!
//! The samplers are those of Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020. Only
//! integers are used: samplers with floating-point numbers leak the true value by the gaps between these (Mironov, "On
//! significance of the least significant bits for differential privacy", CCS 2012).

mod bernoulli;
mod gaussian;
mod laplace;
mod random;
#[cfg(test)]
mod tests;

pub use gaussian::{DiscreteGaussian, GaussianRange, rho_for_epsilon};
pub use laplace::DiscreteLaplace;
pub use random::RandomBits;
