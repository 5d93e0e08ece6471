//! From the columns of a request to its lattice.

use smol_str::SmolStr;

use super::{
    CodeLevels, ColumnRole, ColumnSet, ExportColumn, ExportRules, Lattice, LatticeColumn, LatticeError,
    QuasiIdentifier, UncoveredValue,
};

/// Why there is no lattice for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A profile has a value that its hierarchy does not know.
    #[error(transparent)]
    Uncovered(#[from] UncoveredValue),
    /// The columns do not fit into a lattice.
    #[error(transparent)]
    Lattice(#[from] LatticeError),
}

impl ExportRules {
    /// Returns the lattice of the quasi-identifiers that `columns` ask for. `dictionary` gives the values of a quasi-identifier by
    /// code, `None` for the missing value.
    ///
    /// # Errors
    /// A hierarchy does not cover a dictionary, or the columns do not fit into a lattice.
    pub fn lattice<'d>(
        &self,
        columns: ColumnSet,
        dictionary: impl Fn(QuasiIdentifier) -> &'d [Option<SmolStr>],
    ) -> Result<Lattice, SetupError> {
        let mut lattice_columns = Vec::new();
        for (quasi_identifier, finest) in self.finest_levels(columns) {
            if let Some(hierarchy) = self.hierarchy(quasi_identifier) {
                let levels = CodeLevels::new(hierarchy, dictionary(quasi_identifier))?;
                lattice_columns.push(LatticeColumn { quasi_identifier, levels, finest });
            }
        }
        Ok(Lattice::new(lattice_columns)?)
    }

    /// Returns the columns that l-diversity must hold for, in the order of a file: those of a request that are sensitive.
    pub fn sensitive_columns(&self, columns: ColumnSet) -> impl Iterator<Item = ExportColumn> {
        columns.iter().filter(|column| self.role(*column) == ColumnRole::Sensitive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::rules;

    #[test]
    fn a_request_has_a_lattice_of_its_quasi_identifiers() {
        let columns = [ExportColumn::State, ExportColumn::Gender, ExportColumn::OverallRisk, ExportColumn::TotalActive];
        let columns: ColumnSet = columns.into_iter().collect();
        let words = |words: &[&str]| words.iter().map(|word| Some(SmolStr::from(*word))).collect::<Vec<_>>();
        let (gender, place) = (words(&["male", "female"]), words(&["goa/x", "goa/y", "kerala/z"]));
        let dictionary = |quasi_identifier| match quasi_identifier {
            QuasiIdentifier::Gender => gender.as_slice(),
            _ => place.as_slice(),
        };
        let lattice = rules().lattice(columns, dictionary).expect("covered");
        assert_eq!((lattice.columns().len(), lattice.nodes().len()), (2, 2 * 3));
        assert_eq!(lattice.level(&lattice.finest(), 1).labels.len(), 2, "the place begins at the state");
        assert_eq!(rules().sensitive_columns(columns).collect::<Vec<_>>(), [ExportColumn::OverallRisk]);
        let unknown = words(&["atlantis"]);
        let refused = rules().lattice(columns, |_| unknown.as_slice());
        assert!(matches!(refused, Err(SetupError::Uncovered(_))));
    }
}
