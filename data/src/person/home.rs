//! Where a person lives: state, district, settlement and pincode.

use crate::census::CensusDistrict;
use crate::places::states;
use crate::random::Random;
use crate::words::Settlement;

/// An address, as far as a profile knows it.
#[derive(Debug, Clone)]
pub struct Home {
    /// The position of the state in [`states`].
    pub(crate) state_index: usize,
    /// The slug of the district.
    pub district: &'static str,
    /// Whether the place is urban, semi-urban or rural.
    pub settlement: Settlement,
    /// A postal index number of the district.
    pub pincode: u32,
    /// Years of residence.
    pub residency_years: u8,
}

/// Of townspeople, 30 % live in towns below 100,000 people (Census 2011: class I towns hold 70 %). Here they are the
/// ones outside districts that are nearly all city.
const SMALL_TOWN: f64 = 0.42;
const CITY: f64 = 0.65;

/// People who live where they were born: Census 2011, 63 %.
const NEVER_MOVED: f64 = 0.63;

impl Home {
    pub(super) fn draw(place: &CensusDistrict, age: u8, random: &mut Random) -> Self {
        let settlement = if !random.happens(place.urban) {
            Settlement::Rural
        } else if place.urban < CITY && random.happens(SMALL_TOWN) {
            Settlement::SemiUrban
        } else {
            Settlement::Urban
        };
        let stayed = random.happens(NEVER_MOVED);
        Self {
            state_index: place.state,
            district: place.district,
            settlement,
            pincode: random.pick(&place.pincodes),
            residency_years: if stayed { age } else { random.below(u64::from(age) + 1) as u8 },
        }
    }

    /// Returns the slug of the state.
    #[must_use]
    pub fn state(&self) -> &'static str {
        states()[self.state_index].slug
    }
}
