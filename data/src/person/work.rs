//! The work of a person, and how they are taxed.

use crate::random::Random;
use crate::words::{Employment, Gender, Income, Settlement, TaxRegime};

/// The work of a person, and the taxes that follow from it.
#[derive(Debug, Clone)]
pub struct Work {
    /// The main activity; `None` before school. People who keep the house count as unemployed, and casual workers
    /// outside farming as self-employed: the profile has no other word.
    pub employment: Option<Employment>,
    /// The tax regime; `None` where it does not apply.
    pub tax_regime: Option<TaxRegime>,
}

/// The share that works, by age: men and women. Fitted to the worker-population ratios of PLFS 2023-24 (usual status,
/// 15 and over): men 76.3 %, women 40.3 %.
const WORKING: [(u8, f64, f64); 6] =
    [(15, 0.12, 0.06), (18, 0.46, 0.20), (23, 0.93, 0.42), (30, 0.98, 0.56), (60, 0.60, 0.29), (70, 0.32, 0.12)];

/// More women work in the country than in towns: PLFS 2023-24, rural 46.5 %, urban 26.0 %. Men hardly differ.
const WOMEN_RURAL: f64 = 1.16;
const WOMEN_URBAN: f64 = 0.65;

/// Salaried, self-employed, business and agriculture among the working, in percent. PLFS 2023-24: agriculture 46.1 %
/// and regular wage 21.7 % of all, hardly any agriculture in towns.
const KINDS_RURAL: [f64; 4] = [12.0, 24.0, 3.0, 61.0];
const KINDS_URBAN: [f64; 4] = [49.0, 36.0, 9.0, 6.0];

/// How income moves them: fewer farmers and more business among the well off.
const KINDS_BY_INCOME: [[f64; 4]; 5] = [
    [0.45, 1.15, 0.30, 1.15],
    [0.90, 1.10, 0.70, 1.05],
    [1.50, 0.90, 1.50, 0.85],
    [1.90, 0.60, 2.60, 0.60],
    [2.00, 0.40, 4.00, 0.40],
];

/// Students among those who do not work: all but a few at school age, then fewer; AISHE 2021-22 has 28.4 % of those of
/// 18 to 23 in higher education.
const STUDYING: [(u8, f64); 5] = [(6, 0.98), (15, 0.92), (18, 0.46), (24, 0.12), (30, 0.0)];

/// The share that files an income tax return, by the household's bracket: fitted to 7.28 crore returns for the year
/// 2024-25 (CBDT, 31 July 2024), which is 7.5 % of adults. Of them 72 % chose the new regime.
const FILING: [f64; 5] = [0.003, 0.06, 0.29, 0.55, 0.80];
const NEW_REGIME: f64 = 0.72;

/// Of those over 60 who do not work, the share that lives on a pension: a guess.
const PENSION: f64 = 0.32;

impl Work {
    pub(super) fn draw(age: u8, gender: Gender, settlement: Settlement, income: Income, random: &mut Random) -> Self {
        let employment = employment(age, gender, settlement, income, random);
        let tax_regime = employment.and_then(|employment| tax_regime(employment, income, random));
        Self { employment, tax_regime }
    }

    /// Returns whether the person files an income tax return.
    #[must_use]
    pub fn pays_tax(&self) -> bool {
        matches!(self.tax_regime, Some(TaxRegime::Old | TaxRegime::New))
    }

    /// Returns whether the person works, as the labour force survey defines it.
    #[must_use]
    pub fn is_working(&self) -> bool {
        use Employment::{Agriculture, Business, Salaried, SelfEmployed};
        matches!(self.employment, Some(Salaried | SelfEmployed | Business | Agriculture))
    }
}

fn employment(
    age: u8,
    gender: Gender,
    settlement: Settlement,
    income: Income,
    random: &mut Random,
) -> Option<Employment> {
    if age < 6 {
        return None;
    }
    let rural = settlement == Settlement::Rural;
    let working = WORKING.iter().rev().find(|(from, ..)| age >= *from).map_or(0.0, |(_, men, women)| match gender {
        Gender::Female if rural => women * WOMEN_RURAL,
        Gender::Female => women * WOMEN_URBAN,
        _ => *men,
    });
    if random.happens(working) {
        let kinds = if rural { KINDS_RURAL } else { KINDS_URBAN };
        let moved = KINDS_BY_INCOME[income as usize];
        return Some(
            Employment::ALL[random.weighted(&std::array::from_fn::<_, 4, _>(|kind| kinds[kind] * moved[kind]))],
        );
    }
    let studying = STUDYING.iter().rev().find(|(from, _)| age >= *from).map_or(0.0, |(_, share)| *share);
    Some(match random.unit() {
        draw if age >= 60 && draw < PENSION => Employment::Pension,
        draw if draw < studying => Employment::Student,
        _ => Employment::Unemployed,
    })
}

fn tax_regime(employment: Employment, income: Income, random: &mut Random) -> Option<TaxRegime> {
    let filing = match employment {
        Employment::Student | Employment::Unemployed => return None,
        // Farm income is exempt.
        Employment::Agriculture => 0.12,
        Employment::SelfEmployed => 0.7,
        Employment::Salaried | Employment::Business | Employment::Pension => 1.0,
    };
    if !random.happens(FILING[income as usize] * filing) {
        return Some(TaxRegime::None);
    }
    Some(if random.happens(NEW_REGIME) { TaxRegime::New } else { TaxRegime::Old })
}
