//! Bulk exports: what they may hold, how persons are protected in them, and the states of a job. ADR 0033 has the reasons.
//!
//! Everything is pure: rows come in as codes of dictionaries, times as arguments, and random numbers by [`RandomBits`].

mod column;
mod quasi_identifier;

mod hierarchy;
mod lattice;
mod rules;
mod setup;

mod classes;
mod feasibility;
mod search;

mod differencing;
mod left_out;

mod aggregate;
mod budget;
mod noise;

mod claims;
mod job;
mod request;

#[cfg(test)]
mod testing;

pub use aggregate::{
    AggregatePlan, AggregateRefusal, GroupAccumulator, MAX_GROUPS, Measure, MeasureKind, ReleasedGroup,
    ReleasedMeasure, release_group,
};
pub use budget::{BUDGET_WINDOW_MICROS, BudgetEntry, BudgetLedger, BudgetRefusal, BudgetRules, NotReleasable};
pub use claims::{COUNT_COLUMN, ClaimFault, ClaimReport, ExportClaims, FileContent, WordsOfColumn};
pub use classes::{
    ClassSource, ClassTable, EquivalenceClass, RollUp, RolledUpClasses, SensitiveLayout, TooManySensitiveValues,
};
pub use column::{ColumnRole, ColumnSet, ColumnType, ExportColumn};
pub use differencing::{ComparedRow, Difference, FilterRelation, compare};
pub use feasibility::{Feasibility, coarse_count, level_names};
pub use hierarchy::{
    CodeLevel, CodeLevels, Hierarchy, HierarchyFault, HierarchyLevel, LevelRule, MAX_LEVELS, PENALTY_UNIT,
    UncoveredValue,
};
pub use job::{
    ExportBackend, ExportJob, ExportJobId, ExportProgress, ExportResult, ExportStage, InvalidJobRecord, JobState,
    JobTransition,
};
pub use lattice::{KeyTranslation, Lattice, LatticeColumn, LatticeError, MAX_NODES, Node, NodePenalties};
pub use left_out::{LeftOutClasses, class_fingerprint};
pub use noise::{DiscreteGaussian, DiscreteLaplace, GaussianRange, RandomBits, rho_for_epsilon};
pub use quasi_identifier::QuasiIdentifier;
pub use request::{ExportFilter, ExportMode, ExportRequest};
pub use rules::{ExportRules, MIN_K, PrivacyDefaults};
pub use search::{InformationLoss, PrivacyRequirement, SearchError, SearchOutcome, column_losses, search};
pub use setup::SetupError;
