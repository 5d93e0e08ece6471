//! The model compared with published figures: the value of the population, the published value, and the tolerance. A
//! test checks every line; `profile-server generate --stats` prints them.

use crate::person::{Person, SHARING};
use crate::places::states;
use crate::words::{Category, Employment, Gender, Income, Marital, RationCard, Settlement, Sharing, TaxRegime};

/// A published figure that the model is compared with.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The heading of the figure.
    pub group: &'static str,
    /// What the figure measures, in words.
    pub name: String,
    /// The published value, in percent unless the name says otherwise.
    pub published: f64,
    /// Maximum difference of the model, which simplifies.
    pub tolerance: f64,
    /// The publication and its year.
    pub source: &'static str,
    /// The unit of the values.
    pub unit: Unit,
    measure: Measure,
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share in percent.
    Percent,
    /// People of a household, every household counted once.
    People,
}

/// The only figure that is not a share. A household of five is drawn five times as often as a household of one, so the
/// mean over households is the reciprocal of the mean of `1 / members` over people.
const HOUSEHOLD: &str = "people of a household, mean";

/// A person's part in the mean; `None` where the figure is not about them.
type Measure = fn(&Person) -> Option<f64>;

/// A figure with the model's value.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The published figure.
    pub figure: Figure,
    /// The value of the model.
    pub model: f64,
}

impl Measured {
    /// Returns the model's value minus the published one.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.model - self.figure.published
    }

    /// Returns whether the model is within the tolerance.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.difference().abs() <= self.figure.tolerance
    }
}

const CENSUS: &str = "Census of India 2011";
const MPI: &str = "National MPI 2019-21, NITI Aayog 2023";
const PLFS: &str = "PLFS 2023-24, MoSPI";
const NFHS: &str = "NFHS-5 2019-21, rounded";
const PRICE: &str = "PRICE ICE 360° 2021";
const RICH: &str = "the same, between 34.5 % over 5 and 4.0 % over 30 lakh: rounded";
const NFSA: &str = "National Food Security Act 2013, section 3";
const DFPD: &str = "Department of Food, 2023, of the people of 2011, rounded";
const CBDT: &str = "CBDT, 2 August 2024";
const SINHO: &str = "Sinho Commission 2010, 18 % of general, rounded";
const ASSUMED: &str = "none: an assumption of the model";

fn share(holds: bool) -> Option<f64> {
    Some(f64::from(u8::from(holds)) * 100.0)
}

fn share_of(base: bool, holds: bool) -> Option<f64> {
    share(holds).filter(|_| base)
}

fn age(person: &Person, from: u8, to: u8) -> Option<f64> {
    share((from..=to).contains(&person.age))
}

fn rural(person: &Person) -> bool {
    person.home.settlement == Settlement::Rural
}

fn food_secure(person: &Person) -> bool {
    matches!(person.means.ration_card, RationCard::Aay | RationCard::Phh)
}

/// Group, name, published, tolerance, source, measure. Shares in percent.
type Row = (&'static str, &'static str, f64, f64, &'static str, Measure);

/// Tolerances are half a point where the model draws from the figure itself, more where several draws make it.
const ROWS: &[Row] = &[
    ("settlement", "urban and semi-urban", 31.2, 0.5, CENSUS, |p| share(!rural(p))),
    ("settlement", "semi_urban: towns below 100,000", 9.3, 1.5, CENSUS, |p| {
        share(p.home.settlement == Settlement::SemiUrban)
    }),
    ("age", "0-17", 36.9, 0.6, CENSUS, |p| age(p, 0, 17)),
    ("age", "18-29", 21.6, 0.6, CENSUS, |p| age(p, 18, 29)),
    ("age", "30-40", 15.6, 0.6, CENSUS, |p| age(p, 30, 40)),
    ("age", "41-59", 17.3, 0.6, CENSUS, |p| age(p, 41, 59)),
    ("age", "60+", 8.6, 0.5, CENSUS, |p| age(p, 60, 120)),
    ("gender", "female", 48.5, 0.6, CENSUS, |p| share(p.gender == Gender::Female)),
    ("gender", "other", 0.04, 0.03, CENSUS, |p| share(p.gender == Gender::Other)),
    ("category", "sc", 16.6, 0.5, CENSUS, |p| share(p.category == Category::Sc)),
    ("category", "st", 8.6, 0.5, CENSUS, |p| share(p.category == Category::St)),
    ("category", "obc", 42.0, 1.5, NFHS, |p| share(p.category == Category::Obc)),
    ("category", "ews", 5.9, 0.6, SINHO, |p| share(p.category == Category::Ews)),
    ("income", "up to 5 lakh", 65.5, 2.0, PRICE, |p| share(p.means.income <= Income::UpTo5)),
    ("income", "over 20 lakh", 5.5, 1.5, RICH, |p| share(p.means.income == Income::Over20)),
    ("poverty", "all", 15.0, 0.7, MPI, |p| share(p.means.poor)),
    ("poverty", "rural", 19.3, 1.0, MPI, |p| share_of(rural(p), p.means.poor)),
    ("poverty", "urban", 5.3, 1.0, MPI, |p| share_of(!rural(p), p.means.poor)),
    ("poverty", "Bihar", 33.8, 2.5, MPI, |p| share_of(p.home.state() == "bihar", p.means.poor)),
    ("poverty", "Uttar Pradesh", 22.9, 2.0, MPI, |p| share_of(p.home.state() == "uttar_pradesh", p.means.poor)),
    ("poverty", "Maharashtra", 7.8, 1.5, MPI, |p| share_of(p.home.state() == "maharashtra", p.means.poor)),
    ("poverty", "Kerala", 0.6, 0.6, MPI, |p| share_of(p.home.state() == "kerala", p.means.poor)),
    ("ration card", "AAY or PHH, rural", 75.0, 2.0, NFSA, |p| share_of(rural(p), food_secure(p))),
    ("ration card", "AAY or PHH, urban", 50.0, 2.0, NFSA, |p| share_of(!rural(p), food_secure(p))),
    ("ration card", "AAY", 7.4, 1.2, DFPD, |p| share(p.means.ration_card == RationCard::Aay)),
    ("work, from 15", "men at work", 76.3, 1.5, PLFS, |p| {
        share_of(p.age >= 15 && p.gender == Gender::Male, p.work.is_working())
    }),
    ("work, from 15", "women at work", 40.3, 1.5, PLFS, |p| {
        share_of(p.age >= 15 && p.gender == Gender::Female, p.work.is_working())
    }),
    ("work, from 15", "of workers: agriculture", 46.1, 1.5, PLFS, |p| {
        share_of(p.age >= 15 && p.work.is_working(), p.work.employment == Some(Employment::Agriculture))
    }),
    ("work, from 15", "of workers: salaried", 21.7, 1.5, PLFS, |p| {
        share_of(p.age >= 15 && p.work.is_working(), p.work.employment == Some(Employment::Salaried))
    }),
    ("work, from 15", "of 18 to 23: students", 28.4, 2.0, "AISHE 2021-22", |p| {
        share_of((18..=23).contains(&p.age), p.work.employment == Some(Employment::Student))
    }),
    ("tax", "of adults: file a return", 7.5, 1.0, CBDT, |p| share_of(p.age >= 18, p.work.pays_tax())),
    ("tax", "of returns: new regime", 72.0, 2.0, CBDT, |p| {
        share_of(p.work.pays_tax(), p.work.tax_regime == Some(TaxRegime::New))
    }),
    ("family", "women: married", 49.9, 1.5, CENSUS, |p| share_of(p.gender == Gender::Female, p.family.is_married())),
    ("family", "men: married", 46.0, 1.5, CENSUS, |p| share_of(p.gender == Gender::Male, p.family.is_married())),
    ("family", "women: widowed", 7.4, 0.9, CENSUS, |p| {
        share_of(p.gender == Gender::Female, p.family.marital == Marital::Widowed)
    }),
    ("family", "men: widowed", 2.0, 0.7, CENSUS, |p| {
        share_of(p.gender == Gender::Male, p.family.marital == Marital::Widowed)
    }),
    ("family", HOUSEHOLD, 4.4, 0.3, "NFHS-5 2019-21", |p| Some(1.0 / f64::from(p.family.members))),
    ("consent", "minimal", SHARING[0] * 100.0, 0.6, ASSUMED, |p| share(p.consent.sharing == Sharing::Minimal)),
    ("consent", "standard", SHARING[1] * 100.0, 0.6, ASSUMED, |p| share(p.consent.sharing == Sharing::Standard)),
    ("consent", "full", SHARING[2] * 100.0, 0.6, ASSUMED, |p| share(p.consent.sharing == Sharing::Full)),
];

/// How a figure's mean comes from the people, and how many it was about.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        self.sum += value.unwrap_or_default();
        self.count += u64::from(value.is_some());
    }

    fn value(self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

/// Returns the figures of some people, and the share of each state.
#[must_use]
pub fn measure(people: impl Iterator<Item = Person>) -> Vec<Measured> {
    let figures: Vec<Figure> = ROWS.iter().map(figure).collect();
    let mut means = vec![Mean::default(); figures.len()];
    let mut by_state = vec![0_u64; states().len()];
    for person in people {
        for (mean, figure) in means.iter_mut().zip(&figures) {
            mean.add((figure.measure)(&person));
        }
        by_state[person.home.state_index] += 1;
    }
    let measured = figures.into_iter().zip(means).map(|(figure, mean)| {
        let model = if figure.unit == Unit::People { 1.0 / mean.value() } else { mean.value() };
        Measured { figure, model }
    });
    measured.chain(state_shares(&by_state)).collect()
}

fn figure(&(group, name, published, tolerance, source, measure): &Row) -> Figure {
    let unit = if name == HOUSEHOLD { Unit::People } else { Unit::Percent };
    Figure { group, name: name.to_owned(), published, tolerance, source, unit, measure }
}

/// Shares of all people by state.
fn state_shares(by_state: &[u64]) -> impl Iterator<Item = Measured> {
    let census = &crate::census::census().states;
    let (people, drawn) = (census.iter().map(|state| state.people).sum::<f64>(), by_state.iter().sum::<u64>().max(1));
    states().iter().zip(census).zip(by_state).map(move |((state, facts), count)| {
        let published = facts.people / people * 100.0;
        // Of the smallest states few people are drawn: chance may take most of them, but not all.
        let tolerance = 0.05_f64.min(published * 0.9) + published * 0.03;
        let name = state.name.to_owned();
        let (source, unit) = (CENSUS, Unit::Percent);
        let figure = Figure { group: "state", name, published, tolerance, source, unit, measure: |_| None };
        Measured { figure, model: *count as f64 / drawn as f64 * 100.0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses 200,000 people: the sampling error is at most 0.11 points for shares of everyone, which the tolerances
    /// exceed.
    #[test]
    fn the_model_agrees_with_what_was_published() {
        let measured = measure((0..200_000).map(|index| Person::new(1, index)));
        let mut wrong = String::new();
        for line in &measured {
            let Figure { group, name, published, tolerance, .. } = &line.figure;
            if !line.holds() {
                wrong += &format!("\n{group}, {name}: {:.2} is not within {tolerance} of {published}", line.model);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert_eq!(measured.len(), ROWS.len() + 36);
    }
}
