//! Exports of records: a row for each person, generalised.

use std::collections::BTreeMap;
use std::ops::Range;

use domain::columns::Row;
use domain::export::{
    ExportClaims, ExportColumn, ExportMode, ExportStage, InformationLoss, Lattice, LeftOutClasses, Node,
    PrivacyRequirement, RolledUpClasses, SearchError, SensitiveLayout, column_losses, level_names, search,
};
use domain::port::table::TableSchema;
use kernels::{Pseudonym, PseudonymKey, Texts};
use rayon::prelude::*;

use super::classes::{self, Classes};
use super::coded::{self, CodedColumn};
use super::columns::{FileColumns, FileInput, common_tags};
use super::earlier::{self, NewExport};
use super::job_context::{ATTEMPTS, JobEnd, KEPT_LEAVING, NOT_PROTECTED};
use super::rows::ExportRows;
use super::run::{Run, Written};

/// Rows that are written at once.
const WRITE_ROWS: usize = 128 << 10;

/// The rows that are written, and how.
struct Plan {
    lattice: Lattice,
    node: Node,
    requirement: PrivacyRequirement,
    layout: SensitiveLayout,
    sensitive: Vec<(ExportColumn, CodedColumn)>,
    /// The positions of the rows that meet the filter.
    selected: Vec<u32>,
    /// The key at the node of each selected row.
    keys: Vec<u64>,
    /// The sensitive values of each selected row, as the layout has them.
    values: Vec<u64>,
    /// Whether each selected row is written.
    is_kept: Vec<bool>,
    /// Classes that earlier exports would single people out of.
    left_out: Vec<LeftOutClasses>,
}

/// Writes the file of an export of records. Whoever leaves meanwhile is treated as if never there: in the file, in the comparison
/// with earlier exports, and in every number that is shown.
pub(super) fn write(run: &Run<'_>) -> Result<Written, JobEnd> {
    let job = run.job;
    job.stage(ExportStage::Scanning, 0)?;
    let filters: Vec<_> = std::iter::once(&run.request.filter).chain(run.earlier_filters()).collect();
    let mut rows = ExportRows::collect(run.columns, &filters, job)?;
    // One stage without steps until the plan is accepted: callers would see from others why a job is refused.
    job.stage(ExportStage::Searching, 0)?;
    let mut end = KEPT_LEAVING;
    for _ in 0..ATTEMPTS {
        rows.note_left(run.columns);
        let mut plan = Plan::search(run, &rows)?;
        let somebody_left = rows.note_left(run.columns);
        match plan.protect(run, &rows) {
            Ok(()) => {}
            // The levels that were found may not be those of the others.
            Err(refusal) if somebody_left => {
                end = refusal;
                continue;
            }
            Err(refusal) => return Err(refusal),
        }
        let left_out = plan.rows_left_out();
        job.suppressed(left_out);
        job.written(0);
        let information_loss_ppm = plan.information_loss_ppm();
        let bytes = RecordFile { run, rows: &rows, plan: &plan }.write(left_out, information_loss_ppm)?;
        rows.note_left(run.columns);
        if !plan.kept().any(|row| rows.has_left(row)) {
            return Ok(Written {
                bytes,
                rows_written: plan.rows_kept() as u64,
                rows_suppressed: left_out,
                information_loss_ppm: Some(information_loss_ppm),
                levels: level_names(&plan.lattice, &plan.node),
                rows: plan.kept().map(|row| rows.ids[row as usize]).collect(),
                left_out: plan.left_out,
            });
        }
        run.remove_file()?;
        end = KEPT_LEAVING;
    }
    Err(end)
}

impl Plan {
    /// Finds the levels for the rows that meet the filter and have not left.
    fn search(run: &Run<'_>, rows: &ExportRows) -> Result<Self, JobEnd> {
        let job = run.job;
        let selected = rows.select(&run.request.filter);
        if selected.len() < run.request.k as usize {
            return Err(NOT_PROTECTED);
        }
        let (lattice, quasi) = coded::quasi_identifiers(run.request, run.rules, rows, &selected)?;
        let sensitive = coded::sensitive_columns(run.request, run.rules, rows);
        let codes: Vec<&CodedColumn> = sensitive.iter().map(|(_, column)| column).collect();
        let Classes { layout, table, keys, sensitive: values } =
            classes::count(&lattice, &quasi, &codes, &selected, run.device, job)?;
        job.check_cancelled()?;
        let requirement = run.request.requirement(run.rules.privacy.max_suppression_pct);
        let losses = column_losses(&lattice, &table);
        let mut source = RolledUpClasses::new(&lattice, &layout, table).rolled_up_by(classes::roll_up);
        let outcome = search(&lattice, &losses, &requirement, &mut source).map_err(|error| match error {
            SearchError::NoRows | SearchError::Unreachable => NOT_PROTECTED,
            SearchError::Source(never) => match never {},
        })?;
        let small = classes::small_keys(source.table(&outcome.node), &layout, &requirement);
        drop(source);
        let keys = classes::keys_at(&lattice, &outcome.node, &keys);
        let is_kept = keys.par_iter().map(|key| small.binary_search(key).is_err()).collect();
        Ok(Self {
            node: outcome.node,
            requirement,
            lattice,
            layout,
            sensitive,
            selected,
            keys,
            values,
            is_kept,
            left_out: Vec::new(),
        })
    }

    /// Removes the rows of users who have left since the search, and leaves out the rows that an earlier export would single out.
    fn protect(&mut self, run: &Run<'_>, rows: &ExportRows) -> Result<(), JobEnd> {
        let stays: Vec<bool> = self.selected.par_iter().map(|row| !rows.has_left(*row)).collect();
        if stays.contains(&false) {
            retain_marked(&mut self.selected, &stays);
            retain_marked(&mut self.keys, &stays);
            retain_marked(&mut self.values, &stays);
            retain_marked(&mut self.is_kept, &stays);
            self.remove_small_classes();
        }
        let kept = self.rows_kept();
        let new = NewExport { selected: &self.selected, node: &self.node };
        self.left_out = earlier::compare(run, rows, &new, &mut self.is_kept)?;
        if self.rows_kept() < kept {
            self.remove_small_classes();
        }
        let is_allowed = self.requirement.allows_suppressed(self.rows_left_out(), self.selected.len() as u64);
        if is_allowed && self.rows_kept() > 0 { Ok(()) } else { Err(NOT_PROTECTED) }
    }

    fn rows_kept(&self) -> usize {
        self.is_kept.iter().filter(|kept| **kept).count()
    }

    fn rows_left_out(&self) -> u64 {
        (self.selected.len() - self.rows_kept()) as u64
    }

    /// Returns the positions of the rows that are written.
    fn kept(&self) -> impl Iterator<Item = u32> {
        self.is_kept.iter().zip(&self.selected).filter(|(kept, _)| **kept).map(|(_, row)| *row)
    }

    fn information_loss_ppm(&self) -> u64 {
        let keys = self.is_kept.iter().zip(&self.keys).filter(|(kept, _)| **kept).map(|(_, key)| *key);
        InformationLoss::from_rows(&self.lattice, &self.node, keys, self.rows_left_out()).parts_per_million()
    }

    /// Leaves out the rows of classes that do not meet the requirement any more.
    fn remove_small_classes(&mut self) {
        let rows = self.keys.iter().zip(&self.values).zip(&self.is_kept);
        let kept: Vec<(u64, u64)> = rows.filter(|(_, kept)| **kept).map(|((key, set), _)| (*key, *set)).collect();
        let too_small = classes::too_small(&kept, &self.layout, &self.requirement);
        let places = self.is_kept.iter_mut().filter(|kept| **kept);
        places.zip(too_small).for_each(|(kept, too_small)| *kept = !too_small);
    }
}

/// Retains the items that are marked.
fn retain_marked<T>(items: &mut Vec<T>, marks: &[bool]) {
    let mut marks = marks.iter();
    items.retain(|_| marks.next() == Some(&true));
}

/// The file of an export of records.
struct RecordFile<'f> {
    run: &'f Run<'f>,
    rows: &'f ExportRows,
    plan: &'f Plan,
}

impl RecordFile<'_> {
    /// Writes the file and returns its length in bytes. Rows are ordered by class and then by pseudonym, which says nothing
    /// about the order in which people came.
    fn write(&self, left_out: u64, loss_ppm: u64) -> Result<u64, JobEnd> {
        let Self { run, rows, plan, .. } = self;
        let job = run.job;
        let kept = (0..).zip(&plan.is_kept).filter(|(_, kept)| **kept).map(|(position, _): (u32, _)| position);
        let order: Vec<u32> = kept.collect();
        job.stage(ExportStage::Pseudonyms, order.len() as u64)?;
        let pseudonyms = self.pseudonyms(&order)?;
        let order_of = |at: usize| {
            let (row, pseudonym) = (order[at], &pseudonyms[at]);
            (plan.keys[row as usize], *pseudonym, row)
        };
        let mut rows_in_order: Vec<(u64, Pseudonym, u32)> = (0..order.len()).into_par_iter().map(order_of).collect();
        drop(pseudonyms);
        rows_in_order.par_sort_unstable();
        let sorted: Vec<Pseudonym> = rows_in_order.par_iter().map(|(_, pseudonym, _)| *pseudonym).collect();
        let order: Vec<u32> = rows_in_order.par_iter().map(|(.., row)| *row).collect();
        drop(rows_in_order);

        job.stage(ExportStage::Writing, order.len() as u64)?;
        let row_of = |position: u32| plan.selected[position as usize];
        let tags = order.iter().map(|position| rows.rows[row_of(*position) as usize].cohort_tags);
        let tags = common_tags(tags, &rows.dictionaries, run.request.k);
        let kept_keys: Vec<u64> = order.iter().map(|position| plan.keys[*position as usize]).collect();
        let input = FileInput {
            keys: &kept_keys,
            rules: run.rules,
            lattice: &plan.lattice,
            node: &plan.node,
            sensitive: &plan.sensitive,
            tags: &tags,
        };
        let columns = std::iter::once(ExportColumn::Pseudonym)
            .chain(run.request.columns.iter().filter(|column| *column != ExportColumn::Pseudonym));
        let columns = FileColumns::new(columns, &input);
        let schema = TableSchema {
            metadata: self.metadata(&columns, order.len(), left_out, loss_ppm),
            columns: columns.schema(),
        };
        let mut writer = run.create_file(&schema)?;
        for (positions, pseudonyms) in order.chunks(WRITE_ROWS).zip(sorted.chunks(WRITE_ROWS)) {
            let keys: Vec<u64> = positions.iter().map(|position| plan.keys[*position as usize]).collect();
            let positions: Vec<u32> = positions.iter().map(|position| row_of(*position)).collect();
            let batch = columns.batch(&positions, &keys, pseudonyms, &rows.rows, &plan.sensitive);
            writer.write(&batch).map_err(super::run::not_written)?;
            job.written(job.progress().rows_written + positions.len() as u64);
            job.done(positions.len() as u64)?;
        }
        writer.finish().map_err(super::run::not_written)
    }

    /// Returns the pseudonym of each row: the HMAC of its number and generation under a key that nobody keeps. The spec's
    /// profile id would say the same, and is not in the columns.
    fn pseudonyms(&self, order: &[u32]) -> Result<Vec<Pseudonym>, JobEnd> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        self.run.entropy.fill(&mut *key);
        let key = PseudonymKey::new(&key);
        let compute = |batch: Range<usize>| {
            let mut texts = Vec::with_capacity(batch.len() * 8);
            for position in &order[batch] {
                let row = self.plan.selected[*position as usize] as usize;
                texts.extend_from_slice(&self.rows.ids[row].0.to_le_bytes());
                texts.extend_from_slice(&generation(&self.rows.rows[row]).to_le_bytes());
            }
            let computed = self.run.device.compute(|backend| {
                let texts = Texts::fixed(&texts, 8)?;
                backend.pseudonyms(&key, &texts)
            });
            computed.map_err(classes::not_computed)
        };
        let batches = self.run.device.in_batches(order.len(), compute, |rows| self.run.job.done(rows))?;
        Ok(batches.concat())
    }

    fn metadata(
        &self,
        columns: &FileColumns<'_>,
        rows: usize,
        left_out: u64,
        loss_ppm: u64,
    ) -> BTreeMap<String, String> {
        let Self { run, plan, .. } = self;
        let levels = level_names(&plan.lattice, &plan.node);
        let texts = [
            ("rows_suppressed", left_out.to_string()),
            ("max_suppression_pct", plan.requirement.max_suppression_pct.to_string()),
            ("information_loss_ppm", loss_ppm.to_string()),
            ("levels", serde_json::Value::Object(levels).to_string()),
        ];
        let mut others = run.common_metadata();
        others.extend(texts.map(|(name, text)| (name.to_owned(), text)));
        let claims = ExportClaims {
            job_id: run.id.to_string(),
            mode: ExportMode::Records,
            k: run.request.k,
            l: run.request.l,
            rows: rows as u64,
            quasi_identifiers: columns.quasi_identifiers(),
            sensitive: plan.sensitive.iter().map(|(column, _)| column.name().to_owned()).collect(),
            others,
        };
        claims.to_metadata()
    }
}

fn generation(row: &Row) -> u32 {
    row.version().generation()
}
