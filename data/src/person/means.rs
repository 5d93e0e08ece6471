//! The means of a household: poverty, income and ration card.

use super::Home;
use crate::census::census;
use crate::random::Random;
use crate::words::{Category, Income, RationCard, Settlement};

/// The means of a person's household.
#[derive(Debug, Clone)]
pub struct Means {
    /// Whether the household is below the poverty line; multidimensional poverty is used for it.
    pub poor: bool,
    /// The household's income a year.
    pub income: Income,
    /// The household's ration card.
    pub ration_card: RationCard,
}

/// Ratio of urban to rural poverty in a state. Fitted to the National MPI 2019-21, 5.27 % to
/// 19.28 % for the whole: it is more than their ratio, since states with many towns are less poor.
const URBAN_TO_RURAL: f64 = 0.36;

/// Ratio of a category's poverty to the mean: Global MPI 2021 on NFHS-4. For general, OBC, SC, ST, EWS; those of
/// EWS are the general category's poorer part.
const BY_CATEGORY: [f64; 5] = [0.40, 0.98, 1.19, 1.81, 1.25];

/// Income brackets of households that are poor, and of others in the country and in towns. Fitted so that the whole
/// agrees with PRICE ICE 360° 2021: 65.5 % up to 5 lakh. The split below and above is a guess between its bounds.
const INCOME_POOR: [f64; 5] = [92.0, 8.0, 0.0, 0.0, 0.0];
const INCOME_RURAL: [f64; 5] = [27.0, 40.0, 21.0, 8.0, 4.0];
const INCOME_URBAN: [f64; 5] = [13.0, 32.0, 28.0, 17.0, 10.0];

/// Cards by income bracket in percent, in the order of [`RationCard::ALL`]: APL, BPL, AAY, PHH, none. Fitted to the
/// coverage of the National Food Security Act: 75 % of rural and 50 % of urban people, AAY for the poorest.
/// No count of old-style BPL cards is published: 1 to 4 % is a guess.
const CARD_POOR: [f64; 5] = [1.0, 4.0, 30.0, 61.0, 4.0];
const CARD_RURAL: [[f64; 5]; 5] = [
    [4.0, 3.0, 10.0, 79.0, 4.0],
    [8.0, 2.0, 4.0, 78.0, 8.0],
    [24.0, 1.0, 0.0, 58.0, 17.0],
    [45.0, 0.0, 0.0, 20.0, 35.0],
    [45.0, 0.0, 0.0, 3.0, 52.0],
];
const CARD_URBAN: [[f64; 5]; 5] = [
    [7.0, 4.0, 9.0, 74.0, 6.0],
    [14.0, 2.0, 3.0, 69.0, 12.0],
    [31.0, 1.0, 0.0, 42.0, 26.0],
    [45.0, 0.0, 0.0, 13.0, 42.0],
    [40.0, 0.0, 0.0, 2.0, 58.0],
];

impl Means {
    pub(super) fn draw(home: &Home, category: Category, random: &mut Random) -> Self {
        let rural = home.settlement == Settlement::Rural;
        let poor = random.happens(poverty(home.state_index, rural, category));
        let weights = match (poor, rural) {
            (true, _) => INCOME_POOR,
            (false, true) => INCOME_RURAL,
            (false, false) => INCOME_URBAN,
        };
        let income = Income::ALL[random.weighted(&weights)];
        let cards = match (poor, rural) {
            (true, _) => CARD_POOR,
            (false, true) => CARD_RURAL[income as usize],
            (false, false) => CARD_URBAN[income as usize],
        };
        Self { poor, income, ration_card: RationCard::ALL[random.weighted(&cards)] }
    }
}

/// Returns the probability of being poor, such that a state's own rate comes out whatever its towns and categories.
fn poverty(state: usize, rural: bool, category: Category) -> f64 {
    let facts = &census().states[state];
    let settlement = if rural { 1.0 } else { URBAN_TO_RURAL };
    let mean_settlement = 1.0 - facts.urban + facts.urban * URBAN_TO_RURAL;
    let rest = 1.0 - facts.sc - facts.st - facts.obc;
    let [general, obc, sc, st, ews] = BY_CATEGORY;
    let of_rest = (1.0 - super::EWS_OF_GENERAL) * general + super::EWS_OF_GENERAL * ews;
    let mean_category = facts.obc * obc + facts.sc * sc + facts.st * st + rest * of_rest;
    (facts.poor * settlement / mean_settlement * BY_CATEGORY[category as usize] / mean_category).min(0.95)
}
