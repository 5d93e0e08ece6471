//! Coins with exact probabilities.

use super::RandomBits;
use super::random::below;

/// A non-negative fraction. The denominator is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    pub(super) numerator: u128,
    pub(super) denominator: u128,
}

/// Returns true with probability `p`, which is at most 1.
fn bernoulli(p: Fraction, random: &mut (impl RandomBits + ?Sized)) -> bool {
    below(p.denominator, random) < p.numerator
}

/// Returns true with probability e^-x (algorithm 1 of Canonne, Kamath and Steinke).
pub(super) fn bernoulli_exp(x: Fraction, random: &mut (impl RandomBits + ?Sized)) -> bool {
    let Fraction { numerator, denominator } = x;
    let one = Fraction { numerator: 1, denominator: 1 };
    for _ in 0..numerator / denominator {
        if !bernoulli_exp_unit(one, random) {
            return false;
        }
    }
    bernoulli_exp_unit(Fraction { numerator: numerator % denominator, denominator }, random)
}

/// Returns true with probability e^-x for x of at most 1: the number of the first of the coins x/1, x/2, x/3, … that fails
/// is odd with that probability.
fn bernoulli_exp_unit(x: Fraction, random: &mut (impl RandomBits + ?Sized)) -> bool {
    let mut number: u128 = 1;
    // Two coins, of 1/number and x, so that no product can overflow.
    while below(number, random) == 0 && bernoulli(x, random) {
        number += 1;
    }
    number % 2 == 1
}
