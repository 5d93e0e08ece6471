//! How far a job is.

use crate::named_enum;

named_enum! {
    /// The stage of a job that runs, in order. Callers see it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub enum ExportStage {
        /// Rows are copied from the columns.
        #[default]
        Scanning => "scanning",
        /// Of aggregates: statistics of groups are computed.
        Grouping => "grouping",
        /// Of aggregates: noise is added. Of records: everything that can lead to a refusal, in one stage, so that callers
        /// cannot see how far a refused job has come: classes are counted, levels searched, and earlier exports compared.
        Searching => "searching",
        /// Of records, whose levels are found: pseudonyms are computed.
        Pseudonyms => "pseudonyms",
        /// The file is written.
        Writing => "writing",
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportProgress {
    /// The stage.
    pub stage: ExportStage,
    /// The steps of the stage that are done, in a unit of the stage's.
    pub steps_done: u64,
    /// All steps of the stage; 0 while the number is not known.
    pub steps: u64,
    /// The number of rows that were scanned.
    pub rows_scanned: u64,
    /// The number of rows that were written.
    pub rows_written: u64,
    /// The number of rows that are left out.
    pub rows_suppressed: u64,
}

impl ExportStage {
    /// Returns the percentage at which the stage begins: estimates of the shares of the time.
    const fn begins_at(self) -> u64 {
        match self {
            Self::Scanning => 0,
            Self::Grouping => 5,
            Self::Searching => 15,
            Self::Pseudonyms => 55,
            Self::Writing => 65,
        }
    }

    fn ends_at(self) -> u64 {
        Self::ALL.into_iter().find(|stage| *stage > self).map_or(100, Self::begins_at)
    }
}

impl ExportProgress {
    /// Returns how much of a job is done, in percent: at most 99, since its file is not there yet.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let (begin, end) = (self.stage.begins_at(), self.stage.ends_at());
        let within = u128::from(end - begin) * u128::from(self.steps_done.min(self.steps));
        let within = within.checked_div(self.steps.into()).unwrap_or(0);
        (u128::from(begin) + within).min(99) as u8
    }
}
