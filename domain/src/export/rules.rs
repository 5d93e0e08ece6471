//! The rules of exports, as operators set them.

use super::{BudgetRules, ColumnRole, ColumnSet, ExportColumn, Hierarchy, LevelRule, QuasiIdentifier};

/// The least k of an export. Settings cannot lower it.
pub const MIN_K: u32 = 5;

/// What holds for requests that do not say otherwise, and the bound of suppression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivacyDefaults {
    /// The least number of rows of a class.
    pub k: u32,
    /// The least number of different values that each sensitive column has in a class.
    pub l: u32,
    /// Maximum share of the rows that are left out, in percent.
    pub max_suppression_pct: u8,
}

/// The rules of exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRules {
    /// A hierarchy for each quasi-identifier. One without a hierarchy is a sensitive column; only the income bracket may be.
    pub hierarchies: Vec<Hierarchy>,
    /// The columns that an export may hold.
    pub columns: ColumnSet,
    /// The requirements of an export whose request does not name them.
    pub privacy: PrivacyDefaults,
    /// The bounds of epsilon.
    pub budget: BudgetRules,
}

impl ExportRules {
    /// Returns the hierarchy of a quasi-identifier; `None` for an income bracket that is sensitive instead.
    #[must_use]
    pub fn hierarchy(&self, quasi_identifier: QuasiIdentifier) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.quasi_identifier() == quasi_identifier)
    }

    /// Returns what a column is under these rules.
    #[must_use]
    pub fn role(&self, column: ExportColumn) -> ColumnRole {
        match column.role() {
            ColumnRole::QuasiIdentifier(quasi_identifier) if self.hierarchy(quasi_identifier).is_none() => {
                ColumnRole::Sensitive
            }
            role => role,
        }
    }

    /// Returns the finest level of each quasi-identifier that `columns` ask for, in the order of their bits in a key. The
    /// place begins at the district, the state or the region, whichever column is the finest.
    #[must_use]
    pub fn finest_levels(&self, columns: ColumnSet) -> Vec<(QuasiIdentifier, usize)> {
        let level = |hierarchy: &Hierarchy| {
            let quasi_identifier = hierarchy.quasi_identifier();
            let own = |column: &ExportColumn| column.role() == ColumnRole::QuasiIdentifier(quasi_identifier);
            let finest = columns.iter().filter(own).map(|column| column_level(hierarchy, column)).min()?;
            Some((quasi_identifier, finest))
        };
        let mut levels: Vec<_> = self.hierarchies.iter().filter_map(level).collect();
        levels.sort_unstable();
        levels
    }

    /// Returns a state that no region names; `None` if the hierarchy of places covers all of `states`.
    #[must_use]
    pub fn state_without_region<'s>(&self, states: impl IntoIterator<Item = &'s str>) -> Option<&'s str> {
        let place = self.hierarchy(QuasiIdentifier::Place)?;
        states.into_iter().find(|state| place.levels().iter().any(|level| level.label(state).is_none()))
    }
}

/// Returns the level at which a column's values can be written.
fn column_level(hierarchy: &Hierarchy, column: ExportColumn) -> usize {
    let position = |is: fn(&LevelRule) -> bool| hierarchy.levels().iter().position(|level| is(&level.rule));
    let level = match column {
        ExportColumn::State => position(|rule| *rule == LevelRule::State),
        ExportColumn::Region => position(|rule| matches!(rule, LevelRule::Region(_))),
        _ => Some(0),
    };
    level.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::rules;

    #[test]
    fn the_finest_place_column_decides_where_the_place_begins() {
        use ExportColumn::{AgeBracket, District, Gender, Region, State, TotalActive};
        let levels = |columns: &[ExportColumn]| rules().finest_levels(columns.iter().copied().collect());
        assert_eq!(levels(&[Region, Gender]), [(QuasiIdentifier::Gender, 0), (QuasiIdentifier::Place, 2)]);
        assert_eq!(levels(&[Region, State]), [(QuasiIdentifier::Place, 1)]);
        assert_eq!(levels(&[District, AgeBracket])[1], (QuasiIdentifier::Place, 0));
        assert_eq!(levels(&[TotalActive]), []);
    }

    #[test]
    fn an_income_bracket_without_a_hierarchy_is_sensitive() {
        let mut rules = rules();
        let income = ExportColumn::IncomeBracket;
        assert_eq!(rules.role(income), ColumnRole::QuasiIdentifier(QuasiIdentifier::IncomeBracket));
        rules.hierarchies.retain(|hierarchy| hierarchy.quasi_identifier() != QuasiIdentifier::IncomeBracket);
        assert_eq!(rules.role(income), ColumnRole::Sensitive);
        assert_eq!(rules.finest_levels(ColumnSet::ALL).len(), 7);
    }

    #[test]
    fn a_state_without_a_region_is_named() {
        assert_eq!(rules().state_without_region(["goa", "kerala"]), None);
        assert_eq!(rules().state_without_region(["goa", "delhi"]), Some("delhi"));
    }
}
